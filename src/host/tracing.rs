//! Threads of other processes, stopped or watched by way of ptrace(2).
//!
//! A tracer is a thread: all that is here happens on a thread of its own, and when that ends, however
//! it comes about, the kernel lets every thread go on as if nothing had been. It changes no register
//! and no memory. x86-64 only.
#![expect(unsafe_code, reason = "ptrace has no safe wrapper that takes real-time signals")]

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use super::error::{Context, HostError, HostResult};
use super::process::Identity;

pub(super) use libc::user_regs_struct as Registers;

/// Between two looks for a thread that is to stop.
const LOOK: Duration = Duration::from_micros(200);

/// Requests of ptrace(2), as the kernel numbers them: libc gives them another type for each C
/// library.
const SINGLESTEP: u32 = 9;
const GETREGS: u32 = 12;
const DETACH: u32 = 17;
const SYSCALL: u32 = 24;
const SEIZE: u32 = 0x4206;
const INTERRUPT: u32 = 0x4207;
const LISTEN: u32 = 0x4208;

/// `PTRACE_O_TRACESYSGOOD`: stops at system calls are told apart.
const SYSGOOD: usize = 1;

/// `PTRACE_EVENT_STOP`: the stop is not one for a signal (ptrace(2)).
const EVENT_STOP: i32 = 128;

/// What a thread that has stopped was stopped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// A system call: on its way in, or back.
    Syscall,
    /// A signal that it is about to get.
    Signal(i32),
    /// Us.
    Asked,
    /// A signal like SIGSTOP, which it has got: it stays so until SIGCONT.
    Held,
    /// It has ended.
    Ended,
}

impl Stop {
    fn of(status: i32) -> Self {
        if !libc::WIFSTOPPED(status) {
            return Self::Ended;
        }
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            EVENT_STOP if signal != libc::SIGTRAP => Self::Held,
            0 if signal == libc::SIGTRAP | 0x80 => Self::Syscall,
            0 => Self::Signal(signal),
            _ => Self::Asked,
        }
    }

    /// The signal that it must still get.
    fn signal(self) -> i32 {
        match self {
            Self::Signal(signal) => signal,
            _ => 0,
        }
    }
}

/// Threads that this thread traces, by their ids; each with why it has stopped, or none while it
/// runs.
#[derive(Debug, Default)]
pub(super) struct Traced {
    threads: BTreeMap<i32, Option<Stop>>,
}

impl Traced {
    /// Stops every thread of a process.
    ///
    /// # Errors
    /// `ETIMEDOUT` when one does not stop in time, as in a frozen container; `EPERM` when somebody
    /// else traces it.
    pub(super) fn stop(&mut self, process: Identity, deadline: Instant) -> HostResult<()> {
        let path = process.proc_path("task");
        loop {
            let new: Vec<i32> = threads_of(process)?
                .into_iter()
                .filter(|thread| !self.threads.contains_key(thread))
                .collect();
            process.check()?;
            if new.is_empty() {
                return Ok(());
            }
            for &thread in &new {
                match request(SEIZE, thread, SYSGOOD) {
                    // it has ended since it was listed
                    Err(error) if error.is(libc::ESRCH) => continue,
                    other => other?,
                }
                self.threads.insert(thread, None);
                request(INTERRUPT, thread, 0)?;
            }
            while self.threads.values().any(Option::is_none) {
                if self.next()?.is_some() {
                    continue;
                }
                if Instant::now() >= deadline {
                    return Err(HostError::sys("stop", path, rustix::io::Errno::TIMEDOUT));
                }
                std::thread::sleep(LOOK);
            }
        }
    }

    /// The next thread that stops, and why; none while all run.
    pub(super) fn next(&mut self) -> HostResult<Option<(i32, Stop)>> {
        let Some((thread, stop)) = wait(-1, libc::WNOHANG)? else { return Ok(None) };
        if stop == Stop::Ended {
            self.threads.remove(&thread);
        } else {
            self.threads.insert(thread, Some(stop));
        }
        Ok(Some((thread, stop)))
    }

    /// Threads that are stopped.
    pub(super) fn stopped(&self) -> Vec<i32> {
        let stopped = self.threads.iter().filter(|(_, stop)| stop.is_some());
        stopped.map(|(thread, _)| *thread).collect()
    }

    /// Lets a thread go on to its next system call.
    pub(super) fn until_syscall(&mut self, thread: i32) -> HostResult<()> {
        self.resume(SYSCALL, thread)
    }

    /// Lets a thread perform one instruction.
    pub(super) fn step(&mut self, thread: i32) -> HostResult<Stop> {
        self.resume(SINGLESTEP, thread)?;
        let stop = wait(thread, 0)?.map_or(Stop::Ended, |(_, stop)| stop);
        // the trap of the step itself is ours, and not for the thread
        let kept = if stop == Stop::Signal(libc::SIGTRAP) { Stop::Asked } else { stop };
        self.threads.insert(thread, Some(kept));
        Ok(stop)
    }

    fn resume(&mut self, how: u32, thread: i32) -> HostResult<()> {
        let Some(Some(stop)) = self.threads.insert(thread, None) else { return Ok(()) };
        let how = if stop == Stop::Held { LISTEN } else { how };
        let signal = usize::try_from(stop.signal()).unwrap_or_default();
        match request(how, thread, signal) {
            Err(error) if error.is(libc::ESRCH) => Ok(()),
            other => other,
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        for (thread, stop) in &self.threads {
            // those that run are let go when this thread ends
            if let Some(stop) = stop {
                let signal = usize::try_from(stop.signal()).unwrap_or_default();
                let _ = request(DETACH, *thread, signal);
            }
        }
    }
}

/// Runs `work` on a thread of its own, as a tracer must.
///
/// # Errors
/// What `work` says; [`HostError::Panicked`].
pub(super) fn on_tracer<R: Send>(work: impl FnOnce() -> HostResult<R> + Send) -> HostResult<R> {
    std::thread::scope(|scope| {
        let tracer = scope.spawn(work);
        tracer.join().unwrap_or_else(|_| Err(HostError::Panicked("tracing".into())))
    })
}

/// The registers of a thread that is stopped.
pub(super) fn registers(thread: i32) -> HostResult<Registers> {
    // SAFETY: plain integers, for which zero is a value.
    let mut registers: Registers = unsafe { std::mem::zeroed() };
    let place = std::ptr::from_mut(&mut registers);
    request(GETREGS, thread, place as usize)?;
    Ok(registers)
}

fn threads_of(process: Identity) -> HostResult<Vec<i32>> {
    let path = process.proc_path("task");
    let entries = fs::read_dir(&path).map_err(|_| HostError::Gone { pid: process.pid })?;
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(ids.collect())
}

fn request(what: u32, thread: i32, data: usize) -> HostResult<()> {
    // SAFETY: of the requests made here only GETREGS takes `data` for an address, and it is given
    // that of a `Registers` that outlives the call.
    let done = unsafe { libc::syscall(libc::SYS_ptrace, what, thread, 0, data) };
    let done = if done == -1 { Err(std::io::Error::last_os_error()) } else { Ok(()) };
    done.op("ptrace", format!("/proc/{thread}"))
}

/// A traced thread of this thread that has changed its state, or any (-1).
fn wait(thread: i32, flags: i32) -> HostResult<Option<(i32, Stop)>> {
    let mut status = 0;
    // children of other threads are not ours to wait for
    let flags = flags | libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: writes an integer to a place that outlives the call.
    let found = unsafe { libc::waitpid(thread, &raw mut status, flags) };
    match found {
        0 => Ok(None),
        // none is left
        -1 if std::io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD) => Ok(None),
        -1 => Err(std::io::Error::last_os_error()).op("waitpid", format!("/proc/{thread}")),
        found => Ok(Some((found, Stop::of(status)))),
    }
}
