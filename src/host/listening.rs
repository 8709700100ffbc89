//! The TCP ports on which somebody listens in the network of a container, from the kernel's own tables.
//! Asks nobody in it, and changes nothing.

use std::{collections::BTreeSet, fs};

use super::{container_process::container_init, error::HostResult};

/// The state of a socket that listens, as `/proc/net/tcp` has it (`TCP_LISTEN`).
const LISTENS: &str = "0A";

/// Ports on which somebody listens there who is reached at 127.0.0.1; none where the container does not
/// run, or runs on another host than this process.
///
/// # Errors
/// An id that is none, unreadable `/proc`.
pub fn ports(container: &str, pid_hint: Option<u32>) -> HostResult<BTreeSet<u16>> {
    let Some(init) = container_init(container, pid_hint)? else { return Ok(BTreeSet::new()) };
    Ok(of(init.pid))
}

fn of(pid: u32) -> BTreeSet<u16> {
    let tables = ["tcp", "tcp6"].map(|table| format!("/proc/{pid}/net/{table}"));
    let texts = tables.iter().filter_map(|path| fs::read_to_string(path).ok());
    texts.flat_map(|text| text.lines().filter_map(listens).collect::<Vec<_>>()).collect()
}

/// The local port of a line, where it is a socket that listens on all addresses, or on that one.
fn listens(line: &str) -> Option<u16> {
    let mut words = line.split_whitespace().skip(1);
    let (local, state) = (words.next()?, words.nth(1)?);
    let (address, port) = local.rsplit_once(':').filter(|_| state == LISTENS)?;
    if !is_reached(address) {
        return None;
    }
    u16::from_str_radix(port, 16).ok()
}

/// The kernel writes each 32 bits of an address as a number of the machine's byte order, so that the
/// first byte of an IPv4 address is the last one here.
fn is_reached(address: &str) -> bool {
    const MAPPED: &str = "0000000000000000FFFF0000";
    let v4 = address.strip_prefix(MAPPED).unwrap_or(address);
    v4.bytes().all(|digit| digit == b'0') || v4.len() == 8 && v4.ends_with("7F")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_is_seen_until_it_does_no_more() {
        for (address, reached) in [("127.0.0.1:0", true), ("[::]:0", true), ("[::1]:0", false)] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let port = listener.local_addr().unwrap().port();
            assert_eq!(of(std::process::id()).contains(&port), reached, "{address}");
            drop(listener);
            assert!(!of(std::process::id()).contains(&port), "{address}");
        }
    }

    #[test]
    fn only_who_listens_counts() {
        let line =
            |state| format!("   0: 00000000:1538 00000000:0000 {state} 00000000:00000000 00:0");
        assert_eq!(listens(&line("0A")), Some(5432));
        assert_eq!(listens(&line("01")), None);
        let elsewhere = line("0A").replacen("00000000", "020011AC", 1);
        assert_eq!(listens(&elsewhere), None, "only at its own address");
        assert_eq!(listens("  sl  local_address rem_address   st tx_queue rx_queue"), None);
    }
}
