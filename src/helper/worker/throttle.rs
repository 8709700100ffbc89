//! Limits on a container's I/O: looked at, set, lifted, and measured.

use std::path::Path;

use super::{
    super::HelperError,
    cgroup,
    context::Done,
    errand::{self, Errand, PaceErrand},
    image::nodes,
    place::{init, inside},
};
use crate::{
    host::{
        block_device::whole_disk, cgroup::memberships, error::HostError, io_limits,
        process::Identity,
    },
    protocol::{Dev, Init, IoFacts, IoLimits, Outcome, Pace, PaceTrial, Place},
};

/// The disk beneath a path, and what limits the container there.
pub(super) fn facts(place: &Place) -> Result<IoFacts, HelperError> {
    let target = init(place)?;
    let Some(device) = disk(target, &place.path)? else {
        return Ok(IoFacts { device: None, limits: IoLimits::default() });
    };
    let memberships = memberships(target)?;
    let limits = cgroup::find(&memberships, cgroup::IO, |cgroup| io_limits::read(cgroup, device))?;
    Ok(IoFacts { device: Some(device), limits })
}

/// The disk that the filesystem at `path` lies on. Its own number names it, or on btrfs, which
/// makes numbers up, its source.
pub(super) fn disk(target: Identity, path: &str) -> Result<Option<Dev>, HelperError> {
    let found = inside(target, path, |here| {
        let table = here.mounts.read()?;
        Ok(table.covering(here.path).map(|mount| (Dev::from(mount.dev), mount.source.clone())))
    })?;
    let Some((dev, source)) = found else { return Ok(None) };
    if let Some(disk) = whole_disk(dev)? {
        return Ok(Some(disk));
    }
    let Ok(name) = Path::new(&source).strip_prefix("/dev") else { return Ok(None) };
    let Ok(stat) = rustix::fs::stat(nodes().join(name)) else { return Ok(None) };
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    Ok(whole_disk(Dev { major, minor })?)
}

/// Changes the limits of one device, if they are what they were. The cgroup goes with its
/// container, and its limits with it.
pub(super) fn limit(init: Init, dev: Dev, from: IoLimits, to: IoLimits) -> Done {
    let target = Identity::from(init);
    let done = memberships(target).map_err(HelperError::from).and_then(|memberships| {
        cgroup::find(&memberships, cgroup::IO, |cgroup| {
            let now = io_limits::read(cgroup, dev)?;
            if now == to {
                return Ok(Outcome::Already);
            }
            if now != from {
                let detail = format!("the limits of {dev} are {now:?} by now, not {from:?}");
                return Err(HostError::NotOurs { path: cgroup.dir.clone(), detail });
            }
            match io_limits::write(cgroup, dev, to) {
                // the device has gone, and its limits with it
                Err(error) if error.is(libc::ENODEV) && to == IoLimits::default() => {
                    Ok(Outcome::Already)
                }
                done => done.map(|()| Outcome::Done),
            }
        })
    });
    match done {
        Err(_) if !target.is_alive() => Ok(Outcome::Already),
        done => done,
    }
}

/// Measures the container's I/O at a path.
pub(super) fn pace(place: &Place, trial: PaceTrial) -> Result<Pace, HelperError> {
    let errand = PaceErrand { target: init(place)?, path: place.path.clone(), trial };
    let within = trial.within();
    errand::send(&Errand::Pace(errand), within)?.ok_or_else(|| HelperError::Timeout {
        seconds: within.as_secs(),
        what: "a measurement of I/O".into(),
    })
}
