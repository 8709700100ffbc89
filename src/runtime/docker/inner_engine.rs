//! What the container of an engine of the scenario's own gets of the host: its root directory to
//! read programs from, and the rights to mount and to make namespaces. What runs in it is not known
//! here.

use bollard::models::{HostConfig, HostConfigCgroupnsModeEnum};

use super::helper::host_directory;
use crate::runtime::ENGINE_CAPABILITIES;

/// Where the root directory of the engine's host is in the container.
pub const ENGINE_HOST: &str = "/host";
/// The data root of the engine in the container: where the scenario mounts its volume.
pub const ENGINE_DATA: &str = "/var/lib/docker";
/// Where an engine's programs are.
pub const ENGINE_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec/docker";
/// The port of its API on the container's own loopback.
pub const ENGINE_PORT: u16 = 2375;

/// The same container with an engine in it.
///
/// Never privileged: an engine that lacks a capability itself would refuse.
pub(super) fn host(plain: HostConfig) -> HostConfig {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let mut mounts = plain.mounts.unwrap_or_default();
    let mut root = host_directory("/", ENGINE_HOST);
    root.read_only = Some(true);
    mounts.push(root);
    HostConfig {
        mounts: Some(mounts),
        userns_mode: Some("host".to_owned()),
        // its containers' groups lie below its own, and go with them
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        cap_add: words(ENGINE_CAPABILITIES),
        security_opt: words(&["seccomp=unconfined", "apparmor=unconfined", "label=disable"]),
        // each of its containers is allowed what this one is, at most
        device_cgroup_rules: words(&["a *:* rwm"]),
        ..plain
    }
}
