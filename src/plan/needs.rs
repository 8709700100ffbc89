//! Which capabilities a scenario needs, and which of them this host lacks. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    probes::ProbeSpec,
    protocol::{Capability, HostFacts, Ready},
    runtime::EngineFacts,
    scenario::{Action, Scenario, Service},
};

/// Capabilities that are not there, with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing(BTreeMap<Capability, String>);

/// Every capability that a scenario needs.
#[must_use]
pub fn of(scenario: &Scenario) -> BTreeSet<Capability> {
    let mut needs: BTreeSet<Capability> = scenario.requires.iter().copied().collect();
    for step in &scenario.steps {
        if let Action::Inject(step) = &step.action {
            needs.extend(step.fault.needs());
        }
    }
    if scenario.services.values().any(Service::is_engine) {
        needs.insert(Capability::InnerEngine);
    }
    for volume in scenario.volumes.values() {
        needs.extend(volume.needs());
        needs.extend(volume.interpose().map(|_| Capability::Fuse));
    }
    needs.extend(scenario.probes().flat_map(ProbeSpec::needs));
    needs
}

impl Missing {
    /// Compares what is known of a host with every capability there is. `has_tool` says whether a
    /// program can be run beside the command line.
    pub fn on(host: &HostFacts, engine: &EngineFacts, has_tool: impl Fn(&str) -> bool) -> Self {
        let mut missing = BTreeMap::new();
        for capability in Capability::ALL {
            if let Some(why) = lacks(*capability, host, engine, &has_tool) {
                missing.insert(*capability, why);
            }
        }
        Self(missing)
    }

    /// A host that lacks one capability.
    #[cfg(test)]
    pub(crate) fn only(capability: Capability, why: &str) -> Self {
        Self(BTreeMap::from([(capability, why.to_owned())]))
    }

    /// Why a capability is missing.
    #[must_use]
    pub fn reason(&self, capability: Capability) -> Option<&str> {
        self.0.get(&capability).map(String::as_str)
    }

    /// Why a scenario cannot run here; none when it can.
    #[must_use]
    pub fn of(&self, scenario: &Scenario) -> Option<String> {
        let reasons: Vec<_> = of(scenario)
            .into_iter()
            .filter_map(|need| self.reason(need))
            .map(str::to_owned)
            .collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

fn lacks(
    capability: Capability,
    host: &HostFacts,
    engine: &EngineFacts,
    has_tool: &impl Fn(&str) -> bool,
) -> Option<String> {
    match capability {
        Capability::MountApi => not_ready(&host.mount_setattr),
        Capability::LoopDevices => not_ready(&host.loop_devices),
        Capability::IoLimits => not_ready(&host.io_limits),
        Capability::Fuse => not_ready(&host.fuse),
        Capability::EngineSocket => not_ready(&host.engine_socket),
        Capability::InnerEngine => inner_engine(host, engine),
        Capability::WallClock => not_ready(&host.wall_clock),
        Capability::Selinux => not_ready(&host.selinux),
        Capability::MemoryCgroup => not_ready(&host.memory_cgroup),
        Capability::Ext4 => filesystem("ext4", "e2fsprogs", host, has_tool),
        Capability::Xfs => filesystem("xfs", "xfsprogs", host, has_tool),
        Capability::Btrfs => filesystem("btrfs", "btrfs-progs", host, has_tool),
        Capability::Overlay => overlay(engine),
        Capability::Freezer => {
            let rootless = engine.security.iter().any(|option| option.contains("rootless"));
            (rootless && host.cgroup_version == 1)
                .then(|| "a rootless engine on cgroup v1 cannot pause containers".to_owned())
        }
    }
}

/// Layers degrade on a filesystem that does not tell the types of directory entries: files that were
/// deleted in one show up again.
fn overlay(engine: &EngineFacts) -> Option<String> {
    let EngineFacts { storage_driver, data_root, .. } = engine;
    if storage_driver != "overlay2" {
        return Some(format!("the engine's storage driver is {storage_driver}, not overlay2"));
    }
    (engine.d_type == Some(false)).then(|| {
        format!(
            "the filesystem at `{data_root}` has no d_type, so layers cannot be kept there: XFS was \
             made with ftype=0, or ext4 without filetype; make it anew"
        )
    })
}

fn inner_engine(host: &HostFacts, engine: &EngineFacts) -> Option<String> {
    if engine.security.iter().any(|option| option.contains("rootless")) {
        return Some("a rootless engine cannot start another one in a container".into());
    }
    if !host.filesystems.iter().any(|known| known == "overlay") {
        return Some("the kernel has no overlay".into());
    }
    not_ready(&host.inner_engine)
}

fn not_ready(ready: &Ready) -> Option<String> {
    match ready {
        Ready::Yes => None,
        Ready::No(why) => Some(why.clone()),
    }
}

fn filesystem(
    name: &str,
    package: &str,
    host: &HostFacts,
    has_tool: &impl Fn(&str) -> bool,
) -> Option<String> {
    if !host.filesystems.iter().any(|known| known == name) {
        return Some(format!("the kernel has no {name}"));
    }
    let tool = format!("mkfs.{name}");
    (!has_tool(&tool)).then(|| format!("`{tool}` is not installed: package {package}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(storage_driver: &str, d_type: Option<bool>) -> EngineFacts {
        EngineFacts {
            address: "unix:///var/run/docker.sock".into(),
            version: "20.10.24".into(),
            api_version: "1.41".into(),
            os: "Debian".into(),
            kernel: "6.18".into(),
            storage_driver: storage_driver.into(),
            data_root: "/var/lib/docker".into(),
            d_type,
            cgroup_version: "2".into(),
            security: Vec::new(),
        }
    }

    #[test]
    fn layers_without_d_type_are_refused_by_name() {
        assert_eq!(overlay(&engine("overlay2", Some(true))), None);
        assert_eq!(overlay(&engine("overlay2", None)), None, "newer engines look themselves");
        let why = overlay(&engine("overlay2", Some(false))).unwrap();
        assert!(
            why.contains("`/var/lib/docker` has no d_type") && why.contains("ftype=0"),
            "{why}"
        );
        assert!(overlay(&engine("vfs", None)).is_some());
    }
}
