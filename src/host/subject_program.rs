//! A program of the subject's, run as the subject would run it: its user, its groups' first, and
//! no capability that the subject's first process does not have, nor any that we lack.
//!
//! Called on a thread that is in the subject's namespaces already (`namespace::in_all_ns`). It
//! stays in our own cgroups: what it uses is not counted against the subject.
#![expect(unsafe_code, reason = "the child drops capabilities between fork and exec")]

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Gid, Pid, Signal, Uid, kill_process_group, set_parent_process_death_signal};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::error::{Context as _, HostError, HostResult};
use super::process::Identity;

/// Between two looks whether a program has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes of what it says of an error that are kept.
const REASON: usize = 400;

/// Whom a program is run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    uid: u32,
    gid: u32,
    capabilities: u64,
}

impl Subject {
    /// The host's root, who owns devices and needs no other right to read them.
    pub const ROOT_WITHOUT_RIGHTS: Self = Self { uid: 0, gid: 0, capabilities: 0 };

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
    let mut command = confined(program, args, env, subject);
    let status = command.current_dir(cwd).stdin(input).status().op("exec", program)?;
    Ok(code(status))
}

/// What a program said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit code, for a signal 128 and its number.
    pub code: u8,
    /// Its standard output.
    pub output: Vec<u8>,
    /// The end of its standard error.
    pub errors: String,
}

/// Runs a program to its end, with nothing to read, in `/`, as a member of the cgroup with this door, or of
/// ours: which devices it may open is decided there. None where it takes longer than `within`, or
/// prints more than `most` bytes. It is killed then, and when the calling thread ends; so is whatever it
/// leaves behind in any case. The first of a pid namespace has a `/proc` of that namespace, to read.
///
/// # Errors
/// When it cannot be started.
pub fn listen(
    program: &Path,
    args: &[String],
    env: &[(String, String)],
    subject: &Subject,
    cgroup: Option<&File>,
    (within, most): (Duration, u64),
) -> HostResult<Option<Said>> {
    let end = Instant::now() + within;
    // no pipes: a thread in another pid namespace can start processes, but no thread to read them
    let (output, errors) = (memory("output")?, memory("errors")?);
    let mut command = bare(program, args, env);
    command.current_dir("/").stdin(Stdio::null()).process_group(0);
    command.stdout(output.try_clone().op("dup", program)?);
    command.stderr(errors.try_clone().op("dup", program)?);
    let cgroup = cgroup.map(File::try_clone).transpose().op("dup", program)?;
    let subject = *subject;
    // SAFETY: after fork the closure makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(move || become_one_of(cgroup.as_ref(), subject)) };
    let mut family = Family(command.spawn().op("exec", program)?);
    let too_much = |file: &File| file.metadata().map_or(true, |facts| facts.len() > most);
    loop {
        if let Some(status) = family.0.try_wait().op("wait", program)? {
            drop(family);
            if too_much(&output) || too_much(&errors) {
                return Ok(None);
            }
            let errors = all(&errors, most, program)?;
            let from = errors.len().saturating_sub(REASON);
            let errors = String::from_utf8_lossy(&errors[from..]).trim().to_owned();
            let output = all(&output, most, program)?;
            return Ok(Some(Said { code: code(status), output, errors }));
        }
        if Instant::now() >= end || too_much(&output) || too_much(&errors) {
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}

/// A program with whatever it has started: all of it ends here, as it would keep in use what it was
/// shown.
struct Family(Child);

impl Drop for Family {
    fn drop(&mut self) {
        // one that has left the group is not found, and one that has ended is gone already
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

fn memory(name: &str) -> HostResult<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC).op("memfd_create", name)?.into())
}

/// What is there, and no more than so many bytes: somebody may still write to it.
fn all(file: &File, most: u64, program: &Path) -> HostResult<Vec<u8>> {
    let mut file = file;
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.take(most).read_to_end(&mut bytes));
    read.op("read", program)?;
    Ok(bytes)
}

/// With none of our environment.
fn bare(program: &Path, args: &[String], env: &[(String, String)]) -> Command {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(env.iter().map(|(name, value)| (name, value)));
    command
}

/// Likewise, and with none of our rights that the subject lacks.
fn confined(
    program: &Path,
    args: &[String],
    env: &[(String, String)],
    subject: &Subject,
) -> Command {
    let mut command = bare(program, args, env);
    command.uid(subject.uid).gid(subject.gid);
    let allowed = CapabilitySet::from_bits_retain(subject.capabilities);
    // SAFETY: after fork the closure makes three system calls and allocates nothing.
    unsafe { command.pre_exec(move || confine(allowed)) };
    command
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Makes the calling process, which is about to exec, one of the subject's: in the cgroup with this
/// door, of its user, with no right that it lacks. It ends with the thread that started it.
fn become_one_of(cgroup: Option<&File>, subject: Subject) -> io::Result<()> {
    if let Some(cgroup) = cgroup {
        rustix::io::write(cgroup, b"0")?;
    }
    if rustix::process::getpid().is_init() {
        // that of the mounts that were copied is another namespace's: there `/proc/self` dangles.
        // What a container's engine hides of it may be read there, and nothing be changed
        let flags =
            MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount(c"proc", c"/proc", c"proc", flags, None::<&CStr>)?;
    }
    let (user, group) = (Uid::from_raw(subject.uid), Gid::from_raw(subject.gid));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    set_thread_res_uid(user, user, user)?;
    confine(CapabilitySet::from_bits_retain(subject.capabilities))?;
    // last: a change of user takes it back (prctl(2))
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
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
    use crate::host::namespace::in_copied_ns;
    use crate::host::testing::{Target, root_or_skip};

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
    fn what_is_said_is_bounded_in_time_and_bytes() {
        if !root_or_skip() {
            return;
        }
        let subject = Subject { uid: 0, gid: 0, capabilities: 0 };
        let say = |script: &str, within, most| {
            let args = ["-c".to_owned(), script.to_owned()];
            let nowhere = memory("cgroup").unwrap();
            let limits = (within, most);
            listen(Path::new("/bin/sh"), &args, &[], &subject, Some(&nowhere), limits).unwrap()
        };
        let long = Duration::from_secs(60);
        let said = say("echo there; echo why >&2; exit 3", long, 100).unwrap();
        assert_eq!(
            (said.code, said.output.as_slice(), said.errors.as_str()),
            (3, &b"there\n"[..], "why")
        );
        assert_eq!(say("echo there", long, 3), None);
        assert_eq!(say("sleep 60 & sleep 60", Duration::from_millis(50), 100), None);
        assert!(say("sleep 60 & exit 0", long, 100).is_some(), "what it leaves behind is killed");
    }

    #[test]
    fn it_is_the_first_of_its_pids_and_nothing_that_leaves_its_group_outlives_it() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start("true");
        let subject = Subject { uid: 0, gid: 0, capabilities: 0 };
        let script = "setsid sleep 4242 & echo $$ $(cat /proc/1/comm) \
                      $(echo 1 2>/dev/null >/proc/self/oom_score_adj || echo refused)";
        let args = ["-c".to_owned(), script.to_owned()];
        let nowhere = memory("cgroup").unwrap();
        let env = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        let said = in_copied_ns(target.identity(), || {
            let limits = (Duration::from_secs(60), 100);
            listen(Path::new("/bin/sh"), &args, &env, &subject, Some(&nowhere), limits)
        });
        let said = said.unwrap().unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.output), "1 sh refused\n", "{}", said.errors);
        let left = Command::new("pgrep").args(["-f", "sleep 4242"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "");
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let subject = Subject { uid: 0, gid: 0, capabilities: 0 };
        let program = Path::new("/no/such/program");
        assert!(run(program, &[], &[], Path::new("/"), Stdio::null(), &subject).is_err());
    }
}
