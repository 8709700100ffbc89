//! Processes that keep their identity: a pid together with the instant it was started.
//!
//! A pid alone is recycled; every act on a process goes through [`Identity`], so that it hits the
//! process that was meant or nothing. This file only reads `/proc` and sends signals.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::error::{Context, HostError, HostResult};

/// A process, told apart from every other process of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Its pid in the pid namespace of the reader.
    pub pid: u32,
    /// When it started, in clock ticks since boot: field 22 of `/proc/<pid>/stat` (proc(5)).
    pub start_time: u64,
}

impl Identity {
    /// The identity of the process that has this pid now.
    ///
    /// # Errors
    /// [`HostError::Gone`] when there is none, or only a zombie.
    pub fn of(pid: u32) -> HostResult<Self> {
        match read_stat(pid)? {
            Some(stat) if stat.running => Ok(Self { pid, start_time: stat.start_time }),
            _ => Err(HostError::Gone { pid }),
        }
    }

    /// Whether this very process still runs; a zombie does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        self.check().is_ok()
    }

    /// Whether anything of this very process is left. One whose first thread has ended is a zombie and
    /// no longer alive, and another of its threads may wait in the kernel all the same.
    #[must_use]
    pub fn has_threads(self) -> bool {
        match read_stat(self.pid) {
            Ok(Some(stat)) if stat.start_time == self.start_time => {}
            Ok(_) => return false,
            Err(_) => return true,
        }
        let Ok(threads) = fs::read_dir(self.proc_path("task")) else { return false };
        threads.filter_map(Result::ok).any(|thread| {
            let stat = fs::read(thread.path().join("stat")).ok();
            stat.and_then(|text| parse_stat(&text)).is_some_and(|stat| stat.running)
        })
    }

    /// [`HostError::Gone`] unless this very process still runs.
    ///
    /// # Errors
    /// See above; also when `/proc` cannot be read.
    pub fn check(self) -> HostResult<()> {
        if Self::of(self.pid)? == self { Ok(()) } else { Err(HostError::Gone { pid: self.pid }) }
    }

    /// Whether it was stopped: it lives and does nothing until it is told to go on.
    #[must_use]
    pub fn is_stopped(self) -> bool {
        matches!(read_stat(self.pid), Ok(Some(stat)) if stat.stopped && stat.start_time == self.start_time)
    }

    /// A file of this process below `/proc`.
    #[must_use]
    pub fn proc_path(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }

    /// How much the kernel prefers it as a victim when memory runs out, from -1000 to 1000.
    ///
    /// # Errors
    /// [`HostError::Gone`] when the process has ended.
    pub fn oom_score(self) -> HostResult<i32> {
        let path = self.proc_path("oom_score_adj");
        let text = fs::read_to_string(&path).map_err(|_| HostError::Gone { pid: self.pid })?;
        self.check()?;
        let score = text.trim().parse();
        score.map_err(|_| HostError::malformed(path.display().to_string(), text))
    }

    /// Sets that preference of this very process. What it starts meanwhile inherits it.
    ///
    /// # Errors
    /// [`HostError::Gone`] when the process has ended; `EACCES` below what a more privileged
    /// process has set, `EINVAL` for a value out of bounds.
    pub fn set_oom_score(self, score: i32) -> HostResult<()> {
        let path = self.proc_path("oom_score_adj");
        let file = fs::OpenOptions::new().write(true).open(&path);
        // after the open: the file stays with the process that it was opened for
        self.check()?;
        let mut file = file.op("open", &path)?;
        match std::io::Write::write_all(&mut file, score.to_string().as_bytes()) {
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => {
                Err(HostError::Gone { pid: self.pid })
            }
            other => other.op("write", path),
        }
    }

    /// Sends a signal to this very process.
    ///
    /// The pidfd pins whoever has the pid; the identity is compared after that, so a recycled pid
    /// cannot be hit.
    ///
    /// # Errors
    /// [`HostError::Gone`] when the process has ended; `EINVAL` for an unknown signal number.
    pub fn signal(self, number: i32) -> HostResult<()> {
        let path = self.proc_path("");
        let signal = Signal::from_named_raw(number).ok_or(rustix::io::Errno::INVAL);
        let signal = signal.op("pidfd_send_signal", &path)?;
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or(HostError::Gone { pid: self.pid })?;
        let gone_or = |op, errno| match errno {
            rustix::io::Errno::SRCH => HostError::Gone { pid: self.pid },
            other => HostError::sys(op, &path, other),
        };
        let fd = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| gone_or("pidfd_open", e))?;
        self.check()?;
        pidfd_send_signal(&fd, signal).map_err(|e| gone_or("pidfd_send_signal", e))
    }
}

/// The id of this boot; two equal ids mean that no reboot lies between.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn boot_id() -> HostResult<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    Ok(fs::read_to_string(path).op("read", path)?.trim().to_owned())
}

struct Stat {
    start_time: u64,
    running: bool,
    stopped: bool,
}

/// `None` when there is no such process.
fn read_stat(pid: u32) -> HostResult<Option<Stat>> {
    let path = format!("/proc/{pid}/stat");
    match fs::read(&path) {
        Ok(text) => parse_stat(&text)
            .map(Some)
            .ok_or_else(|| HostError::malformed(path, "field 22 is missing")),
        // ESRCH: the process ended between open and read
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        Err(e) => Err(HostError::sys("read", path, e)),
    }
}

fn parse_stat(text: &[u8]) -> Option<Stat> {
    // the command name may hold blanks and parentheses: fields count from the last `)`
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(&text[close + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let start_time = fields.nth(18)?.parse().ok()?;
    let (running, stopped) = (!matches!(state, "Z" | "X" | "x"), state == "T");
    Some(Stat { start_time, running, stopped })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    #[test]
    fn a_hostile_command_name_does_not_shift_the_fields() {
        let line = b"7 (a) S 1 (b)) S 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        assert_eq!(parse_stat(line).unwrap().start_time, 4242);
        assert!(!parse_stat(b"7 (z) Z 1 7 7 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 1 0").unwrap().running);
    }

    #[test]
    fn a_signal_reaches_the_process_and_no_later_one() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let who = Identity::of(child.id()).unwrap();
        assert!(who.is_alive());
        let impostor = Identity { start_time: who.start_time + 1, ..who };
        assert_eq!(impostor.signal(libc::SIGKILL), Err(HostError::Gone { pid: who.pid }));
        assert!(who.is_alive() && !who.is_stopped());
        who.signal(libc::SIGSTOP).unwrap();
        while !who.is_stopped() {
            std::thread::yield_now();
        }
        who.signal(libc::SIGKILL).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        assert!(!who.is_alive());
        assert_eq!(who.signal(libc::SIGKILL), Err(HostError::Gone { pid: who.pid }));
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_is_left_while_another_goes_on() {
        // exit(2), which ends one thread: 60 here, 93 where numbers are the same everywhere
        let threads = "import ctypes, os, threading, time\n\
                       threading.Thread(target=time.sleep, args=(60,)).start()\n\
                       ctypes.CDLL(None).syscall({'x86_64': 60}.get(os.uname().machine, 93), 0)";
        let mut child = Command::new("python3").args(["-c", threads]).spawn().unwrap();
        let who = Identity::of(child.id()).unwrap();
        let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while who.is_alive() {
            assert!(std::time::Instant::now() < end, "its first thread does not end");
            std::thread::yield_now();
        }
        assert!(who.has_threads(), "a zombie with a thread");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!who.has_threads());
    }

    #[test]
    fn a_preferred_victim_is_this_process_and_no_later_one() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let who = Identity::of(child.id()).unwrap();
        let before = who.oom_score().unwrap();
        who.set_oom_score(1000).unwrap();
        assert_eq!(who.oom_score(), Ok(1000));
        let impostor = Identity { start_time: who.start_time + 1, ..who };
        assert_eq!(impostor.set_oom_score(900), Err(HostError::Gone { pid: who.pid }));
        who.set_oom_score(before).unwrap();
        assert_eq!(who.oom_score(), Ok(before));
        who.signal(libc::SIGKILL).unwrap();
        child.wait().unwrap();
        assert_eq!(who.set_oom_score(0), Err(HostError::Gone { pid: who.pid }));
    }

    #[test]
    fn the_boot_id_is_stable() {
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
