//! Which processes belong to a container, found from its id alone.
//!
//! The engine's word (a pid) is only a hint: it may be stale, and the engine may be dead. The
//! kernel's word is `/proc/<pid>/cgroup`, whose path holds the id on every layout: v1 and v2 with
//! the cgroupfs driver (`/docker/<id>`), with systemd (`/system.slice/docker-<id>.scope`). It is
//! shown relative to the reader's cgroup namespace, so the reader must be in the host's.

use std::fs;

use super::error::{Context, HostError, HostResult};
use super::process::Identity;

/// The shortest prefix of a container id that is taken for one.
const SHORTEST_ID: usize = 12;
/// Digits of a whole one.
const LONG_ID: usize = 64;

/// The init process of a container, or `None` when it does not run.
///
/// The hint (the engine's idea of the pid) is taken when that process is in the container's
/// cgroup. Otherwise every process is looked at: the init is pid 1 of its innermost pid namespace,
/// the outermost such process if containers are nested; in a container that shares the host's pid
/// namespace it is the process that started first.
///
/// # Errors
/// [`HostError::Malformed`] when the id is shorter than 12 characters; unreadable `/proc`.
pub fn container_init(id: &str, hint: Option<u32>) -> HostResult<Option<Identity>> {
    check_id(id)?;
    if let Some(pid) = hint.filter(|&pid| pid != 0 && in_container(pid, id))
        && let Ok(identity) = Identity::of(pid)
    {
        return Ok(Some(identity));
    }
    let ranked = container_processes(id)?.into_iter().filter_map(|process| {
        let chain = ns_pids(process.pid)?;
        Some(((chain.last() != Some(&1), chain.len(), process.start_time), process))
    });
    Ok(ranked.min_by_key(|(rank, _)| *rank).map(|(_, process)| process))
}

/// Every process in a container's cgroup or below it, by pid.
///
/// # Errors
/// As [`container_init`].
pub fn container_processes(id: &str) -> HostResult<Vec<Identity>> {
    check_id(id)?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").op("readdir", "/proc")? {
        let entry = entry.op("readdir", "/proc")?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if in_container(pid, id) {
            // a process that ended since is no longer one of the container's
            found.extend(Identity::of(pid).ok());
        }
    }
    found.sort_unstable_by_key(|process| process.pid);
    Ok(found)
}

/// The id of the container that a process is in, the innermost where they are nested; none outside.
#[must_use]
pub fn container_of(pid: u32) -> Option<String> {
    named_in(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

fn named_in(cgroup: &str) -> Option<String> {
    let paths = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let mut parts = paths
        .flat_map(|path| path.split('/').rev())
        .filter_map(|part| part.strip_suffix(".scope").unwrap_or(part).rsplit('-').next());
    let is_id = |id: &&str| id.len() == LONG_ID && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.find(is_id).map(str::to_owned)
}

fn check_id(id: &str) -> HostResult<()> {
    if id.len() >= SHORTEST_ID && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(HostError::malformed("container id", format!("`{id}` is not 12 or more hex digits")))
}

fn in_container(pid: u32, id: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|text| names_container(&text, id))
}

fn names_container(cgroup: &str, id: &str) -> bool {
    let paths = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.flat_map(|path| path.split('/')).any(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        part.rsplit('-').next().is_some_and(|last| last.starts_with(id))
    })
}

/// The pids of a process from the outermost to the innermost pid namespace.
fn ns_pids(pid: u32) -> Option<Vec<u32>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_ascii_whitespace().map(|pid| pid.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789ab0123456789ab0123456789ab0123456789ab0123456789ab0123";

    #[test]
    fn ids_are_found_on_every_layout() {
        for text in [
            format!("4:memory:/docker/{ID}\n0::/\n"),
            format!("0::/system.slice/docker-{ID}.scope\n"),
            format!("0::/user.slice/docker-{ID}.scope/init\n"),
            format!("4:memory:/parent/x/docker/{ID}/inner\n"),
        ] {
            assert!(names_container(&text, ID), "{text}");
            assert!(names_container(&text, &ID[..12]), "{text}");
            assert!(!names_container(&text, "ffffffffffff"), "{text}");
            assert_eq!(named_in(&text).as_deref(), Some(ID), "{text}");
        }
    }

    #[test]
    fn an_empty_id_matches_no_process() {
        assert!(container_processes("").is_err());
        assert!(container_init("0::/", Some(1)).is_err());
        assert_eq!(container_init("ffffffffffff", Some(std::process::id())), Ok(None));
        assert_eq!(named_in("0::/system.slice/docker.service\n"), None);
    }

    #[test]
    fn the_own_pid_chain_ends_with_the_own_pid() {
        assert_eq!(ns_pids(std::process::id()).unwrap().last(), Some(&std::process::id()));
    }
}
