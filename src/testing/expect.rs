//! A probe as an assertion.

use std::{
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use super::{Error, Time, session::Session};
use crate::{probes::ProbeSpec, verdict::Verdict};

/// A probe that must hold; await it.
///
/// Without [`within`](Self::within) it must hold at the first look.
#[must_use = "nothing is asserted until this is awaited"]
pub struct Expectation {
    session: Arc<Session>,
    id: String,
    probe: Result<ProbeSpec, Error>,
    within: Time,
    hold: Time,
}

impl Expectation {
    pub(super) fn new(session: Arc<Session>, id: String, probe: Result<ProbeSpec, Error>) -> Self {
        let (within, hold) = (Duration::ZERO.into(), Duration::ZERO.into());
        Self { session, id, probe, within, hold }
    }

    /// It must come to hold within this time: `"5s"`, or a [`Duration`].
    pub fn within(mut self, time: impl Into<Time>) -> Self {
        self.within = time.into();
        self
    }

    /// And go on to hold for this long.
    pub fn hold(mut self, time: impl Into<Time>) -> Self {
        self.hold = time.into();
        self
    }

    async fn judge(self) -> Result<String, Error> {
        let (probes, within, hold) = ([self.probe?], self.within.read()?, self.hold.read()?);
        let id = self.id;
        // a look takes a moment: at once is not in no time
        let within = within.max(Duration::from_millis(1));
        let judged = self
            .session
            .on(|live| async move { live.expect(&id, &probes, within, hold).await })
            .await?;
        match judged {
            (Verdict::Pass, seen) => Ok(seen),
            (_, why) => Err(Error::Unmet(format!("within {within:?}: {why}"))),
        }
    }
}

impl IntoFuture for Expectation {
    type Output = Result<String, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.judge())
    }
}
