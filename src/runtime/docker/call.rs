//! One call to the engine: its words for messages, its object, its limit.

use std::{future::Future, time::Duration};

use super::{Docker, error};
use crate::runtime::{Result, RuntimeError};

/// How long an ordinary call may take. Docker under load needs seconds for what takes it 50 ms.
const LIMIT: Duration = Duration::from_secs(30);

/// A call about one object.
pub(super) struct Call<'a> {
    /// Where we ask.
    pub(super) address: String,
    /// `container`, `image`, …
    pub(super) what: &'static str,
    /// Name or id of the object.
    pub(super) name: &'a str,
    /// What we ask for: ``removing container `x` ``.
    pub(super) doing: String,
    /// How long it may take.
    pub(super) limit: Duration,
}

impl Docker {
    /// A call that does `verb` to the object.
    pub(super) fn call<'a>(&self, verb: &str, what: &'static str, name: &'a str) -> Call<'a> {
        Call {
            address: self.address(),
            what,
            name,
            doing: if name.is_empty() {
                format!("{verb} {what}")
            } else {
                format!("{verb} {what} `{name}`")
            },
            limit: LIMIT,
        }
    }
}

impl Call<'_> {
    /// Sets another limit.
    pub(super) fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Waits for the answer, for as long as the limit.
    pub(super) async fn run<T>(
        &self,
        answer: impl Future<Output = std::result::Result<T, bollard::errors::Error>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.limit, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(bollard::errors::Error::RequestTimeoutError)) | Err(_) => Err(self.timed_out()),
            Ok(Err(error)) => Err(error::classify(self, &error)),
        }
    }

    /// The error of a call that took too long.
    pub(super) fn timed_out(&self) -> RuntimeError {
        let seconds = self.limit.as_secs() + u64::from(self.limit.subsec_nanos() > 0);
        RuntimeError::Timeout { seconds, doing: self.doing.clone() }
    }

    /// The error of an answer that makes no sense.
    pub(super) fn refused(&self, detail: impl Into<String>) -> RuntimeError {
        RuntimeError::Refused { doing: self.doing.clone(), detail: detail.into() }
    }
}
