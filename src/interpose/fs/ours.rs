//! Looks of our own, told from what others do.

use std::{fs, os::unix::fs::MetadataExt as _, sync::OnceLock};

use crate::protocol::IoOp;

/// Whether this is a look, and one of our own: the worker walks to a trial by names that are the
/// service's, and reads its probes there. The process runs the executable that we run; a subject
/// that is made of it has a copy, in a filesystem of its own.
pub(super) fn is_ours(op: IoOp, pid: u32) -> bool {
    static OWN: OnceLock<Option<(u64, u64)>> = OnceLock::new();
    op.is_look()
        && OWN
            .get_or_init(|| executable("self"))
            .is_some_and(|own| executable(&pid.to_string()) == Some(own))
}

fn executable(process: &str) -> Option<(u64, u64)> {
    let file = fs::metadata(format!("/proc/{process}/exe")).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_looks_and_only_our_own() {
        let own = std::process::id();
        assert!(is_ours(IoOp::Stat, own) && is_ours(IoOp::Statfs, own));
        assert!(!is_ours(IoOp::Write, own), "what is written is written");
        assert!(!is_ours(IoOp::Stat, u32::MAX), "nobody");
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(!is_ours(IoOp::Stat, other.id()));
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
