//! Whose a process is, and who else on this host is that user.
//!
//! Reads `/proc` only. Ids are those of the reader's user namespace.

use std::fs;

use super::error::{Context, HostError, HostResult};
use super::process::Identity;

/// The user a process acts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// In another user namespace than the reader: its limits are counted there.
    pub own_namespace: bool,
}

impl User {
    /// The user of a process.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of(who: Identity) -> HostResult<Self> {
        let path = who.proc_path("status");
        let status = fs::read_to_string(&path).op("read", &path)?;
        let (uid, gid) = effective(&status)
            .ok_or_else(|| HostError::malformed(path.display().to_string(), "no ids"))?;
        let namespace = |path| fs::read_link(&path).op("readlink", path);
        let theirs = namespace(who.proc_path("ns/user"))?;
        let own_namespace = theirs != namespace("/proc/self/ns/user".into())?;
        who.check()?;
        Ok(Self { uid, gid, own_namespace })
    }
}

/// Processes that act as this user, by pid.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn processes_of(uid: u32) -> HostResult<Vec<Identity>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").op("readdir", "/proc")? {
        let name = entry.op("readdir", "/proc")?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(who) = Identity::of(pid) else { continue };
        let status = fs::read_to_string(who.proc_path("status")).unwrap_or_default();
        if effective(&status).is_some_and(|(found, _)| found == uid) {
            found.push(who);
        }
    }
    found.sort_unstable_by_key(|who| who.pid);
    Ok(found)
}

/// Effective ids: the second of the four on each line (proc(5)).
fn effective(status: &str) -> Option<(u32, u32)> {
    let id = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    Some((id("Uid:")?, id("Gid:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_ids_are_the_second_ones() {
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n";
        assert_eq!(effective(status), Some((2, 6)));
        assert_eq!(effective("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_is_among_those_of_its_user() {
        let me = Identity::of(std::process::id()).unwrap();
        let user = User::of(me).unwrap();
        assert_eq!(user.uid, rustix::process::geteuid().as_raw());
        assert!(!user.own_namespace);
        assert!(processes_of(user.uid).unwrap().contains(&me));
        assert!(processes_of(0x7fff_fff0).unwrap().is_empty());
    }
}
