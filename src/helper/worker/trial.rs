//! Trials: small writes that show which errno a writer in the target gets.

use std::{path::Path, time::Duration};

use super::{
    super::HelperError,
    errand::{self, Errand, IoErrand},
    facts::refused,
    place::{init, inside, ways},
};
use crate::{
    host::{
        error::HostResult,
        io_trial,
        probe_write::{self, Attempt},
        process::Identity,
    },
    protocol::{
        ByteAttempt, IoAttempt, IoOp, Place, SyncAttempt, Trial, TriedBytes, TriedOp, TriedSync,
    },
};

/// More than a process takes to start on a busy machine, and to get rid of what hangs in it.
const ON_THE_WAY: Duration = Duration::from_secs(5);

fn trial(
    place: &Place,
    attempt: impl FnOnce(&Path) -> HostResult<Attempt> + Send,
) -> Result<Trial, HelperError> {
    match inside(init(place)?, &place.path, |here| attempt(here.path)) {
        Ok(attempt) => {
            let errno = attempt.errno();
            let name = errno.map(|e| e.name().map_or_else(|| e.0.to_string(), str::to_owned));
            Ok(Trial { errno: name })
        }
        Err(error) => Ok(Trial { errno: refused(error)? }),
    }
}

/// Creates and removes a file.
pub(super) fn create(place: &Place) -> Result<Trial, HelperError> {
    trial(place, probe_write::try_create)
}

/// Writes, syncs and removes a file.
pub(super) fn write(place: &Place, bytes: u64) -> Result<Trial, HelperError> {
    trial(place, |dir| probe_write::try_write(dir, bytes))
}

/// Links a new file from one directory into another.
pub(super) fn link(place: &Place, into: &str) -> Result<Trial, HelperError> {
    trial(place, |dir| probe_write::try_link_from(dir, Path::new(into)))
}

/// Tries operations with an interposer's own files; those that may hang, in a process of their own.
pub(super) fn io(attempt: &IoAttempt) -> Result<Vec<TriedOp>, HelperError> {
    let target = init(&attempt.place)?;
    let Some(within_ms) = attempt.within_ms else { return io_in(target, attempt) };
    let within = Duration::from_millis(within_ms);
    let errand = Errand::Io(IoErrand { target, attempt: attempt.clone() });
    let tried = errand::send(&errand, within + ON_THE_WAY)?;
    // not even the way to its files came to an end
    let hung = |op: &IoOp| TriedOp {
        op: *op,
        attempts: 1,
        hit: true,
        errno: None,
        took_us: within_ms.saturating_mul(1000),
        hung: true,
    };
    Ok(tried.unwrap_or_else(|| attempt.ops.iter().map(hung).collect()))
}

/// The same, here and now.
pub(super) fn io_in(target: Identity, attempt: &IoAttempt) -> Result<Vec<TriedOp>, HelperError> {
    let IoAttempt { place, mark, ops, most, slow_us, within_ms } = attempt;
    let tried = inside(target, &place.path, |here| {
        let (dir, mark) = (here.path.to_owned(), mark.clone());
        let tries = io_trial::Tries { dir, mark, most: *most, slow_us: *slow_us };
        Ok(match within_ms {
            Some(ms) => tries.within(ops, Duration::from_millis(*ms)),
            None => ops.iter().map(|op| tries.of(*op)).collect(),
        })
    });
    Ok(tried?)
}

/// Moves known bytes to or from an interposer's own files.
pub(super) fn bytes(attempt: &ByteAttempt) -> Result<TriedBytes, HelperError> {
    let ByteAttempt { place, mark, op, block, most } = attempt;
    let tried = inside(init(place)?, &place.path, |here| {
        let (dir, mark) = (here.path.to_owned(), mark.clone());
        let tries = io_trial::Tries { dir, mark, most: *most, slow_us: u64::MAX };
        Ok(tries.of_bytes(*op, *block))
    });
    Ok(tried?)
}

/// Writes to an interposer's own file and syncs it, until that fails.
pub(super) fn sync(attempt: &SyncAttempt) -> Result<TriedSync, HelperError> {
    let SyncAttempt { place, mark, most } = attempt;
    let tried = inside(init(place)?, &place.path, |here| {
        let (dir, mark) = (here.path.to_owned(), mark.clone());
        let tries = io_trial::Tries { dir, mark, most: *most, slow_us: u64::MAX };
        Ok(tries.of_sync())
    });
    Ok(tried?)
}

/// Removes what interrupted trials have left. Finding nothing, or nobody, is fine.
pub(super) fn sweep(place: &Place) -> Result<(), HelperError> {
    for way in ways(place)? {
        match inside(way.target, &way.path, |here| probe_write::sweep_probes(here.path)) {
            Ok(_) => {}
            Err(_) if !way.target.is_alive() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
