//! What is sent to us, by the sender's clock: a clock that disagrees is said, and decides nothing.
//!
//! Records are kept in the order in which they come, and are known by their keys: so a sender whose
//! clock is wrong loses nothing, repeats nothing and is not sent away. The time it says is for people.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;

use super::args::SpecimenArgs;
use super::service::Service;
use super::weakness::Weakness;

/// When a request was sent, by the sender's clock: seconds since the epoch.
pub(super) const SENT: &str = "x-sent";

/// Clocks that are kept in time disagree by less; also the oldest that a request can be.
const AGREE: u64 = 5;

/// Seconds since the epoch, by our own clock.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The sender's clock, as far as we have been told.
pub(super) struct Arrivals {
    by_wall_clock: bool,
    /// Seconds that it is ahead of ours; 0 while they agree.
    ahead: Mutex<i64>,
}

impl Arrivals {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        Self { by_wall_clock: args.has(Weakness::OrdersByWallClock), ahead: Mutex::new(0) }
    }

    /// Whether what was sent may be taken now; says when the sender's clock goes wrong, and right.
    pub(super) fn admit(&self, service: &Service, headers: &HeaderMap) -> bool {
        let sent = headers.get(SENT).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let Some(sent) = sent else { return true };
        let ahead = disagreement(sent, now().as_secs());
        if let Some(line) = self.note(ahead) {
            service.console.say(line);
        }
        if self.by_wall_clock && ahead > 0 {
            // not yet, it says: to be sent again when its time has come
            service.metrics.early_refused.add(1);
            return false;
        }
        true
    }

    fn note(&self, ahead: i64) -> Option<String> {
        let mut known = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        // the same to the second would be said for ever
        if known.abs_diff(ahead) <= AGREE {
            return None;
        }
        *known = ahead;
        Some(match ahead {
            0 => "clock: the sender's agrees again".to_owned(),
            1.. => format!("clock: the sender's is {ahead} s ahead"),
            _ => format!("clock: the sender's is {} s behind", -ahead),
        })
    }
}

/// Seconds that a clock is ahead of ours; 0 where they agree.
fn disagreement(theirs: u64, ours: u64) -> i64 {
    if theirs.abs_diff(ours) <= AGREE {
        return 0;
    }
    theirs.cast_signed().saturating_sub(ours.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_wrong_is_said_once_and_so_is_one_that_is_right_again() {
        assert_eq!((disagreement(105, 100), disagreement(94, 100)), (0, -6));
        let arrivals = Arrivals { by_wall_clock: false, ahead: Mutex::new(0) };
        let said: Vec<_> = [0, 3600, 3601, 3599, 0, 0, -60].map(|it| arrivals.note(it)).into();
        let said: Vec<_> = said.into_iter().flatten().collect();
        assert_eq!(
            said,
            [
                "clock: the sender's is 3600 s ahead",
                "clock: the sender's agrees again",
                "clock: the sender's is 60 s behind"
            ]
        );
    }
}
