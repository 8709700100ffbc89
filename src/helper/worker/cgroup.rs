//! A container's cgroup, where the engine sees it. Changes nothing by itself.
//!
//! In the helper's own `/sys/fs/cgroup` there is, on v1, nothing but the helper's cgroup: the tree
//! is looked at from the engine's mount namespace.

use std::path::Path;

use super::{super::HelperError, engine};
use crate::{
    host::{cgroup::Cgroup, error::HostResult, namespace::in_mount_ns},
    protocol::Ready,
};

/// Where the engine sees the hierarchies (cgroups(7)).
const ROOT: &str = "/sys/fs/cgroup";
/// The controller of block I/O on v1; on v2, where it is called `io`, there is one tree for all.
pub(super) const IO: &str = "blkio";

/// Runs `work` on the cgroup for a controller, given what `/proc/<pid>/cgroup` says.
pub(super) fn find<R: Send>(
    memberships: &str,
    controller: &str,
    work: impl FnOnce(&Cgroup) -> HostResult<R> + Send,
) -> Result<R, HelperError> {
    let found = in_engine(|| {
        Cgroup::below(memberships, controller, Path::new(ROOT)).and_then(|cgroup| work(&cgroup))
    })?;
    Ok(found?)
}

/// Whether I/O can be limited here.
pub(super) fn io_limits() -> Ready {
    let looked = in_engine(|| {
        let v1 = Path::new(ROOT).join(IO).join("blkio.throttle.write_bps_device").exists();
        let v2 = std::fs::read_to_string(Path::new(ROOT).join("cgroup.controllers"));
        v1 || v2.is_ok_and(|text| text.split_whitespace().any(|name| name == "io"))
    });
    match looked {
        Ok(true) => Ready::Yes,
        Ok(false) => Ready::No(format!("no controller of block I/O is mounted at `{ROOT}`")),
        Err(error) => Ready::No(error.to_string()),
    }
}

fn in_engine<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R, HelperError> {
    let engine = engine::process().ok_or_else(|| {
        HelperError::Refused(
            "the engine's process is not seen, so its cgroups are not either".into(),
        )
    })?;
    Ok(in_mount_ns(engine, work)?)
}
