//! Every probe of a scenario, wherever it stands. Pure.

use super::Scenario;
use crate::probes::ProbeSpec;

impl Scenario {
    /// Every probe, section by section.
    pub fn probes(&self) -> impl Iterator<Item = &ProbeSpec> {
        let in_steps = self.steps.iter().flat_map(|step| step.probes().1);
        let items = self.steady_state.iter().chain(in_steps).chain(&self.verify);
        let items = items.chain(&self.stop_when).map(|item| &item.probe);
        items.chain(self.observe.iter().map(|item| &item.probe))
    }

    /// It starts many containers at once, and measures how long each takes.
    pub fn storms(&self) -> bool {
        self.probes().any(|probe| matches!(probe, ProbeSpec::StartStorm(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_storms_wherever_its_storm_stands() {
        let of = |steps: &str| {
            let yaml = format!(
                "keelhaul: 1\nname: t\nservices: {{ a: {{ image: keelhaul/specimen }} }}\nsteps: [ {steps} ]\n"
            );
            let scenario: Scenario = serde_saphyr::from_str(&yaml).unwrap();
            scenario.storms()
        };
        assert!(of("{ expect: [ { start-storm: { service: a } } ] }"));
        assert!(!of("{ expect: [ { tcp: { service: a, port: 1 } } ] }"));
    }

    #[test]
    fn no_section_is_left_out() {
        let probe = |port| format!("{{ tcp: {{ service: a, port: {port} }} }}");
        let yaml = format!(
            "keelhaul: 1\nname: t\nservices: {{ a: {{ image: keelhaul/specimen }} }}\nsteady_state: [{}]\nsteps:\n  - expect: [{}]\n  - inject: {{ pause: {{ target: a }} }}\n    when: [{}]\nverify: [{}]\nstop_when: [{}]\nobserve: [{}]\n",
            probe(1),
            probe(2),
            probe(3),
            probe(4),
            probe(5),
            probe(6)
        );
        let files = [("t.yaml".into(), Ok(yaml.into_bytes()))];
        let loaded = crate::scenario::load_all(&files, &Default::default(), &Default::default());
        let loaded = loaded.unwrap_or_else(|all| panic!("{}", crate::diagnostic::render(&all)));
        let all: Vec<_> = loaded[0].cells[0].scenario.probes().map(ProbeSpec::describe).collect();
        for port in 1..=6 {
            let told = all.iter().filter(|told| told.contains(&format!("port {port}")));
            assert_eq!(told.count(), 1, "{all:?}");
        }
        assert_eq!(all.len(), 6);
    }
}
