//! Times as tests write them.

use std::time::Duration;

use super::Error;
use crate::units;

/// A time: a [`Duration`], or text as in scenarios: `"500ms"`, `"5s"`, `"1m"`.
#[derive(Debug, Clone)]
pub struct Time(Result<Duration, String>);

impl Time {
    pub(super) fn read(self) -> Result<Duration, Error> {
        self.0.map_err(Error::Invalid)
    }
}

impl From<Duration> for Time {
    fn from(time: Duration) -> Self {
        Self(Ok(time))
    }
}

impl From<&str> for Time {
    fn from(text: &str) -> Self {
        Self(text.parse::<units::Duration>().map(|time| time.0).map_err(|error| error.to_string()))
    }
}
