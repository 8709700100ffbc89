//! Time in which the machine was not too busy: what a promise in seconds is held against.
//!
//! The kernel counts the time in which some task waited for a processor or for a disk
//! (Documentation/accounting/psi.rst). A promise says nothing about that time: on a machine with
//! nothing else to do it is kept to the letter, on a busy one it is stretched by what the others
//! took, and no more.

use std::{
    fmt, fs,
    time::{Duration, Instant},
};

/// After this no fault is in force, whoever died or stopped.
const PROMISED: Duration = Duration::from_secs(2);
/// The same by the clock on the wall, however busy the machine is.
const AT_LAST: Duration = Duration::from_secs(6);

/// A stop watch that stands still while the machine is too busy.
pub(super) struct Quiet {
    started: Instant,
    waited: Option<[Duration; 2]>,
}

impl Quiet {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), waited: waited() }
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
    /// that. Who waited for the one may have waited for the other at the same time.
    fn elapsed(&self) -> Duration {
        let (Some(before), Some(now)) = (self.waited, waited()) else { return self.wall() };
        let busy = [0, 1].map(|of| now[of].saturating_sub(before[of]));
        self.wall().saturating_sub(busy[0].max(busy[1]))
    }
}

impl fmt::Display for Quiet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, of which {:?} quiet,", self.wall(), self.elapsed())
    }
}

/// Time since boot in which some task waited for a processor, and for a disk.
fn waited() -> Option<[Duration; 2]> {
    let total = |of| total_in(&fs::read_to_string(format!("/proc/pressure/{of}")).ok()?);
    Some([total("cpu")?, total("io")?])
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS`
fn total_in(pressure: &str) -> Option<Duration> {
    let some = pressure.lines().find(|line| line.starts_with("some "))?;
    some.rsplit_once("total=")?.1.trim().parse().ok().map(Duration::from_micros)
}

#[test]
fn the_time_in_which_somebody_waited_does_not_count() {
    let told = "some avg10=4.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 total=9\n";
    assert_eq!(total_in(told), Some(Duration::from_millis(1500)));
    assert_eq!(total_in("full total=9"), None);
    let ago = Instant::now() - Duration::from_secs(10);
    let before = |all| move |now: [Duration; 2]| now.map(|one| one.saturating_sub(all));
    let busy = |all| Quiet { started: ago, waited: waited().map(before(all)) };
    let uncounted = Quiet { started: Instant::now() - PROMISED, waited: None };
    assert!(uncounted.is_over(), "without a count every second counts");
    if waited().is_some() {
        assert!(busy(Duration::from_secs(20)).elapsed() < Duration::from_secs(1));
        assert!(busy(Duration::ZERO).elapsed() > PROMISED);
    }
}
