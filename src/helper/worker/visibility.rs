//! Who sees what another has just made: tried through the mount that a container uses.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use rustix::fs::{Mode, OFlags, open};

use super::{
    super::HelperError,
    place::{init, inside},
};
use crate::{
    host::{error::HostError, namespace::in_mount_ns, sight_trial::Shown},
    protocol::{TriedVisible, VisibleAttempt},
};

/// Makes a file of the interposer's own from here, and looks for it from within the container.
pub(super) fn tried(attempt: &VisibleAttempt) -> Result<TriedVisible, HelperError> {
    let VisibleAttempt { place, mark, within_ms } = attempt;
    let target = init(place)?;
    let failed =
        |op: &'static str| move |errno| HostError::sys(op, Path::new(&attempt.place.path), errno);
    let link = target.proc_path("ns/mnt");
    let namespace = fs::metadata(&link).map_err(|error| HostError::sys("stat", &link, error))?;
    let dir = inside(target, &place.path, |here| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(here.path, flags, Mode::empty())
            .map_err(|errno| HostError::sys("open", here.path, errno))
    })?;
    let shown = Shown::make(dir, mark).map_err(failed("create"))?;
    let at_once = in_mount_ns(target, || shown.is_found())?.map_err(failed("stat"))?;
    let made = shown.is_found().map_err(failed("stat"))?;
    let within = Duration::from_millis(*within_ms);
    let found = in_mount_ns(target, || shown.await_found(within))?.map_err(failed("stat"))?;
    let after_ms = found.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    Ok(TriedVisible { namespace: namespace.ino(), made, at_once, after_ms })
}
