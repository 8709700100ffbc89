//! The shipped scenarios as a library: between them they use every fault.
//!
//! That each one checks, names the schema and has a control is tested with the language.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use keelhaul::{
    faults,
    scenario::{self, Beside, Loaded, Sets},
};

use super::{none, root, sources};

/// Every shipped scenario, by path.
pub(super) fn shipped() -> Vec<Loaded> {
    let files = sources(&["scenarios"], &[".yaml"]);
    assert!(files.len() >= 8, "the scenarios were not found");
    let texts: Vec<_> = files
        .into_iter()
        .map(|file| (PathBuf::from(file.path), Ok(file.text.into_bytes())))
        .collect();
    let read = |path: &Path| Ok(std::fs::read(root().join(path)).ok());
    let beside = Beside { read: &read, directory: &root() };
    scenario::load_beside(&texts, &Sets::new(), &BTreeMap::new(), beside).unwrap()
}

#[test]
fn each_says_what_goes_wrong_and_where_its_controls_must_fail() {
    let mut offences = Vec::new();
    for loaded in shipped() {
        if loaded.cells[0].scenario.about.is_none() {
            offences.push(format!("{} has no `about`", loaded.name));
        }
        for control in loaded.cells.iter().flat_map(|cell| &cell.controls) {
            if control.control.fails.is_empty() {
                offences
                    .push(format!("{}: `{}` may fail anywhere", loaded.name, control.control.name));
            }
        }
    }
    none(&offences, "a control that may fail anywhere proves little");
}

#[test]
fn every_fault_is_used_by_a_scenario() {
    let used: BTreeSet<&str> =
        shipped().iter().flat_map(|loaded| super::catalogue::faults(loaded)).collect();
    let unused = faults::TABLE.iter().map(|row| row.name).filter(|name| !used.contains(name));
    let unused: Vec<String> = unused.map(str::to_owned).collect();
    none(&unused, "write a scenario for these faults");
}

/// Width of name and description in the table of weaknesses.
const COLUMNS: usize = 22 + 52;

#[test]
fn every_weakness_names_a_scenario_whose_control_has_it() {
    let with_weakness = |weakness: &str, loaded: &Loaded| {
        let controls = loaded.cells.iter().flat_map(|cell| &cell.controls);
        controls.flat_map(|control| super::catalogue::programs(&control.scenario)).any(|words| {
            let named = |pair: &[String]| pair[0] == "--weakness" && pair[1] == weakness;
            words.windows(2).any(named) || words.contains(&format!("--weakness={weakness}"))
        })
    };
    let all = shipped();
    let mut offences = Vec::new();
    for line in keelhaul::specimen::table().lines().skip(1) {
        let weakness = line.split_whitespace().next().unwrap();
        let fails = line.get(COLUMNS..).unwrap();
        let named = all.iter().find(|loaded| loaded.name == fails);
        if !fails.starts_with("none: ") && !named.is_some_and(|it| with_weakness(weakness, it)) {
            offences.push(format!("`{weakness}` names `{fails}`, which has no such control"));
        }
    }
    none(&offences, "name the scenario that a weakness fails, or say `none:` and why");
}
