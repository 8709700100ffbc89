//! A thread that makes files for another user: they are to be the user's own from the first moment.
//!
//! Only the ids that filesystems look at change, and only of this thread. What the user may do has
//! been decided by then, with groups that are not known here: so the right to override stays.

use std::marker::PhantomData;

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// Ends when dropped, on the thread that began it.
#[derive(Debug)]
#[must_use = "it ends when dropped"]
pub struct ActingFor {
    changed: bool,
    /// Of one thread.
    _thread: PhantomData<*const ()>,
}

impl ActingFor {
    /// What this thread makes from here on belongs to this user and group.
    pub fn user(uid: u32, gid: u32) -> Self {
        let changed = (uid, gid) != (0, 0);
        if changed {
            setfsgid(Gid::from_raw(gid));
            setfsuid(Uid::from_raw(uid));
            // another user than root loses these from what is in effect (capabilities(7))
            override_permissions();
        }
        Self { changed, _thread: PhantomData }
    }
}

fn override_permissions() {
    if let Ok(mut sets) = capabilities(None) {
        sets.effective |= sets.permitted & (CapabilitySet::DAC_OVERRIDE | CapabilitySet::MKNOD);
        // without it, what the user has no right to stays refused
        let _ = set_capabilities(None, sets);
    }
}

impl Drop for ActingFor {
    fn drop(&mut self) {
        if self.changed {
            setfsuid(Uid::from_raw(0));
            setfsgid(Gid::from_raw(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt as _};

    use super::*;
    use crate::host::testing::root_or_skip;

    #[test]
    fn a_file_belongs_to_whom_it_is_made_for_even_where_they_could_not_have_made_it() {
        if !root_or_skip() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str| {
            fs::write(dir.path().join(name), "x").unwrap();
            let meta = fs::metadata(dir.path().join(name)).unwrap();
            (meta.uid(), meta.gid())
        };
        {
            let _as_them = ActingFor::user(4711, 4712);
            assert_eq!(of("theirs"), (4711, 4712));
        }
        assert_eq!(of("ours"), (0, 0));
    }
}
