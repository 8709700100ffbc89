//! From files to cases: cells, controls, repeats, selection.

use std::collections::BTreeSet;

use keelhaul::{
    plan::{Case, Controls, Select, expand},
    scenario::{Action, Loaded, is_listed},
};

use super::{folder, load, load_text};

fn good(name: &str) -> Vec<Loaded> {
    load(&[folder("good").join(name)]).unwrap()
}

fn ids(loaded: &[Loaded], select: &Select) -> Vec<String> {
    expand(loaded, select, 1).unwrap().into_iter().map(|case| case.id).collect()
}

fn case(cases: &[Case], id: &str) -> Case {
    let known: Vec<_> = cases.iter().map(|case| &case.id).collect();
    cases.iter().find(|case| case.id == id).unwrap_or_else(|| panic!("{id} in {known:?}")).clone()
}

#[test]
fn cells_and_controls_become_cases() {
    // one control runs along the first seed only, the other where its cells say
    assert_eq!(
        ids(&good("full.yaml"), &Select::default()),
        [
            "full[volume=ext4,seed=1]",
            "full[volume=ext4,seed=1]@no-retention",
            "full[volume=ext4,seed=2]",
            "full[volume=tmpfs,seed=1]",
            "full[volume=tmpfs,seed=1]@no-retention",
            "full[volume=tmpfs,seed=1]@by-variable",
        ]
    );
}

#[test]
fn variables_and_overrides_reach_the_scenario() {
    let cases = expand(&good("full.yaml"), &Select::default(), 1).unwrap();
    let plain = case(&cases, "full[volume=ext4,seed=2]").scenario;
    assert_eq!(plain.about.as_deref(), Some("Everything in its place, with ${no} variable."));
    assert_eq!(plain.volumes["data"].name(), "ext4");
    let agent = &plain.services["agent"];
    assert_eq!(agent.args, ["--rate", "7", "--weakness", "none"]);
    assert_eq!(agent.env["REGION"], "in-eu");
    assert_eq!(agent.env["SEED"], "2");
    assert_eq!(plain.objectives.rto.unwrap().to_string(), "5s");

    let control = case(&cases, "full[volume=ext4,seed=1]@no-retention");
    assert_eq!(control.control.unwrap().fails, ["recover"]);
    let agent = &control.scenario.services["agent"];
    assert_eq!(agent.args, ["--weakness", "no-retention"], "lists replace");
    assert_eq!(agent.mounts["/data"].volume, "data", "maps merge");

    let control = case(&cases, "full[volume=tmpfs,seed=1]@by-variable");
    assert_eq!(control.scenario.services["agent"].args[3], "no-resume");
    assert_eq!(control.scenario.volumes["data"].name(), "tmpfs");
}

#[test]
fn the_command_line_sets_variables_and_picks_cells() {
    let text = std::fs::read_to_string(folder("good").join("full.yaml")).unwrap();
    let set = |sets: &[(&str, &str)]| load_text(&text, sets);
    let loaded = set(&[("volume", "tmpfs"), ("weakness", "slow"), ("seed", "77")]).unwrap();
    let cases = expand(&loaded, &Select::default(), 1).unwrap();
    let plain = case(&cases, "full[volume=tmpfs,seed=77]");
    assert_eq!(plain.scenario.services["agent"].args[3], "slow");
    // the bug that a control switches on stays switched on
    let control = case(&cases, "full[volume=tmpfs,seed=77]@by-variable");
    assert_eq!(control.scenario.services["agent"].args[3], "no-resume");

    let problems = set(&[("weaknes", "slow")]).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].hint.as_deref(), Some("did you mean `weakness`?"));
    assert!(set(&[("volume", "xfs")]).is_err());
    let problems = set(&[("patience", "5")]).unwrap_err();
    assert!(problems[0].notes[0].message.contains("comes from `--set`"), "{}", problems[0]);
}

#[test]
fn seeds_are_a_matter_of_the_case_alone() {
    let all = expand(&good("full.yaml"), &Select::default(), 9).unwrap();
    let alone = Select { names: vec!["full[volume=ext4,seed=2]".into()], ..Select::default() };
    let alone = expand(&good("full.yaml"), &alone, 9).unwrap();
    assert_eq!(alone.len(), 1);
    assert_eq!(alone[0].seed, case(&all, "full[volume=ext4,seed=2]").seed);
    let other = expand(&good("full.yaml"), &Select::default(), 10).unwrap();
    assert_ne!(other[0].seed, all[0].seed);
    assert_eq!(all[0].seed, all[1].seed, "a control has the seed of its run");
    let repeats = expand(&good("pause-for.yaml"), &Select::default(), 9).unwrap();
    let seeds: BTreeSet<u64> = repeats.iter().map(|case| case.seed).collect();
    assert_eq!((repeats.len(), seeds.len()), (3, 3));
    assert_eq!(repeats[1].id, "pause-for#2");
}

const NODES: &str = "keelhaul: 1
name: nodes
services:
  n1: { image: x, labels: { role: node } }
  n2: { image: x, labels: { role: node } }
  n3: { image: x, labels: { role: node } }
  n4: { image: x, labels: { role: node } }
  store: { image: x }
steps:
  - wait: 1s
  - inject: { kill: { target: { label: role=node, pick: PICK } } }
controls: [{ name: c, services: { store: { image: y } } }]
";

/// The targets of the second step in a case of a run with this seed.
fn hit(pick: &str, case: usize, seed: u64) -> Vec<String> {
    let loaded = load_text(&NODES.replace("PICK", pick), &[]).unwrap();
    let cases = expand(&loaded, &Select::default(), seed).unwrap();
    let faults = cases[case].faults(1);
    faults.iter().map(|fault| fault.target().to_string()).collect()
}

#[test]
fn objects_are_chosen_by_the_seed_and_by_nothing_else() {
    assert_eq!(hit("all", 0, 1), ["n1", "n2", "n3", "n4"]);
    for seed in 0..20 {
        let (one, two, half) = (hit("one", 0, seed), hit("2", 0, seed), hit("50%", 0, seed));
        assert_eq!((one.len(), two.len()), (1, 2));
        assert_eq!(two, half);
        assert!(two.contains(&one[0]), "one more does not change the others");
        assert_eq!(two, hit("2", 0, seed), "a hash, and not a draw");
        assert_eq!(two, hit("2", 1, seed), "a control has the objects of its run");
    }
    let all: BTreeSet<_> = (0..100).flat_map(|seed| hit("one", 0, seed)).collect();
    assert_eq!(all.len(), 4, "every object has its turn");
}

#[test]
fn the_plan_names_what_the_seed_has_chosen() {
    let loaded = load_text(&NODES.replace("PICK", "2"), &[]).unwrap();
    let cases = expand(&loaded, &Select::default(), 3).unwrap();
    let text = keelhaul::plan::text::render(&cases[0]);
    for target in hit("2", 0, 3) {
        assert!(text.contains(&format!("container {target} (once)")), "{text}");
    }
    assert!(text.contains("2 of label role=node, by the seed"), "{text}");
}

#[test]
fn cases_are_selected_by_tag_name_and_control() {
    let loaded = [good("full.yaml"), good("pause-for.yaml")].concat();
    let tagged = |tags: &[&str]| {
        let tags = tags.iter().map(ToString::to_string).collect();
        ids(&loaded, &Select { tags, ..Select::default() }).len()
    };
    assert_eq!(tagged(&[]), 9);
    assert_eq!(tagged(&["capacity"]), 6);
    assert_eq!(tagged(&["!capacity"]), 3);
    let select = |tags: &[&str]| {
        let tags = tags.iter().map(ToString::to_string).collect();
        expand(&loaded, &Select { tags, ..Select::default() }, 1).unwrap_err().to_string()
    };
    assert!(select(&["capacity", "!regression"]).contains("no case is selected"));
    assert!(select(&["capacty"]).contains("did you mean `capacity`?"));
    let only = Select { controls: Controls::Only, ..Select::default() };
    assert!(ids(&loaded, &only).iter().all(|id| id.contains('@')));
    let never = Select { controls: Controls::Never, ..Select::default() };
    assert!(ids(&loaded, &never).iter().all(|id| !id.contains('@')));
    let typo = Select { names: vec!["ful".into()], ..Select::default() };
    assert!(expand(&loaded, &typo, 1).unwrap_err().to_string().contains("`full`"));
}

#[test]
fn shards_are_a_partition() {
    let loaded = [good("full.yaml"), good("pause-for.yaml"), good("minimal.yaml")].concat();
    let mut all = ids(&loaded, &Select::default());
    let mut parts = Vec::new();
    for index in 1..=3 {
        let shard = Some(format!("{index}/3").parse().unwrap());
        parts.extend(ids(&loaded, &Select { shard, ..Select::default() }));
    }
    all.sort();
    parts.sort();
    assert_eq!(parts, all);
    assert!("0/3".parse::<keelhaul::plan::Shard>().is_err());
    assert!("4/3".parse::<keelhaul::plan::Shard>().is_err());
}

#[test]
fn assertions_have_stable_ids() {
    let cases = expand(&good("full.yaml"), &Select::default(), 1).unwrap();
    let ids: Vec<String> = keelhaul::scenario::assertion_ids(&cases[0].scenario)
        .into_iter()
        .map(|assertion| assertion.id)
        .collect();
    assert_eq!(
        ids,
        [
            "agent-runs",
            "full-of-files.effect",
            "full-of-files.revert",
            "steps[1].expect[0]",
            "steps[1]",
            "backup",
            "steps[3]",
            "recover",
            "recover[1]",
            "observe[0]",
            "verify[0]",
            "objectives.rpo",
        ]
    );
    assert!(is_listed("steps[1]", "steps[1].expect[0]"));
    assert!(!is_listed("steps[1]", "steps[10]"));
    assert!(!is_listed("recover", "recover[1]"));
}

#[test]
fn a_bare_recover_is_a_recover_with_defaults() {
    let loaded = good("full.yaml");
    let recovers = loaded[0].cells[0].scenario.steps.iter();
    let recovers = recovers.filter(|step| matches!(step.action, Action::Recover(_)));
    assert_eq!(recovers.count(), 2);
}

#[test]
fn values_of_the_environment_are_hidden() {
    let file = |memory: &str| {
        let services =
            format!("services: {{ a: {{ image: x, env: {{ T: '${{t}}' }}, memory: {memory} }} }}");
        let verify = "verify: [{ container: { service: a, state: running } }]";
        format!("keelhaul: 1\nname: a\nvars: {{ t: '${{env:TOKEN}}' }}\n{services}\n{verify}\n")
    };
    let loaded = load_text(&file("8MiB"), &[]).unwrap();
    assert_eq!(loaded[0].secrets, ["hunter22"]);
    assert_eq!(loaded[0].cells[0].scenario.services["a"].env["T"], "hunter22");
    let problems = load_text(&file("'${t}'"), &[]).unwrap_err();
    let text = keelhaul::diagnostic::render(&problems);
    assert!(!text.contains("hunter22") && text.contains("not `(hidden)`"), "{text}");
}
