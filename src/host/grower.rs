//! A process of ours in somebody's cgroup, which allocates bytes of a file there.
//!
//! The kernel charges memory to the cgroup of the process that touches it first; threads of one
//! process share that of its leader, so it takes a process of its
//! own. It is this executable again; what it does there is `helper::grower`.

use std::{
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
};

use rustix::fs::{MemfdFlags, memfd_create};

use super::cgroup::Cgroup;
use super::error::{Context, HostError, HostResult};
use super::process::Identity;

/// The process; killed when dropped. Until then it is a member of the cgroup, unless the kernel
/// killed it.
#[derive(Debug)]
pub struct Grower {
    process: Child,
    way: UnixStream,
}

impl Grower {
    /// Starts it, puts it into the cgroup, and lets it allocate this many bytes of the file, or
    /// until the kernel has killed there. With a score the kernel prefers it as a victim that much (`oom_score_adj`); by itself it is a poor one.
    ///
    /// # Errors
    /// The failed call; then nothing was allocated.
    pub fn start(
        cgroup: &Cgroup,
        file: OwnedFd,
        bytes: u64,
        score: Option<i32>,
    ) -> HostResult<Self> {
        let (way, theirs) = UnixStream::pair().op("socketpair", "grower")?;
        way.set_nonblocking(true).op("fcntl", "socket")?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("helper-grower").arg(bytes.to_string()).arg(words(cgroup)?).env_clear();
        command.stdin(OwnedFd::from(theirs)).stdout(File::from(file)).stderr(Stdio::null());
        let process = command.spawn().op("exec", "/proc/self/exe")?;
        let mut grower = Self { process, way };
        cgroup.write("cgroup.procs", &grower.process.id().to_string())?;
        if let Some(score) = score {
            Identity::of(grower.process.id())?.set_oom_score(score)?;
        }
        grower.way.write_all(b"g").op("write", "socket")?;
        Ok(grower)
    }

    /// It has all of its bytes, could get no more, or the kernel has killed.
    pub fn is_done(&mut self) -> bool {
        let said = self.way.read(&mut [0]);
        let waits = said.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        !waits || !matches!(self.process.try_wait(), Ok(None))
    }
}

/// As `helper::grower` reads it.
fn words(cgroup: &Cgroup) -> HostResult<String> {
    serde_json::to_string(cgroup)
        .map_err(|error| HostError::malformed("a cgroup", error.to_string()))
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
