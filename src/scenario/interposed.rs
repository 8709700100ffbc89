//! What the interposer of a volume must know before anything runs. Pure.
//!
//! Which rules the faults of a scenario may bring to it: every file that none of them can hit is left
//! to the kernel. And whether its past is looked at: only then a disk remembers it.

use super::{Action, Scenario};
use crate::protocol::{Caller, IoAction, IoOp, IoRule, Trigger};

/// Rules of every fault on this volume.
#[must_use]
pub fn io_rules(scenario: &Scenario, volume: &str) -> Vec<IoRule> {
    let injected = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Inject(inject) => Some(&inject.fault),
        _ => None,
    });
    let rules = injected.filter_map(|fault| {
        let target = fault.target();
        let path = target.path.as_deref()?;
        let mounts = &scenario.services.get(&target.service)?.mounts;
        let above = mounts.iter().filter_map(|(point, mount)| {
            let below = path.strip_prefix(point.trim_end_matches('/'))?;
            (below.is_empty() || below.starts_with('/')).then_some((below, mount))
        });
        let (below, mount) = above.min_by_key(|(below, _)| below.len())?;
        (mount.volume == volume).then(|| fault.io_rules(below.trim_matches('/')))
    });
    rules.flatten().collect()
}

/// A rule that may be about any file: for a volume of which nobody knows what will be done to it.
#[must_use]
pub fn any_io_rule() -> IoRule {
    IoRule {
        paths: vec!["**".to_owned()],
        ops: IoOp::ALL.to_vec(),
        by: Caller::default(),
        ranges: Vec::new(),
        at_least: None,
        when: Trigger::default(),
        action: IoAction::Error { errno: 0 },
    }
}

/// The volume whose disk must remember what happens to it, and when this workload was acknowledged;
/// none where no probe asks for its past.
#[must_use]
pub fn recorded<'a>(scenario: &'a Scenario, workload: &str) -> Option<&'a str> {
    let probes = scenario.verify.iter().filter_map(|item| item.probe.explores());
    probes.filter(|it| it.workload == workload).map(|it| it.volume).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_brings_its_rules_to_the_volume_it_lies_on() {
        let scenario: Scenario = serde_saphyr::from_str(
            "keelhaul: 1
name: x
volumes: { data: { docker: { interpose: file } }, logs: { docker: { interpose: file } } }
services: { agent: { image: i, mounts: { /data: data, /data/logs: logs } } }
steps:
  - inject: { io-error: { target: 'agent:/data/wal', ops: [write] } }
  - inject: { io-error: { target: 'agent:/data/logs', ops: [fsync] } }
  - inject: { kill: { target: agent } }
",
        )
        .unwrap();
        let data = io_rules(&scenario, "data");
        assert_eq!(data.len(), 1);
        assert_eq!(data[0].paths, ["wal", "wal/**"]);
        assert_eq!(io_rules(&scenario, "logs")[0].paths, ["**"]);
        assert!(io_rules(&scenario, "other").is_empty());
    }

    #[test]
    fn a_disk_is_recorded_for_the_workload_whose_past_is_asked_for() {
        let scenario: Scenario = serde_saphyr::from_str(
            "keelhaul: 1
name: x
volumes: { data: { ext4: { size: 64MiB, interpose: block } } }
services: { agent: { image: i, mounts: { /data: data } } }
verify:
  - explore: { workload: records, volume: data, file: journal.log }
",
        )
        .unwrap();
        assert_eq!(recorded(&scenario, "records"), Some("data"));
        assert_eq!(recorded(&scenario, "others"), None);
    }
}
