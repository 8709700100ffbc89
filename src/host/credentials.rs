//! Who a process is to the filesystem, and a thread that acts as it.
//!
//! Reads `/proc` and changes the calling thread only. It decides nothing about files.
#![expect(unsafe_code, reason = "setfsuid and setfsgid have no wrapper")]

use std::fs;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_thread_groups};

use super::error::{Context, HostError, HostResult};
use super::process::Identity;

/// What the kernel looks at when a process touches a file (credentials(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User for permission checks: `fsuid`.
    pub uid: u32,
    /// Group for permission checks: `fsgid`.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Effective capabilities.
    capabilities: CapabilitySet,
}

/// Capabilities before which permission bits and owners do not count.
const OVERRIDES: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH);

impl Credentials {
    /// The credentials of a process, as they are now.
    ///
    /// # Errors
    /// [`HostError::Gone`] when it has ended, or an unreadable `/proc`.
    pub fn of(process: Identity) -> HostResult<Self> {
        let path = process.proc_path("status");
        let text = fs::read_to_string(&path).op("read", &path)?;
        process.check()?;
        Self::parse(&text).ok_or_else(|| HostError::malformed(path.display().to_string(), "ids"))
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        // real, effective, saved, and the one that counts for files
        let last = |name| field(name)?.split_whitespace().nth(3)?.parse().ok();
        let groups = field("Groups:")?.split_whitespace().map(str::parse).collect::<Result<_, _>>();
        let bits = u64::from_str_radix(field("CapEff:")?.trim(), 16).ok()?;
        Some(Self {
            uid: last("Uid:")?,
            gid: last("Gid:")?,
            groups: groups.ok()?,
            capabilities: CapabilitySet::from_bits_retain(bits),
        })
    }

    /// Whether it passes permission checks that its user and groups would not.
    #[must_use]
    pub fn overrides(&self) -> bool {
        self.capabilities.intersects(OVERRIDES)
    }

    /// The same without the capabilities that override permission checks.
    #[must_use]
    pub fn without_overrides(&self) -> Self {
        Self { capabilities: self.capabilities.difference(OVERRIDES), ..self.clone() }
    }

    /// Makes the calling thread act with these credentials, for as long as it lives: call it on a
    /// thread that ends afterwards. Only capabilities that this process has can be taken on.
    ///
    /// # Errors
    /// The failed call; the thread may have changed by half.
    pub fn assume(&self) -> HostResult<()> {
        let what = "credentials";
        let groups: Vec<_> =
            self.groups.iter().map(|gid| rustix::process::Gid::from_raw(*gid)).collect();
        set_thread_groups(&groups).op("setgroups", what)?;
        // SAFETY: both calls change two numbers of this thread and touch no memory; the kernel
        // answers with the old number, so that a refusal shows in the second answer only
        let (uid, gid) = unsafe {
            libc::setfsgid(self.gid);
            libc::setfsuid(self.uid);
            (libc::setfsuid(self.uid), libc::setfsgid(self.gid))
        };
        if (uid.cast_unsigned(), gid.cast_unsigned()) != (self.uid, self.gid) {
            return Err(HostError::sys("setfsuid", what, rustix::io::Errno::PERM));
        }
        let mut sets = capabilities(None).op("capget", what)?;
        sets.effective = self.capabilities.intersection(sets.permitted);
        set_capabilities(None, sets).op("capset", what)?;
        // the kernel hides a process that has changed its user from /proc: this one has nothing
        // to hide
        set_dumpable_behavior(DumpableBehavior::Dumpable).op("prctl", what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::root_or_skip;

    const STATUS: &str = "Name:\ta b\nUid:\t0\t0\t0\t1001\nGid:\t0\t0\t0\t7\nGroups:\t7 9 \n\
                          CapEff:\t0000000000000002\n";

    #[test]
    fn the_ids_for_files_are_read() {
        let found = Credentials::parse(STATUS).unwrap();
        assert_eq!((found.uid, found.gid, found.groups.as_slice()), (1001, 7, &[7, 9][..]));
        assert!(found.overrides() && !found.without_overrides().overrides());
        let none = Credentials::parse(&STATUS.replace("7 9 ", "")).unwrap();
        assert!(none.groups.is_empty());
        assert!(Credentials::parse("Uid:\t0\n").is_none());
    }

    #[test]
    fn a_thread_is_refused_what_its_user_is_refused() {
        if !root_or_skip() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let create = |credentials: Credentials| {
            let path = dir.path().join("file");
            std::thread::spawn(move || {
                credentials.assume().unwrap();
                let made = fs::File::create(&path);
                if made.is_ok() {
                    fs::remove_file(path).unwrap();
                }
                made.map(drop).map_err(|error| error.raw_os_error())
            })
            .join()
            .unwrap()
        };
        let own = Credentials::of(Identity::of(std::process::id()).unwrap()).unwrap();
        std::os::unix::fs::chown(dir.path(), Some(1001), Some(1001)).unwrap();
        assert_eq!(create(own.clone()), Ok(()));
        assert_eq!(create(own.without_overrides()), Err(Some(libc::EACCES)));
        let theirs = Credentials { uid: 1001, gid: 1001, groups: Vec::new(), ..own };
        assert_eq!(create(theirs.without_overrides()), Ok(()));
        assert!(fs::File::create(dir.path().join("still")).is_ok(), "other threads are as before");
    }
}
