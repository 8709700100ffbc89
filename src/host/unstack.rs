//! Takes off what was stacked on a mount, down to a mount that is known.
//!
//! The inverse of every act that covers a path. It never unmounts the mount it was told to keep,
//! nor anything when that mount is not in the stack: a stale undo must not reach the real volume.

use std::path::Path;

use rustix::mount::{UnmountFlags, unmount};

use super::error::{Context, HostError, HostResult};
use super::mountinfo::{MountEntry, MountKey, Reader};

/// The most mounts that are taken off: no act of ours stacks anywhere near as many.
const DEEPEST: usize = 64;

/// Unmounts (lazily) what lies above `keep` at `path`; returns how many mounts that were.
///
/// `0` when `keep` already is the top: doing it twice changes nothing. `mounts` must be the table
/// of the namespace the caller is in, opened before it was entered.
///
/// # Errors
/// [`HostError::NotOurs`] when `keep` is not in the stack at `path`; nothing was unmounted then.
pub fn unstack_to(mounts: &Reader, path: &Path, keep: &MountKey) -> HostResult<usize> {
    for taken in 0..DEEPEST {
        let table = mounts.read()?;
        let stack = table.at(path);
        let Some(position) = stack.iter().position(|mount| mount.key() == *keep) else {
            return Err(not_in_stack(path, keep, &stack));
        };
        if position + 1 == stack.len() {
            return Ok(taken);
        }
        unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).op("umount2", path)?;
    }
    let detail = format!("more than {DEEPEST} mounts above mount {}", keep.id);
    Err(HostError::NotOurs { path: path.to_path_buf(), detail })
}

/// Unmounts (lazily) every mount at `path` that stands on a mount below it: for a path that was no
/// mount point before. `keep` is the id of the mount that holds the path; returns how many mounts
/// were taken off.
///
/// # Errors
/// [`HostError::NotOurs`] when the path is held by another mount; nothing was unmounted then.
pub fn unstack_above(mounts: &Reader, path: &Path, keep: u64) -> HostResult<usize> {
    for taken in 0..DEEPEST {
        let table = mounts.read()?;
        let stack = table.at(path);
        match stack.first() {
            Some(lowest) if lowest.parent == keep => {
                unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).op("umount2", path)?;
            }
            None if table.covering(path).is_some_and(|mount| mount.id == keep) => return Ok(taken),
            _ => {
                let found: Vec<String> = stack.iter().map(|mount| mount.id.to_string()).collect();
                let detail = format!("expected mount {keep} below, found {}", found.join(", "));
                return Err(HostError::NotOurs { path: path.to_path_buf(), detail });
            }
        }
    }
    let detail = format!("more than {DEEPEST} mounts above mount {keep}");
    Err(HostError::NotOurs { path: path.to_path_buf(), detail })
}

fn not_in_stack(path: &Path, keep: &MountKey, stack: &[&MountEntry]) -> HostError {
    let found: Vec<String> = stack.iter().map(|mount| mount.id.to_string()).collect();
    let found = if found.is_empty() { "no mount".to_owned() } else { found.join(", ") };
    let detail = format!("expected mount {} in the stack, found {found}", keep.id);
    HostError::NotOurs { path: path.to_path_buf(), detail }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::host::mount_clone::{MountChange, stack_clone};
    use crate::host::testing::{in_private_mounts, own_tmpfs};

    #[test]
    fn the_stack_is_taken_off_once_and_the_kept_mount_stays() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=1m");
            fs::write(dir.join("f"), "x").unwrap();
            let mounts = Reader::open_own().unwrap();
            let keep = mounts.read().unwrap().covering(&dir).unwrap().key();
            let change = MountChange { read_only: Some(true), ..MountChange::default() };
            stack_clone(&dir, change).unwrap();
            stack_clone(&dir, change).unwrap();
            assert_eq!(unstack_to(&mounts, &dir, &keep), Ok(2));
            assert_eq!(unstack_to(&mounts, &dir, &keep), Ok(0));
            fs::write(dir.join("f"), "y").unwrap();
        });
    }

    #[test]
    fn a_stale_undo_touches_nothing() {
        in_private_mounts(|| {
            let dir = own_tmpfs("size=1m");
            let mounts = Reader::open_own().unwrap();
            let mine = mounts.read().unwrap().covering(&dir).unwrap().key();
            stack_clone(&dir, MountChange::default()).unwrap();
            for stale in [
                MountKey { id: mine.id + 100_000, ..mine.clone() },
                MountKey { root: "/other".into(), ..mine.clone() },
            ] {
                let error = unstack_to(&mounts, &dir, &stale).unwrap_err();
                assert!(matches!(error, HostError::NotOurs { .. }), "{error}");
            }
            assert_eq!(mounts.read().unwrap().at(&dir).len(), 2);
        });
    }
}
