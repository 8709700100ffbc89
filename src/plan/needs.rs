//! Which capabilities a scenario needs, and which of them this host lacks. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    protocol::{Capability, HostFacts, Ready},
    runtime::EngineFacts,
    scenario::{Action, Scenario},
};

/// Capabilities that are not there, with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing(BTreeMap<Capability, String>);

/// Every capability that a scenario needs.
#[must_use]
pub fn of(scenario: &Scenario) -> BTreeSet<Capability> {
    let mut needs: BTreeSet<Capability> = scenario.requires.iter().copied().collect();
    for step in &scenario.steps {
        match &step.action {
            Action::Inject(step) => needs.extend(step.fault.needs()),
            Action::Expect { probes, .. } => {
                needs.extend(probes.iter().flat_map(|item| item.probe.needs()));
            }
            _ => {}
        }
    }
    for volume in scenario.volumes.values() {
        needs.extend(volume.needs());
        needs.extend(volume.interpose().map(|_| Capability::Fuse));
    }
    let lists = [&scenario.steady_state, &scenario.verify, &scenario.stop_when];
    needs.extend(lists.into_iter().flatten().flat_map(|item| item.probe.needs()));
    needs.extend(scenario.observe.iter().flat_map(|item| item.probe.needs()));
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
        Capability::WallClock => not_ready(&host.wall_clock),
        Capability::Selinux => not_ready(&host.selinux),
        Capability::MemoryCgroup => not_ready(&host.memory_cgroup),
        Capability::Ext4 => filesystem("ext4", "e2fsprogs", host, has_tool),
        Capability::Xfs => filesystem("xfs", "xfsprogs", host, has_tool),
        Capability::Btrfs => filesystem("btrfs", "btrfs-progs", host, has_tool),
        Capability::Overlay => (engine.storage_driver != "overlay2").then(|| {
            format!("the engine's storage driver is {}, not overlay2", engine.storage_driver)
        }),
        Capability::Freezer => {
            let rootless = engine.security.iter().any(|option| option.contains("rootless"));
            (rootless && host.cgroup_version == 1)
                .then(|| "a rootless engine on cgroup v1 cannot pause containers".to_owned())
        }
    }
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
