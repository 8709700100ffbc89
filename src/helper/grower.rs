//! The grower: a process of a moment that allocates memory in whatever cgroup it is put.
//!
//! The kernel charges memory to the cgroup of the process that touches it first, so the worker
//! cannot allocate for a subject itself. The grower gets a file without a name, or one on a tmpfs,
//! as its standard output; it maps nothing, so it is itself a poor victim for the OOM killer. It
//! ends with the worker, and waits for a byte on its standard input before it begins.

use std::{
    io::{Read as _, stdin},
    process::ExitCode,
};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
    process::{Signal, getppid, set_parent_process_death_signal},
};

/// Bytes allocated at a time: what a refusal takes back.
const STEP: u64 = 256 << 10;
/// Less than a page cannot be had.
const PAGE: u64 = 4096;

/// Allocates as many bytes as its one argument says, or as many as it gets.
pub fn main(mut args: impl Iterator<Item = String>) -> ExitCode {
    let parent = getppid();
    if set_parent_process_death_signal(Some(Signal::KILL)).is_err() || getppid() != parent {
        return ExitCode::FAILURE;
    }
    let Some(bytes) = args.next().and_then(|text| text.parse().ok()) else {
        return ExitCode::from(2);
    };
    if stdin().read_exact(&mut [0]).is_err() {
        return ExitCode::FAILURE;
    }
    if allocate(bytes) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// False when no more could be had.
fn allocate(bytes: u64) -> bool {
    let file = std::io::stdout();
    let (mut at, mut step) = (0, STEP);
    while at < bytes {
        match fallocate(&file, FallocateFlags::empty(), at, step.min(bytes - at)) {
            Ok(()) => at += step,
            Err(Errno::INTR) => {}
            // the last pages of a tmpfs
            Err(Errno::NOSPC) if step > PAGE => step /= 2,
            Err(_) => return false,
        }
    }
    true
}
