//! The cgroup of a container's init, and what it says of memory. Only looks.

use std::path::Path;

use super::{super::HelperError, engine, place::init};
use crate::{
    host::{cgroup::Cgroup, error::HostResult, process::Identity},
    protocol::{MemoryFacts, Place, Ready},
};

/// Where cgroup filesystems are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// The cgroup that governs a process for a controller.
///
/// It is looked for as the engine sees it, which made it: our own container may show nothing but
/// its own cgroup (v1), or let nothing be written (v2).
pub(super) fn of(target: Identity, controller: &str) -> HostResult<Cgroup> {
    let own = || Cgroup::of(target, controller, Path::new(ROOT));
    let Some(engine) = engine::process() else { return own() };
    let theirs = engine.proc_path("root").join(ROOT.trim_start_matches('/'));
    Cgroup::of(target, controller, &theirs).or_else(|error| own().map_err(|_| error))
}

/// The memory of a container.
pub(super) fn memory(place: &Place) -> Result<MemoryFacts, HelperError> {
    Ok(memory_of(init(place)?)?)
}

fn memory_of(target: Identity) -> HostResult<MemoryFacts> {
    let cgroup = of(target, "memory")?;
    let cache = cgroup.page_cache()?;
    Ok(MemoryFacts {
        limit: cgroup.memory_limit()?,
        used: cgroup.memory_used()?,
        cache: cache.bytes,
        pages_in: cache.pages_in,
        oom_kills: cgroup.oom_kills()?,
        oom_score: target.oom_score()?,
    })
}

/// Whether memory can be looked at on this host.
pub(super) fn readable() -> Ready {
    let own = Identity::of(std::process::id());
    match own.and_then(memory_of) {
        Ok(_) => Ready::Yes,
        Err(error) => Ready::No(format!("memory cgroups cannot be looked at: {error}")),
    }
}
