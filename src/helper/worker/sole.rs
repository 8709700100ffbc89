//! Filesystems that are not the run's: who else uses them is looked at before each act on one.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags, open};

use super::{
    super::HelperError,
    context::{Context, Done},
    engine, facts, fill, freeze,
    gone::not_mounted,
    image::nodes,
    mount::same_dev,
    passers_by,
    place::{init, inside},
};
use crate::{
    host::{
        container_process::{container_init, container_of, container_processes},
        error::HostResult,
        freeze::{freeze_by, thaw_device},
        process::Identity,
        superblock_users::{Asked, Held, SuperblockUser, closed, others},
    },
    protocol::{Dev, Has, OtherUser, Outcome, Place, Sole, SoleOp},
};

/// The most that are named.
const NAMED: usize = 5;

/// Performs one of its ops.
pub(super) fn act(op: &SoleOp, cx: &Context) -> Done {
    match op {
        SoleOp::Check { place, dev, sole } => {
            check(place, *dev, sole, cx)?;
            Ok(looked())
        }
        SoleOp::Freeze { place, dev, sole } => {
            check(place, *dev, sole, cx)?;
            inside(init(place)?, &place.path, |here| {
                same_dev(here.path, *dev)?;
                freeze_by(here.path, cx.deadline)
            })?;
            Ok(looked())
        }
        SoleOp::Thaw { place, dev, source, fs_type } => thaw(place, *dev, source, fs_type),
        SoleOp::RemoveFiller { place, dev, marker } => {
            let removed = fill::remove_by_ways(place, *dev, marker, cx)?;
            removed.ok_or_else(|| not_mounted(place, cx))
        }
    }
}

/// Nobody else was seen; who was not looked at is said.
fn looked() -> Outcome {
    closed().map_or(Outcome::Done, |pid| Outcome::Unseen { pid })
}

/// Who else uses the filesystem under a path; the first few.
pub(super) fn users(place: &Place, sole: &Sole) -> Result<Vec<OtherUser>, HelperError> {
    let dev = inside(init(place)?, &place.path, |here| {
        let table = here.mounts.read()?;
        Ok(table.covering(here.path).map(|mount| mount.dev))
    })?;
    let unknown =
        |what: &str| HelperError::Refused(format!("{what}, so nobody can say who uses it"));
    let dev = dev.ok_or_else(|| unknown("no mount is known to lie there"))?;
    let engine =
        engine::process().ok_or_else(|| unknown("the engine is no process of this host"))?;
    let look = || look(dev, sole, engine);
    let found = passers_by::wait_for(look, command, std::thread::sleep)?;
    Ok(found.into_iter().take(NAMED).map(named).collect())
}

/// One look; their containers may have been started since the last one.
fn look(dev: (u32, u32), sole: &Sole, engine: Identity) -> HostResult<Vec<SuperblockUser>> {
    let (mut allowed, mut inits) = (own(), Vec::new());
    for id in &sole.containers {
        allowed.extend(container_processes(id)?.into_iter().map(|process| process.pid));
        inits.extend(container_init(id, None)?);
    }
    let engine_mount = sole.engine_mount.as_deref().map(Path::new);
    others(&Asked { dev, allowed: &allowed, inits: &inits, engine, engine_mount })
}

/// Processes of our own.
fn own() -> BTreeSet<u32> {
    let me = std::process::id();
    let container = container_of(me).and_then(|id| container_processes(&id).ok());
    let all = container.unwrap_or_default().into_iter().map(|process: Identity| process.pid);
    all.chain([me]).collect()
}

fn command(pid: u32) -> String {
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    command.trim_end().to_owned()
}

fn named(user: SuperblockUser) -> OtherUser {
    let text = |path: PathBuf| path.display().to_string();
    OtherUser {
        pid: user.pid,
        command: command(user.pid),
        container: container_of(user.pid),
        has: match user.held {
            Held::Mount(at) => Has::Mounted(text(at)),
            Held::File(path) => Has::Open(text(path)),
        },
    }
}

/// Refuses what is not theirs alone, now.
fn check(place: &Place, dev: Dev, sole: &Sole, cx: &Context) -> Result<(), HelperError> {
    let target = init(place)?;
    let path = &place.path;
    if facts::is_host(target, path, &cx.dir)? {
        let refused = format!("`{path}` is on the engine's own filesystem, or on the host's");
        return Err(HelperError::Refused(refused));
    }
    inside(target, path, |here| same_dev(here.path, dev))?;
    match users(place, sole)?.first() {
        None => Ok(()),
        Some(other) => {
            let refused = format!("the filesystem at `{path}` has another user by now: {other}");
            Err(HelperError::Refused(refused))
        }
    }
}

/// Thaws it: through its container, through the engine's mount, or through its device, which a frozen
/// filesystem stays on. A device that nothing is mounted on is not touched.
fn thaw(place: &Place, dev: Dev, source: &str, fs_type: &str) -> Done {
    if let Some(done) = freeze::resume_by_ways(place, dev)? {
        return Ok(done);
    }
    let Some(name) = source.strip_prefix("/dev/") else { return Ok(Outcome::Already) };
    let node = nodes().join(name);
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    match open(&node, flags, Mode::empty()) {
        // whoever holds a filesystem's device alone knows that no filesystem is on it
        Ok(_) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::NXIO) => Ok(Outcome::Already),
        Err(_) => {
            let thawed = thaw_device(&node, fs_type)?;
            Ok(if thawed { Outcome::Done } else { Outcome::Already })
        }
    }
}
