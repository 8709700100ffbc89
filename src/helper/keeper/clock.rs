//! Time that goes on while the machine sleeps: a lease must not outlive a closed lid.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since boot, suspension included (`CLOCK_BOOTTIME`, `clock_gettime(2)`).
pub(super) fn boottime_ms() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds * 1000 + nanos / 1_000_000
}

/// Milliseconds since 1970.
pub(super) fn unix_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
