//! The grower: a process of a moment that allocates memory in whatever cgroup it is put.
//!
//! The kernel charges memory to the cgroup of the process that touches it first, so the worker
//! cannot allocate for a subject itself. The grower gets a file without a name, or one on a tmpfs,
//! as its standard output; it maps nothing, so it is itself a poor victim for the OOM killer. It
//! ends with the worker. Over its standard input, a socket, it is told to begin, and says when it is
//! done. Then it stays: as long as it is a member, the cgroup cannot be removed under whoever reads
//! what the kernel has counted there, though its container has ended.

use std::{
    io::{Read as _, stdin},
    process::ExitCode,
};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
    process::{Signal, getppid, set_parent_process_death_signal},
};

use crate::host::cgroup::Cgroup;

/// Bytes allocated at a time: what a refusal takes back.
const STEP: u64 = 256 << 10;
/// Less than a page cannot be had.
const PAGE: u64 = 4096;

/// Allocates as many bytes as its first argument says, or until no more can be had, or until the
/// kernel has killed in the cgroup that the second one is.
pub fn main(args: impl Iterator<Item = String>) -> ExitCode {
    let parent = getppid();
    if set_parent_process_death_signal(Some(Signal::KILL)).is_err() || getppid() != parent {
        return ExitCode::FAILURE;
    }
    let Some((bytes, cgroup)) = parse(args) else { return ExitCode::from(2) };
    let Ok(kills) = cgroup.oom_kills() else { return ExitCode::FAILURE };
    if stdin().read_exact(&mut [0]).is_err() {
        return ExitCode::FAILURE;
    }
    allocate(bytes, || cgroup.oom_kills().is_ok_and(|now| now > kills));
    stay()
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<(u64, Cgroup)> {
    let bytes = args.next()?.parse().ok()?;
    Some((bytes, serde_json::from_str(&args.next()?).ok()?))
}

fn allocate(bytes: u64, enough: impl Fn() -> bool) {
    let file = std::io::stdout();
    let (mut at, mut step) = (0, STEP);
    while at < bytes && !enough() {
        match fallocate(&file, FallocateFlags::empty(), at, step.min(bytes - at)) {
            Ok(()) => at += step,
            Err(Errno::INTR) => {}
            // the last pages of a tmpfs
            Err(Errno::NOSPC) if step > PAGE => step /= 2,
            Err(_) => return,
        }
    }
}

/// Says that it is done, and waits to be let go.
fn stay() -> ExitCode {
    if rustix::io::write(stdin(), &[0]).is_err() {
        return ExitCode::FAILURE;
    }
    // whoever has heard it closes the other end, or kills
    let _ = stdin().read_exact(&mut [0]);
    ExitCode::SUCCESS
}
