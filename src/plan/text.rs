//! A case in words: every action with its undo, what it needs, what it may touch. Pure.

use std::fmt::Write;

use super::Case;
use crate::{
    faults::{FaultSpec, Kind, Profile, Scope, Target},
    scenario::{Action, Condition, InjectStep, ProbeItem, Scenario, Step},
    volumes::{Layer, VolumeSpec},
};

/// Renders a case for `keelhaul plan`.
#[must_use]
pub fn render(case: &Case) -> String {
    let mut text = String::new();
    let scenario = &case.scenario;
    line(&mut text, 0, "", &case.id);
    if let Some(about) = &scenario.about {
        line(&mut text, 2, "", about);
    }
    if let Some(control) = &case.control {
        let first = if control.fails.is_empty() {
            "anywhere".into()
        } else {
            format!("at {}", control.fails.join(" or "))
        };
        line(&mut text, 2, "must fail", &first);
    }
    objects(&mut text, scenario);
    probes(&mut text, "steady state", &scenario.steady_state);
    for (index, step) in scenario.steps.iter().enumerate() {
        let id = step.name.clone().unwrap_or_else(|| format!("steps[{index}]"));
        action(&mut text, index, &id, step, case);
    }
    line(&mut text, 2, "rollback", rollback(case));
    probes(&mut text, "verify", &scenario.verify);
    let needs: Vec<_> =
        super::needs::of(scenario).into_iter().map(crate::protocol::Capability::name).collect();
    line(
        &mut text,
        2,
        "needs",
        &if needs.is_empty() { "a Linux container engine".into() } else { needs.join(", ") },
    );
    // of the run, not of the case: what `run --seed` takes
    line(&mut text, 2, "seed", &case.run_seed.to_string());
    text
}

fn rollback(case: &Case) -> &'static str {
    if case.attaches() {
        "every fault that is still in force, last first; then what the run has made"
    } else {
        "every fault that is still in force, last first; then all objects above"
    }
}

fn objects(text: &mut String, scenario: &Scenario) {
    for (name, volume) in scenario.volumes.iter().filter(|(name, _)| !Case::is_theirs(name)) {
        line(text, 2, "volume", &format!("{name} ({})", volume.name()));
    }
    for (name, service) in &scenario.services {
        let mounts: Vec<_> = service
            .mounts
            .iter()
            .map(|(path, mount)| format!("{} at {path}", mount.volume))
            .collect();
        let mounted =
            if mounts.is_empty() { String::new() } else { format!(", with {}", mounts.join(", ")) };
        let image = match &service.attach {
            Some(attach) => format!("runs already: {attach}"),
            None => service.image.clone(),
        };
        line(text, 2, "container", &format!("{name} ({image}{mounted})"));
    }
    for (name, workload) in &scenario.workloads {
        line(
            text,
            2,
            "workload",
            &format!("{name} ({} on {})", workload.name(), workload.service()),
        );
    }
}

fn probes(text: &mut String, heading: &str, items: &[ProbeItem]) {
    for item in items {
        line(text, 2, heading, &item.probe.describe());
    }
}

fn action(text: &mut String, index: usize, id: &str, step: &Step, case: &Case) {
    let scenario = &case.scenario;
    let label = |word: &str| format!("{}. {word}", index + 1);
    match &step.action {
        Action::Inject(step) => {
            let heading = label("inject");
            if let Some(when) = &step.when {
                condition(text, &label("wait"), when);
            }
            for fault in case.faults(index) {
                injection(text, &heading, &format!("{id}: "), &fault, scenario);
            }
            over_time(text, step);
        }
        Action::Expect { probes, within, hold } => {
            let held =
                hold.map_or_else(String::new, |time| format!(", and for {time} from then on"));
            for item in probes {
                let what = format!("{} within {within}{held}", item.probe.describe());
                line(text, 2, &label("expect"), &what);
            }
        }
        Action::Wait(time) => line(text, 2, &label("wait"), &time.to_string()),
        Action::Revert(name) => line(text, 2, &label("revert"), name),
        Action::Recover(recover) => {
            let within = recover.within.or(scenario.objectives.rto);
            let limit = within.map_or_else(String::new, |time| format!(" within {time}"));
            line(text, 2, &label("recover"), &format!("the steady state holds again{limit}"));
        }
        Action::Exec(exec) => {
            line(
                text,
                2,
                &label("exec"),
                &format!("in {}: {}", exec.service, exec.command.join(" ")),
            );
        }
        Action::Await { step, within } => {
            line(text, 2, &label("await"), &format!("{step} within {within}"));
        }
    }
}

fn condition(text: &mut String, heading: &str, when: &Condition) {
    for item in &when.probes {
        let what = format!("until {}, {} at most", item.probe.describe(), when.within);
        line(text, 2, heading, &what);
    }
}

/// One fault on one object.
fn injection(text: &mut String, heading: &str, id: &str, fault: &FaultSpec, scenario: &Scenario) {
    let described = fault.describe_on(volume_of(fault, scenario));
    line(text, 2, heading, &format!("{id}{}", described.act));
    line(text, 4, "undo", &described.undo);
    line(text, 4, "proof", &described.proof);
    line(text, 4, "touches", &blast_radius(fault, scenario));
    if is_inserted(fault) {
        line(text, 4, "misses", ESCAPES);
    }
}

/// Of an interposer that is inserted.
const ESCAPES: &str = "what the service has open, mapped or as a working directory there by then: that \
    escapes the interposer that is inserted";

/// What strikes operations in a container alone has its interposer inserted there; one that lies under a
/// volume from the start strikes all of the volume.
fn is_inserted(fault: &FaultSpec) -> bool {
    fault.strikes() == Some(Layer::File) && fault.scope() == Scope::Container
}

/// Which objects were to choose from, how long each injection lasts, and how they follow.
fn over_time(text: &mut String, step: &InjectStep) {
    if let Some(select) = &step.fault.target().select {
        line(text, 4, "chosen as", &format!("{select}, by the seed"));
    }
    match (step.profile, step.lasts) {
        (Profile::Ramp { over, stages }, _) => {
            line(text, 4, "ramp", &format!("in {stages} stages over {over}"));
        }
        (Profile::Intermittent { on, off }, _) => {
            let cycles = step.parts().len();
            let times = format!("{cycles} times for {on}, with {off} in between");
            line(text, 4, "intermittent", &times);
        }
        (Profile::Sustained, Some(time)) => {
            line(text, 4, "for", &format!("{time}, then the keeper reverts it"));
        }
        (Profile::Sustained, None) => {}
    }
}

/// The volume that the target of a fault lies on.
pub(crate) fn volume_of<'a>(fault: &FaultSpec, scenario: &'a Scenario) -> Option<&'a VolumeSpec> {
    scenario.volumes.get(volume_name(fault.target(), scenario)?)
}

fn volume_name<'a>(target: &Target, scenario: &'a Scenario) -> Option<&'a str> {
    let Target { service, path, .. } = target;
    let (path, mounts) = (path.as_ref()?, &scenario.services.get(service)?.mounts);
    let under = mounts.iter().filter(|(point, _)| path.starts_with(point.as_str()));
    under.max_by_key(|(point, _)| point.len()).map(|(_, mount)| mount.volume.as_str())
}

/// Exactly what a fault may touch.
pub(crate) fn blast_radius(fault: &FaultSpec, scenario: &Scenario) -> String {
    let target = fault.target();
    let once = if fault.kind() == Kind::Event { " (once)" } else { "" };
    let volume = volume_name(target, scenario);
    match (fault.scope(), volume) {
        (Scope::Superblock, Some(volume)) => {
            let users: Vec<_> = scenario
                .services
                .iter()
                .filter(|(_, service)| service.mounts.values().any(|mount| mount.volume == volume))
                .map(|(name, _)| name.as_str())
                .collect();
            format!("volume {volume}, so container {}", users.join(", "))
        }
        (Scope::Volume, Some(volume)) => {
            let along = fault.along().1.iter().filter_map(|one| volume_name(one, scenario));
            let all: Vec<_> = std::iter::once(volume).chain(along).collect();
            format!("volume {}", all.join(" and "))
        }
        (Scope::Host, _) => "the host".to_owned(),
        _ => format!("container {}{once}", target.service),
    }
}

fn line(text: &mut String, indent: usize, label: &str, what: &str) {
    let _ = if label.is_empty() {
        writeln!(text, "{:indent$}{what}", "")
    } else {
        writeln!(text, "{:indent$}{label:<13} {what}", "")
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Select, expand};

    #[test]
    fn what_an_inserted_interposer_misses_is_said_before_anything_is_done() {
        let plan = |volume: &str, fault: &str| {
            let text = format!(
                "keelhaul: 1\nname: t\nvolumes: {{ data: {{ docker: {volume} }} }}\nservices: {{ app: {{ \
                 image: i, mounts: {{ /data: data }} }} }}\nsteps: [ {{ inject: {{ {fault} }} }} ]\n"
            );
            let file = ("t.yaml".into(), Ok(text.into_bytes()));
            let loaded =
                crate::scenario::load_all(&[file], &Default::default(), &Default::default());
            render(&expand(&loaded.unwrap(), &Select::default(), 0).unwrap()[0])
        };
        let io = "io-error: { target: 'app:/data', ops: [write], errno: EIO";
        let inserted = plan("{}", &format!("{io}, insert: true }}"));
        assert!(inserted.contains("misses        what the service has open"), "{inserted}");
        for (volume, fault) in [
            ("{ interpose: file }", format!("{io} }}")),
            ("{}", "read-only: { target: 'app:/data' }".into()),
        ] {
            let plan = plan(volume, &fault);
            assert!(!plan.contains("misses"), "{plan}");
        }
    }
}
