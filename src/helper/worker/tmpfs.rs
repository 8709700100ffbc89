//! Ops on tmpfs: one stacked with our mark, and the limits of any.

use std::path::Path;

use super::{
    super::HelperError,
    context::Done,
    mount::{refuse_shared, same_dev, undone},
    place::{dev_of, init, inside, ways},
};
use crate::{
    host::{
        error::HostResult,
        memory,
        process::Identity,
        statfs::FsUsage,
        tmpfs::{self, Limits, TmpfsSpec},
    },
    protocol::{Dev, Init, Outcome, Place},
};

/// The tmpfs to be stacked; a missing limit is the kernel's default: half of memory, and an inode
/// for every two pages (Documentation/filesystems/tmpfs.rst).
pub(super) fn spec(
    mark: &str,
    size: Option<u64>,
    inodes: Option<u64>,
    (mode, uid, gid): (u32, u32, u32),
) -> Result<TmpfsSpec, HelperError> {
    let memory = memory::total().ok_or_else(|| {
        HelperError::Refused("`/proc/meminfo` does not say how much memory there is".into())
    })?;
    let half = (memory / 2) & !4095;
    let limits = Limits { bytes: size.or(Some(half)), inodes: inodes.or(Some(memory / 4096 / 2)) };
    Ok(TmpfsSpec { source: mark.to_owned(), limits, mode, uid, gid })
}

/// Stacks a marked tmpfs.
pub(super) fn stack(place: &Place, spec: &TmpfsSpec) -> Done {
    let target = init(place)?;
    let id = inside(target, &place.path, |here| {
        refuse_shared(here.mounts.read()?.covering(here.path), here.path)?;
        tmpfs::mount_over(here.path, spec)
    })?;
    Ok(Outcome::Mounted { id })
}

/// Takes it off.
pub(super) fn unstack(place: &Place, init: Init, mark: &str) -> Done {
    let target = Identity::from(init);
    let taken = inside(target, &place.path, |here| {
        tmpfs::unmount_marked(here.mounts, here.path, mark).map(usize::from)
    });
    undone(target, taken)
}

/// Lowers the limits to what is in use plus what is to be left.
pub(super) fn exhaust(
    place: &Place,
    dev: Dev,
    leave_bytes: Option<u64>,
    leave_inodes: Option<u64>,
) -> Done {
    let target = init(place)?;
    let limits = inside(target, &place.path, |here| {
        same_dev(here.path, dev)?;
        if let Some(leave) = leave_inodes {
            tmpfs::exhaust_inodes(here.path, leave)?;
        }
        if let Some(leave) = leave_bytes {
            tmpfs::exhaust_bytes(here.path, leave)?;
        }
        tmpfs::limits(here.path)
    })?;
    Ok(Outcome::Limited {
        size: limits.bytes.unwrap_or_default(),
        inodes: limits.inodes.unwrap_or_default(),
    })
}

/// Sets the limits, wherever the superblock can still be reached. Where it cannot, it has gone
/// with its last user.
pub(super) fn set_limits(place: &Place, dev: Dev, size: Option<u64>, inodes: Option<u64>) -> Done {
    let mut last = None;
    for way in ways(place)? {
        let done = inside(way.target, &way.path, |here| {
            if dev_of(here.path)? != dev {
                return Ok(None);
            }
            set(here.path, size, inodes).map(Some)
        });
        match done {
            Ok(Some(outcome)) => return Ok(outcome),
            Ok(None) => {}
            Err(error) if error.is(libc::ENOENT) || !way.target.is_alive() => {}
            Err(error) => last = Some(error),
        }
    }
    last.map_or(Ok(Outcome::Already), |error| Err(error.into()))
}

fn set(path: &Path, size: Option<u64>, inodes: Option<u64>) -> HostResult<Outcome> {
    let now = tmpfs::limits(path)?;
    let side = |wanted: Option<u64>, now: Option<u64>| match wanted {
        None => now,
        Some(0) => None,
        limit => limit,
    };
    let wanted = Limits { bytes: side(size, now.bytes), inodes: side(inodes, now.inodes) };
    if wanted == now {
        return Ok(Outcome::Already);
    }
    // a limit below what is in use by now would be refused: the subject may have written more
    let used = FsUsage::of(path)?;
    let at_least = |limit: Option<u64>, used: u64| limit.map(|limit| limit.max(used));
    let wanted = Limits {
        bytes: at_least(wanted.bytes, used.bytes_used()),
        inodes: at_least(wanted.inodes, used.inodes_used()),
    };
    tmpfs::set_limits(path, wanted)?;
    Ok(Outcome::Limited {
        size: wanted.bytes.unwrap_or_default(),
        inodes: wanted.inodes.unwrap_or_default(),
    })
}
