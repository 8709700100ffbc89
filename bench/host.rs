//! Where the figures come from: enough to compare, nothing that names the machine.

use std::{fs, thread};

use keelhaul::runtime::EngineFacts;
use serde::{Deserialize, Serialize};

/// The machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HostFacts {
    pub(crate) cpus: usize,
    pub(crate) cpu: String,
    pub(crate) memory_mib: u64,
    pub(crate) kernel: String,
    pub(crate) engine: String,
    pub(crate) storage_driver: String,
    /// Load of the minute before: other work on the machine shows here.
    pub(crate) load: String,
}

pub(crate) fn describe(engine: &EngineFacts) -> HostFacts {
    HostFacts {
        cpus: thread::available_parallelism().map_or(1, usize::from),
        cpu: field("/proc/cpuinfo", "model name").unwrap_or_default(),
        memory_mib: kib("/proc/meminfo", "MemTotal").unwrap_or_default() / 1024,
        kernel: engine.kernel.clone(),
        engine: engine.version.clone(),
        storage_driver: engine.storage_driver.clone(),
        load: fs::read_to_string("/proc/loadavg")
            .ok()
            .and_then(|text| Some(text.split(' ').next()?.to_owned()))
            .unwrap_or_default(),
    }
}

/// The value of the first line `NAME: VALUE`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// The value of a line `NAME: VALUE kB`, in KiB.
pub(crate) fn kib(path: &str, name: &str) -> Option<u64> {
    field(path, name)?.split_whitespace().next()?.parse().ok()
}
