//! A state that was kept is judged again: on the disk that begins with it, by the promises in its file.

use std::{
    fs,
    path::Path,
    sync::mpsc::{self, RecvTimeoutError},
    time::Instant,
};

use super::{
    super::super::{super::HelperError, disk, image},
    PATIENCE,
    fsck::Fsck,
    promises::Promises,
    recover::recover,
    seen::Seen,
    stage::claimed,
};
use crate::{
    crash_state::{CrashState, Records},
    host::fuse,
    protocol::{Place, Reads, ReplaySpec, Replayed},
};

/// Recovers and judges it. The disk is left as recovery has made it.
pub(in super::super::super) fn replay(
    spec: &ReplaySpec,
    dir: &Path,
) -> Result<Replayed, HelperError> {
    let path = image::own(dir, image::IMAGES, &spec.file)?;
    let bytes = fs::read(&path);
    let bytes = bytes.map_err(|error| HelperError::Refused(format!("the state: {error}")))?;
    let state = CrashState::decode(&bytes);
    let state = state.map_err(|error| HelperError::Refused(error.to_string()))?;
    drop(bytes);
    let beyond = state.facts.beyond;
    let fsck = state.facts.fsck.then(|| Fsck::find(&state.facts.filesystem)).transpose();
    let fsck = fsck.map_err(HelperError::Refused)?;
    let reads = reads(state.facts.records, spec.container.as_deref())?;
    let device = disk::device(&spec.disk)?;
    let connection = rustix::fs::minor(device.backing.device);
    let started = Instant::now();
    let recover = || recover(&device.node, &state.facts.filesystem, &reads);
    let recovered = watched(connection, recover)?.map_err(HelperError::Refused)?;
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let mut promises = Promises::kept(state.ledger);
    let acknowledged = promises.by(u64::MAX);
    let seen = Seen::of(&recovered, (&mut promises, acknowledged), &reads);
    let seen = match (seen.of_a_state(beyond, &recovered), fsck) {
        (Seen::Sound, Some(fsck)) if !beyond => {
            // whoever holds it is in the tool's way
            let check = || claimed(&device.node).map(drop).and_then(|()| fsck.check(&device.node));
            let errors = watched(connection, check)?.map_err(HelperError::Refused)?;
            errors.map_or(Seen::Sound, |why| Seen::Wrong { why, lost: 0, read: false })
        }
        (seen, _) => seen,
    };
    let unmountable = matches!(seen, Seen::Unmountable(_));
    let wrong = match seen {
        Seen::Sound | Seen::Refused { .. } => None,
        Seen::Wrong { why, .. } | Seen::Unmountable(why) => Some(why),
    };
    Ok(Replayed { acknowledged: acknowledged as u64, wrong, unmountable, took_us })
}

fn reads(records: Records, container: Option<&str>) -> Result<Reads, HelperError> {
    match (records, container) {
        (Records::File(file), _) => Ok(Reads::File(file)),
        (Records::Program { path, command }, Some(container)) => {
            let place = Place { container: container.to_owned(), pid: 0, path, host_path: None };
            Ok(Reads::Program { place, command })
        }
        (Records::Program { .. }, None) => {
            Err(HelperError::Refused("there is no container whose program reads it".into()))
        }
    }
}

/// Does what may hang in the kernel, and frees it by the end of the connection that it hangs on.
fn watched<T>(connection: u32, work: impl FnOnce() -> T) -> Result<T, HelperError> {
    let (done, is_done) = mpsc::channel::<()>();
    let watch = move || match is_done.recv_timeout(PATIENCE) {
        Err(RecvTimeoutError::Timeout) => {
            let _ = fuse::abort(connection);
            true
        }
        _ => false,
    };
    let watching = std::thread::Builder::new().name("watch".into()).spawn(watch);
    let watching = watching.map_err(|error| HelperError::Refused(format!("no thread: {error}")))?;
    let worked = work();
    drop(done);
    if watching.join().unwrap_or(true) {
        return Err(HelperError::Refused(format!(
            "the state was not recovered within {} s",
            PATIENCE.as_secs()
        )));
    }
    Ok(worked)
}
