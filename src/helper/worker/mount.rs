//! Ops that stack mounts, take them off again, and break a filesystem of the run.

use std::path::Path;

use super::{
    super::HelperError,
    context::{Context, Done},
    facts::is_host,
    place::{dev_of, init, inside},
};
use crate::{
    host::{
        error::{HostError, HostResult},
        mount_clone::{MountChange, stack_clone as clone_on_top},
        mountinfo::MountEntry,
        process::Identity,
        shutdown::{Flush, shutdown, trigger_ext4_error},
        unstack::{unstack_above, unstack_to},
    },
    protocol::{Dev, Init, MountFlag, Outcome, Place},
};

/// Stacks a clone of the mount at `place` on itself.
pub(super) fn stack_clone(place: &Place, set: &[MountFlag], clear: &[MountFlag]) -> Done {
    let target = init(place)?;
    let has = |flag: MountFlag| match (set.contains(&flag), clear.contains(&flag)) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    let change = MountChange::of(has);
    let id = inside(target, &place.path, |here| {
        refuse_shared(here.mounts.read()?.covering(here.path), here.path)?;
        clone_on_top(here.path, change)
    })?;
    Ok(Outcome::Mounted { id })
}

/// On a shared mount the clone would also appear elsewhere: outside the container.
pub(super) fn refuse_shared(mount: Option<&MountEntry>, path: &Path) -> HostResult<()> {
    if mount.is_some_and(MountEntry::is_shared) {
        let detail = "the mount is shared, so the fault would reach other namespaces".to_owned();
        return Err(HostError::NotOurs { path: path.to_owned(), detail });
    }
    Ok(())
}

/// Takes off what lies above mount `keep`.
pub(super) fn unstack(place: &Place, init: Init, keep: u64) -> Done {
    let target = Identity::from(init);
    let taken = inside(target, &place.path, |here| {
        let table = here.mounts.read()?;
        match table.at(here.path).iter().find(|mount| mount.id == keep) {
            Some(mount) => unstack_to(here.mounts, here.path, &mount.key()),
            // the place was no mount point before: `keep` is the mount that holds it
            None => unstack_above(here.mounts, here.path, keep),
        }
    });
    undone(target, taken)
}

/// Counts as undone what has gone with its namespace.
pub(super) fn undone(target: Identity, taken: HostResult<usize>) -> Done {
    match taken {
        Ok(0) => Ok(Outcome::Already),
        Ok(_) => Ok(Outcome::Done),
        Err(_) if !target.is_alive() => Ok(Outcome::Already),
        Err(error) => Err(error.into()),
    }
}

/// Makes the filesystem at `place` refuse writes through open descriptors too.
pub(super) fn break_filesystem(place: &Place, dev: Dev, cx: &Context) -> Done {
    let target = init(place)?;
    if is_host(target, &place.path, &cx.dir)? {
        let path = &place.path;
        let refused = format!("`{path}` is on the engine's own filesystem, which is never broken");
        return Err(HelperError::Refused(refused));
    }
    inside(target, &place.path, |here| {
        same_dev(here.path, dev)?;
        let table = here.mounts.read()?;
        let reacts = table.covering(here.path).is_some_and(|mount| {
            mount.fs_type == "ext4"
                && mount.super_options.split(',').any(|option| option == "errors=remount-ro")
        });
        if reacts {
            trigger_ext4_error(here.path, "keelhaul: filesystem broken on purpose")
        } else {
            shutdown(here.path, Flush::Data)
        }
    })?;
    Ok(Outcome::Done)
}

/// Refuses another superblock than the one that was meant.
pub(super) fn same_dev(path: &Path, dev: Dev) -> HostResult<()> {
    let found = dev_of(path)?;
    if found == dev {
        return Ok(());
    }
    let detail = format!("expected superblock {dev}, found {found}");
    Err(HostError::NotOurs { path: path.to_owned(), detail })
}
