//! Requests to a disk of ours, tried on its device; and where a file lies on that.

use std::{path::Path, time::Duration};

use super::{
    super::HelperError,
    cut, disk,
    errand::{self, DiskErrand, Errand, PlacesErrand},
    place::init,
};
use crate::{
    protocol::{
        ByteRange, DiskAttempt, DiskOp, FlushAttempt, Place, TriedBytes, TriedDurable, TriedOp,
    },
    units::Size,
};

/// More than a process takes to start on a busy machine, and to try what is tried in turn.
const ON_THE_WAY: Duration = Duration::from_secs(5);
/// A write and a flush that nothing holds up are back by then.
const FLUSHED_MS: u64 = 2000;

/// Tries requests, in a process of their own: one that hangs in the kernel cannot be killed.
pub(super) fn tried(attempt: &DiskAttempt) -> Result<Vec<TriedOp>, HelperError> {
    let node = disk::node(&attempt.disk)?;
    let errand = Errand::Disk(DiskErrand { node, attempt: attempt.clone() });
    let within = Duration::from_millis(attempt.within_ms);
    let took_us = attempt.within_ms.saturating_mul(1000);
    // not even the way to the device came to an end
    let hung = |op: &DiskOp| {
        let (op, errno) = (op.as_io(), None);
        TriedOp { op, attempts: 1, hit: true, errno, took_us, hung: true }
    };
    let tried = errand::send(&errand, within + ON_THE_WAY)?;
    Ok(tried.unwrap_or_else(|| attempt.ops.iter().map(hung).collect()))
}

/// Moves known bytes by the one kind of request, behind the filesystem's end.
pub(super) fn bytes(attempt: &DiskAttempt) -> Result<TriedBytes, HelperError> {
    let node = disk::node(&attempt.disk)?;
    let errand = Errand::DiskBytes(DiskErrand { node, attempt: attempt.clone() });
    let tried = errand::send(&errand, Duration::from_millis(attempt.within_ms) + ON_THE_WAY)?;
    let hangs =
        || HelperError::Refused(format!("what is read of `{}` does not come back", attempt.disk));
    tried.ok_or_else(hangs)
}

/// Writes a chunk and flushes, and looks whether the disk would still lose that.
pub(super) fn flushed(attempt: &FlushAttempt, dir: &Path) -> Result<TriedDurable, HelperError> {
    let FlushAttempt { disk, set, round } = attempt;
    let one = |op| {
        let (disk, set, round, ops) = (disk.clone(), set.clone(), *round, vec![op]);
        let (most, slow_us, within_ms) = (1, u64::MAX, FLUSHED_MS);
        let tried = tried(&DiskAttempt { disk, set, round, ops, most, slow_us, within_ms })?;
        let said = |one: TriedOp| if one.hung { Some("hangs".to_owned()) } else { one.errno };
        Ok::<_, HelperError>(tried.into_iter().next().and_then(said))
    };
    let written = one(DiskOp::Write)?;
    let flushed = one(DiskOp::Flush)?;
    // what the service flushes meanwhile makes ours durable too
    let durable = cut::pending(dir, disk)?.own == 0;
    Ok(TriedDurable { errno: written.or(flushed), durable })
}

/// Where a file lies on the device of its filesystem, by a process of its own, as that may hang.
pub(super) fn places(place: &Place) -> Result<Vec<ByteRange>, HelperError> {
    let errand = PlacesErrand { target: init(place)?, path: place.path.clone() };
    let found = errand::send::<Vec<(u64, u64)>>(&Errand::Places(errand), ON_THE_WAY)?;
    let found = found.ok_or_else(|| {
        let (path, time) = (&place.path, ON_THE_WAY.as_secs());
        HelperError::Refused(format!(
            "the disk did not take what is written of `{path}` in {time} s"
        ))
    })?;
    let range = |(from, to)| ByteRange { from: Size(from), to: Size(to) };
    Ok(found.into_iter().map(range).collect())
}
