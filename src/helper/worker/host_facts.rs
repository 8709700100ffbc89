//! What this host's kernel offers. Looks, and tries what only a trial can tell.

use std::{fs, path::Path};

use super::{super::HelperError, cgroup, engine, image::nodes, label, memory_cgroup};
use crate::{
    host::{error::HostResult, fuse, loop_device, process::boot_id, steady, wall_clock},
    protocol::{HostFacts, Ready},
    runtime::{ENGINE_CAPABILITIES, ENGINE_PATH},
};

/// Names of capabilities by bit (linux/capability.h).
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Looks at the host.
pub(super) fn host() -> Result<HostFacts, HelperError> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().to_owned();
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let names = filesystems.lines().filter_map(|line| line.split_whitespace().next_back());
    Ok(HostFacts {
        filesystems: names.map(str::to_owned).collect(),
        cgroup_version: cgroup_version(),
        capabilities: capabilities(),
        loop_devices: loop_devices(),
        mount_setattr: mount_setattr(&kernel),
        memory_cgroup: memory_cgroup::readable(),
        io_limits: cgroup::io_limits(),
        fuse: fuse(),
        wall_clock: wall_clock(),
        selinux: label::enforcing(),
        engine_socket: engine_socket(),
        locked_memory: ready(steady::can_lock_program()),
        io_flusher: ready(steady::can_flush()),
        inner_engine: inner_engine(),
        boot_id: boot_id()?,
        kernel,
    })
}

fn cgroup_version() -> u8 {
    // a line of its own hierarchy with controllers is version 1
    let text =
        fs::read_to_string("/proc/1/cgroup").or_else(|_| fs::read_to_string("/proc/self/cgroup"));
    let text = text.unwrap_or_default();
    let v1 = text.lines().any(|line| {
        let controllers = line.split(':').nth(1).unwrap_or_default();
        ["memory", "blkio", "freezer"].iter().any(|name| controllers.split(',').any(|c| c == *name))
    });
    if v1 { 1 } else { 2 }
}

fn capabilities() -> Vec<String> {
    capabilities_of(Path::new("/proc/self/status"), "CapEff:")
}

/// A set of capabilities in a process's `status`.
fn capabilities_of(status: &Path, set: &str) -> Vec<String> {
    let status = fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(set));
    let bits = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or_default();
    let names = CAPABILITIES.iter().enumerate();
    names.filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| (*name).to_owned()).collect()
}

fn loop_devices() -> Ready {
    let nodes = nodes();
    let control = nodes.join("loop-control");
    if let Err(error) = fs::OpenOptions::new().read(true).write(true).open(&control) {
        return Ready::No(format!("cannot open `{}`: {error}", control.display()));
    }
    match loop_device::list(&nodes) {
        Ok(_) => Ready::Yes,
        Err(error) => Ready::No(error.to_string()),
    }
}

/// The new mount API came with Linux 5.2, the call that sets flags on a clone with 5.12.
fn mount_setattr(kernel: &str) -> Ready {
    let mut parts = kernel.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or_default());
    let version = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if version < (5, 12) {
        return Ready::No(format!("kernel {kernel} is older than 5.12"));
    }
    if !capabilities().iter().any(|name| name == "SYS_ADMIN") {
        return Ready::No("the helper was not given CAP_SYS_ADMIN".into());
    }
    Ready::Yes
}

fn fuse() -> Ready {
    let node = nodes().join("fuse");
    if let Err(error) = fuse::device(&node) {
        return Ready::No(format!("no FUSE here: {error}"));
    }
    match engine::process() {
        Some(_) => Ready::Yes,
        None => Ready::No("the engine's process cannot be found, nor its mounts".into()),
    }
}

fn wall_clock() -> Ready {
    if !capabilities().iter().any(|name| name == "SYS_PTRACE") {
        return Ready::No("the helper was not given CAP_SYS_PTRACE".into());
    }
    ready(wall_clock::ready())
}

fn ready(tried: HostResult<()>) -> Ready {
    tried.map_or_else(|error| Ready::No(error.to_string()), |()| Ready::Yes)
}

fn engine_socket() -> Ready {
    engine::answers().map_or_else(Ready::No, |()| Ready::Yes)
}

/// Programs that an engine is made of.
const ENGINE_PROGRAMS: [&str; 3] = ["dockerd", "containerd", "runc"];

/// Whether the engine can be started once more in a container: its programs are there to be read,
/// and it may pass on what they need.
fn inner_engine() -> Ready {
    let Some(engine) = engine::process() else {
        return Ready::No("the engine's own process cannot be found from the helper".into());
    };
    let root = engine.proc_path("root");
    let has = |program: &str| {
        ENGINE_PATH.split(':').any(|dir| root.join(&dir[1..]).join(program).exists())
    };
    if let Some(program) = ENGINE_PROGRAMS.iter().find(|program| !has(program)) {
        return Ready::No(format!("`{program}` is not installed beside the engine"));
    }
    let bounds = capabilities_of(&engine.proc_path("status"), "CapBnd:");
    let lacks = |name: &&&str| !bounds.iter().any(|bound| bound == **name);
    match ENGINE_CAPABILITIES.iter().find(lacks) {
        Some(name) => Ready::No(format!("the engine itself lacks CAP_{name}")),
        None => Ready::Yes,
    }
}
