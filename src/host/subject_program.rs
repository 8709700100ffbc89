//! A program of the subject's, run as the subject would run it: its user, its groups' first, and
//! no capability that the subject's first process does not have, nor any that we lack.
//!
//! Called on a thread that is in the subject's namespaces already (`namespace::in_all_ns`). It
//! stays in our own cgroups: what it uses is not counted against the subject.
#![expect(unsafe_code, reason = "the child drops capabilities between fork and exec")]

use std::fs;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
};

use super::error::{Context as _, HostError, HostResult};
use super::process::Identity;

/// Whom a program is run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    uid: u32,
    gid: u32,
    capabilities: u64,
}

impl Subject {
    /// As this process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn of(target: Identity) -> HostResult<Self> {
        let path = target.proc_path("status");
        let text = fs::read_to_string(&path).op("read", &path)?;
        target.check()?;
        Self::parse(&text).ok_or_else(|| {
            HostError::malformed(path.display().to_string(), "Uid, Gid or CapEff is missing")
        })
    }

    fn parse(status: &str) -> Option<Self> {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        // real, effective, saved, file system (proc(5))
        let effective = |name| field(name)?.split_ascii_whitespace().nth(1)?.parse().ok();
        let capabilities = u64::from_str_radix(field("CapEff:")?.trim(), 16).ok()?;
        Some(Self { uid: effective("Uid:")?, gid: effective("Gid:")?, capabilities })
    }
}

/// Runs a program to its end; returns its exit code, for a signal 128 and its number.
///
/// # Errors
/// When it cannot be started.
pub fn run(
    program: &Path,
    args: &[String],
    env: &[(String, String)],
    cwd: &Path,
    input: Stdio,
    subject: &Subject,
) -> HostResult<u8> {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(env.iter().map(|(name, value)| (name, value)));
    command.current_dir(cwd).stdin(input).uid(subject.uid).gid(subject.gid);
    let allowed = CapabilitySet::from_bits_retain(subject.capabilities);
    // SAFETY: after fork the closure makes three system calls and allocates nothing.
    unsafe { command.pre_exec(move || confine(allowed)) };
    let status = command.status().op("exec", program)?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// Without new privileges, an exec as root gives back no more than is permitted now
/// (`cap_bprm_creds_from_file` in the kernel's security/commoncap.c).
fn confine(allowed: CapabilitySet) -> io::Result<()> {
    let permitted = capabilities(None)?.permitted & allowed;
    let inheritable = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: permitted, permitted, inheritable })?;
    Ok(set_no_new_privs(true)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::root_or_skip;

    #[test]
    fn a_status_is_read() {
        let status = "Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nCapEff:\t00000000000000ff\n";
        assert_eq!(Subject::parse(status), Some(Subject { uid: 2, gid: 6, capabilities: 0xff }));
        assert_eq!(Subject::parse("Uid:\t1\n"), None);
    }

    #[test]
    fn root_keeps_no_capability_that_the_subject_lacks() {
        if !root_or_skip() {
            return;
        }
        // CAP_CHOWN alone: bit 0
        let subject = Subject { uid: 0, gid: 0, capabilities: 1 };
        let script =
            ["-c", "grep -q '^CapEff:.*0000000000000001$' /proc/self/status || exit 9; exit 5"];
        let args = script.map(str::to_owned);
        let code = run(Path::new("/bin/sh"), &args, &[], Path::new("/"), Stdio::null(), &subject);
        // 9 where this test itself runs without that capability
        assert_eq!(code, Ok(5));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let subject = Subject { uid: 0, gid: 0, capabilities: 0 };
        let program = Path::new("/no/such/program");
        assert!(run(program, &[], &[], Path::new("/"), Stdio::null(), &subject).is_err());
    }
}
