//! How busy the machine is: the time in which some task waited for a processor, or for a disk
//! (Documentation/accounting/psi.rst).

use std::{fs, time::Duration};

/// Time since boot in which somebody waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    processor: Duration,
    disk: Duration,
}

impl Waited {
    /// Until now; none where the kernel does not count it.
    #[must_use]
    pub fn now() -> Option<Self> {
        let total = |of| total_in(&fs::read_to_string(format!("/proc/pressure/{of}")).ok()?);
        Some(Self { processor: total("cpu")?, disk: total("io")? })
    }

    /// How much of the time since an earlier reading. Who waited for the one may have waited for the
    /// other at the same time.
    #[must_use]
    pub fn since(self, before: Self) -> Duration {
        let processor = self.processor.saturating_sub(before.processor);
        processor.max(self.disk.saturating_sub(before.disk))
    }

    /// So much less.
    #[must_use]
    pub fn less(self, by: Duration) -> Self {
        let less = |one: Duration| one.saturating_sub(by);
        Self { processor: less(self.processor), disk: less(self.disk) }
    }
}

/// How much more time than usual somebody may take who has been asked at this reading: what the machine
/// was busy for since, and no more than so much.
#[must_use]
pub fn excuse(before: Option<Waited>, most: Duration) -> Duration {
    let waited = before.zip(Waited::now()).map(|(before, now)| now.since(before));
    waited.unwrap_or_default().min(most)
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS`
fn total_in(pressure: &str) -> Option<Duration> {
    let some = pressure.lines().find(|line| line.starts_with("some "))?;
    some.rsplit_once("total=")?.1.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_some_task_is_read_and_the_greater_counts() {
        let told =
            "some avg10=4.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 total=9\n";
        assert_eq!(total_in(told), Some(Duration::from_millis(1500)));
        assert_eq!(total_in("full total=9"), None);
        let of = |processor, disk| Waited {
            processor: Duration::from_secs(processor),
            disk: Duration::from_secs(disk),
        };
        assert_eq!(of(5, 9).since(of(3, 4)), Duration::from_secs(5));
        assert_eq!(of(5, 9).less(Duration::from_secs(6)), of(0, 3));
    }
}
