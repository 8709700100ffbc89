//! A process of ours in somebody's cgroup, which allocates bytes of a file there.
//!
//! The kernel charges memory to the cgroup of the process that touches it first; threads of one
//! process share that of its leader, so it takes a process of its
//! own. It is this executable again; what it does there is `helper::grower`.

use std::{
    fs::File,
    io::Write as _,
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
};

use rustix::fs::{MemfdFlags, fstat, memfd_create};

use super::cgroup::Cgroup;
use super::error::{Context, HostResult};
use super::process::Identity;

/// The process; killed when dropped.
#[derive(Debug)]
pub struct Grower {
    process: Child,
    file: File,
}

impl Grower {
    /// Starts it, puts it into the cgroup, and lets it allocate this many bytes of the file. With a
    /// score the kernel prefers it as a victim that much (`oom_score_adj`); by itself it is a poor one.
    ///
    /// # Errors
    /// The failed call; then nothing was allocated.
    pub fn start(
        cgroup: &Cgroup,
        file: OwnedFd,
        bytes: u64,
        score: Option<i32>,
    ) -> HostResult<Self> {
        let file = File::from(file);
        let theirs = file.try_clone().op("dup", "file")?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("helper-grower").arg(bytes.to_string()).env_clear();
        command.stdin(Stdio::piped()).stdout(theirs).stderr(Stdio::null());
        let process = command.spawn().op("exec", "/proc/self/exe")?;
        let mut grower = Self { process, file };
        cgroup.write("cgroup.procs", &grower.process.id().to_string())?;
        if let Some(score) = score {
            Identity::of(grower.process.id())?.set_oom_score(score)?;
        }
        let input = grower.process.stdin.take();
        input.map_or(Ok(()), |mut input| input.write_all(b"g")).op("write", "pipe")?;
        Ok(grower)
    }

    /// It has all of its bytes, could get no more, or was killed.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Bytes that are allocated now.
    ///
    /// # Errors
    /// The failed call.
    pub fn allocated(&self) -> HostResult<u64> {
        let blocks = fstat(&self.file).op("stat", "file")?.st_blocks;
        // stat(2): in units of 512 bytes, whatever the file system
        Ok(u64::try_from(blocks).unwrap_or_default() * 512)
    }
}

impl Drop for Grower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A file without a name, in memory; gone with its last descriptor.
///
/// # Errors
/// The failed call.
pub fn memory_file() -> HostResult<OwnedFd> {
    memfd_create("keelhaul", MemfdFlags::CLOEXEC).op("memfd_create", "memory")
}
