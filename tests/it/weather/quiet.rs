//! Time in which the machine was not too busy: what a promise in seconds is held against.
//!
//! The kernel counts the time in which some task waited for a processor or for a disk
//! (Documentation/accounting/psi.rst). A promise says nothing about that time: on a machine with
//! nothing else to do it is kept to the letter, on a busy one it is stretched by what the others
//! took, and no more.

use std::{
    fmt,
    time::{Duration, Instant},
};

use keelhaul::host::pressure::Waited;

/// After this no fault is in force, whoever died or stopped.
const PROMISED: Duration = Duration::from_secs(2);
/// The same by the clock on the wall, however busy the machine is.
const AT_LAST: Duration = Duration::from_secs(6);

/// A stop watch that stands still while the machine is too busy.
pub(super) struct Quiet {
    started: Instant,
    waited: Option<Waited>,
}

impl Quiet {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), waited: Waited::now() }
    }

    /// All the time since the start.
    pub(super) fn wall(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether a promise is due.
    pub(super) fn is_over(&self) -> bool {
        self.elapsed() > PROMISED || self.wall() > AT_LAST
    }

    /// Of the wall's time, that in which nobody waited; all of it where the kernel does not count
    /// that.
    fn elapsed(&self) -> Duration {
        let (Some(before), Some(now)) = (self.waited, Waited::now()) else { return self.wall() };
        self.wall().saturating_sub(now.since(before))
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, of which {:?} quiet,", self.wall(), self.elapsed())
    }
}

#[test]
fn the_time_in_which_somebody_waited_does_not_count() {
    let ago = Instant::now() - Duration::from_secs(10);
    let busy = |all| Quiet { started: ago, waited: Waited::now().map(|now| now.less(all)) };
    let uncounted = Quiet { started: Instant::now() - PROMISED, waited: None };
    assert!(uncounted.is_over(), "without a count every second counts");
    if Waited::now().is_some() {
        assert!(busy(Duration::from_secs(20)).elapsed() < Duration::from_secs(1));
        assert!(busy(Duration::ZERO).elapsed() > PROMISED);
    }
}
