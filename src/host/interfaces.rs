//! The network namespace of a process, as the kernel lists it under `/proc/PID/net`. Only looks.

use std::fs;

use super::error::{HostError, HostResult};
use super::process::Identity;

/// Names of its interfaces, the loopback included (proc(5), `net/dev`).
///
/// # Errors
/// [`HostError::Gone`], or the failed call.
pub fn names(target: Identity) -> HostResult<Vec<String>> {
    let table = read(target, "net/dev")?;
    // two lines of head, then `  eth0: 1234 …`
    let names = table.lines().skip(2).filter_map(|line| line.split_once(':'));
    Ok(names.map(|(name, _)| name.trim().to_owned()).collect())
}

/// Its own IPv4 addresses, each once: the local hosts of the routing table (`net/fib_trie`).
///
/// # Errors
/// As [`names`].
pub fn addresses(target: Identity) -> HostResult<Vec<String>> {
    Ok(local_hosts(&read(target, "net/fib_trie")?))
}

/// A leaf is `|-- 172.18.0.2`, and the line after it says what it is: `/32 host LOCAL`.
fn local_hosts(trie: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut leaf = "";
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address;
        } else if line == "/32 host LOCAL" {
            found.push(leaf.to_owned());
        }
    }
    found.sort();
    found.dedup();
    found
}

fn read(target: Identity, name: &str) -> HostResult<String> {
    let path = target.proc_path(name);
    let text = fs::read_to_string(&path).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => HostError::Gone { pid: target.pid },
        _ => HostError::sys("read", &path, error),
    })?;
    target.check()?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::{Target, root_or_skip};

    #[test]
    fn local_hosts_are_told_from_routes_and_broadcasts() {
        let trie = "Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 172.21.0.0/30 2 0 2
        |-- 172.21.0.0
           /16 link UNICAST
        |-- 172.21.0.2
           /32 host LOCAL
     |-- 172.21.255.255
        /32 link BROADCAST
Local:
        |-- 172.21.0.2
           /32 host LOCAL
";
        assert_eq!(local_hosts(trie), ["172.21.0.2"]);
    }

    #[test]
    fn a_new_namespace_has_a_loopback_and_no_address() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start("true");
        assert_eq!(names(target.identity()).unwrap(), ["lo"]);
        assert_eq!(addresses(target.identity()).unwrap(), Vec::<String>::new());
    }
}
