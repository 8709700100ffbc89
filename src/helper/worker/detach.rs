//! Ops that take a mount away and bring it back.
//!
//! What is kept dies with this process. So nothing is taken that could not also be had from the
//! engine's own mount namespace, and the directory found there must be the one that was lost.

use std::{
    collections::HashMap,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    super::HelperError,
    engine,
    place::{Inside, init, inside},
};
use crate::{
    host::{
        detach::{attach as attach_at, detach as detach_at, spare},
        device,
        error::{HostError, HostResult},
        mount_clone::MountChange,
        process::Identity,
    },
    protocol::{Dev, FileId, Init, MountFlag, Outcome, Place},
};

/// Whose mount it was, and where.
type Key = (Identity, String);

/// Mounts that were taken away.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<HashMap<Key, Arc<OwnedFd>>>>);

impl Kept {
    fn put(&self, key: Key, clone: OwnedFd) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(clone));
    }

    fn get(&self, key: &Key) -> Option<Arc<OwnedFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn drop_for(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// Keeps a clone of the mount at `place`, and detaches it.
pub(super) fn detach(
    place: &Place,
    mount: u64,
    root: FileId,
    kept: &Kept,
) -> Result<Outcome, HelperError> {
    let target = init(place)?;
    drop(from_engine(place, root, MountChange::default())?);
    let key = (target, place.path.clone());
    inside(target, &place.path, |here| {
        if root_at(here.path)? != root {
            return Err(not_the_one(here.path, "another directory is mounted there"));
        }
        detach_at(here.mounts, here.path, mount, |clone| kept.put(key, clone))
    })?;
    Ok(Outcome::Done)
}

/// Attaches it again: what was kept, else another clone by way of the engine.
pub(super) fn attach(
    place: &Place,
    target: Init,
    root: FileId,
    flags: &[MountFlag],
    kept: &Kept,
) -> Result<Outcome, HelperError> {
    let target = Identity::from(target);
    let key = (target, place.path.clone());
    let done = attach_again(place, target, root, flags, kept.get(&key).as_deref());
    let done = match done {
        Err(_) if !target.is_alive() => Ok(Outcome::Already),
        other => other,
    };
    if done.is_ok() {
        kept.drop_for(&key);
    }
    done
}

fn attach_again(
    place: &Place,
    target: Identity,
    root: FileId,
    flags: &[MountFlag],
    kept: Option<&OwnedFd>,
) -> Result<Outcome, HelperError> {
    if inside(target, &place.path, |here| is_there(here, root))? {
        return Ok(Outcome::Already);
    }
    let grafted = match kept {
        Some(_) => None,
        None => Some(from_engine(place, root, exactly(flags))?),
    };
    let Some(clone) = kept.or(grafted.as_ref()) else { return Ok(Outcome::Already) };
    inside(target, &place.path, |here| {
        // nobody else mounts here; a second undo of ours might have
        if !is_there(here, root)? {
            attach_at(clone, here.path)?;
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
}

/// Whether the right directory is mounted there; an error when a mount is, and another one.
fn is_there(here: &Inside<'_>, root: FileId) -> HostResult<bool> {
    let mounted = !here.mounts.read()?.at(here.path).is_empty();
    if mounted && root_at(here.path)? != root {
        return Err(not_the_one(here.path, "another mount has taken its place"));
    }
    Ok(mounted)
}

/// A clone of the same directory as the engine shows it.
fn from_engine(place: &Place, root: FileId, change: MountChange) -> Result<OwnedFd, HelperError> {
    let only = || {
        let path = &place.path;
        let reason = "only this container shows what is mounted there, so it might not come back";
        HelperError::Refused(format!("`{path}` is not taken away: {reason}"))
    };
    let (Some(path), Some(engine)) = (&place.host_path, engine::process()) else {
        return Err(only());
    };
    let clone = inside(engine, path, |here| {
        if root_at(here.path)? != root {
            return Err(not_the_one(here.path, "the engine shows another directory"));
        }
        spare(here.path, change)
    });
    clone.map_err(|error| if error.is(libc::ENOENT) { only() } else { error.into() })
}

/// These flags and no others.
fn exactly(flags: &[MountFlag]) -> MountChange {
    MountChange::of(|flag| Some(flags.contains(&flag)))
}

fn root_at(path: &Path) -> HostResult<FileId> {
    let stat = rustix::fs::stat(path).map_err(|errno| HostError::sys("stat", path, errno))?;
    let (dev, inode) = device::numbers(path, (stat.st_dev, stat.st_ino));
    let dev = Dev { major: rustix::fs::major(dev), minor: rustix::fs::minor(dev) };
    Ok(FileId { dev, inode })
}

fn not_the_one(path: &Path, detail: &str) -> HostError {
    HostError::NotOurs { path: path.to_owned(), detail: detail.to_owned() }
}
