//! Places where a test can make a process die, and the switch that makes ops do nothing.
//!
//! `KEELHAUL_KILL_POINT=ROLE:K[:SITE]` kills the process of that role (`cli`, `keeper`, `worker`)
//! at the K-th time, counted from 1, that it comes by that site: `journal` (default; after a
//! journal write), `act` (after an act, before its outcome is told), `rollback` (after an undo op).
//! `KEELHAUL_VACUOUS_OP=1` makes the worker answer ops with plausible outcomes without acting.
//! In the manner of etcd's gofail. Unset, each costs one atomic load. It must never do more.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// Names of the environment variables, passed on to the helper's container by the command line.
pub const VARIABLES: [&str; 2] = [KILL_POINT, VACUOUS_OP];
const KILL_POINT: &str = "KEELHAUL_KILL_POINT";
const VACUOUS_OP: &str = "KEELHAUL_VACUOUS_OP";

/// Which process this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The command line.
    Cli,
    /// The helper's main process.
    Keeper,
    /// The helper's other process.
    Worker,
}

/// Where it can be made to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    Journal,
    Act,
    Rollback,
}

/// What the environment asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    role: Role,
    nth: u64,
    site: Site,
}

static ROLE: OnceLock<Role> = OnceLock::new();
static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
static SEEN: AtomicU64 = AtomicU64::new(0);

/// Says which process this is. Without it no kill point is armed.
pub fn this_is(role: Role) {
    let _ = ROLE.set(role);
}

/// A journal write is done; for the command line: known to be done.
pub fn journal_written() {
    hit(Site::Journal);
}

/// An act is done, and nobody has been told yet.
pub fn acted() {
    hit(Site::Act);
}

/// An undo op is done.
pub fn undone() {
    hit(Site::Rollback);
}

/// Ops are to be answered without acting.
#[must_use]
pub fn vacuous() -> bool {
    std::env::var(VACUOUS_OP).is_ok_and(|value| value == "1")
}

fn hit(site: Site) {
    let armed = WANTED.get_or_init(|| parse(&std::env::var(KILL_POINT).ok()?));
    let Some(wanted) = armed else { return };
    if wanted.site != site || ROLE.get() != Some(&wanted.role) {
        return;
    }
    if SEEN.fetch_add(1, Ordering::Relaxed) + 1 == wanted.nth {
        // SIGKILL and not abort: no handler, no core file, no flushing of anything
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}

fn parse(text: &str) -> Option<Wanted> {
    let mut parts = text.split(':');
    let role = match parts.next()? {
        "cli" => Role::Cli,
        "keeper" => Role::Keeper,
        "worker" => Role::Worker,
        _ => return None,
    };
    let nth = parts.next()?.parse().ok()?;
    let site = match parts.next() {
        None | Some("journal") => Site::Journal,
        Some("act") => Site::Act,
        Some("rollback") => Site::Rollback,
        Some(_) => return None,
    };
    Some(Wanted { role, nth, site })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_read_strictly() {
        let wanted = |role, nth, site| Some(Wanted { role, nth, site });
        assert_eq!(parse("cli:3"), wanted(Role::Cli, 3, Site::Journal));
        assert_eq!(parse("keeper:1:rollback"), wanted(Role::Keeper, 1, Site::Rollback));
        assert_eq!(parse("worker:2:act"), wanted(Role::Worker, 2, Site::Act));
        for bad in ["", "cli", "cli:x", "dog:1", "cli:1:moon"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
