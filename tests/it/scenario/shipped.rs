//! The scenarios that we ship: they check, they tell editors of the schema, and each has a control.

use std::{fs, path::PathBuf};

use keelhaul::{
    diagnostic::{Diagnostic, render},
    plan::{Select, expand},
};

use super::{load, yaml_files};

fn shipped() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let families = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    families.filter(|path| path.is_dir()).flat_map(|family| yaml_files(&family)).collect()
}

#[test]
fn every_shipped_scenario_checks_and_has_a_control() {
    let files = shipped();
    assert!(files.len() >= 7, "{files:?}");
    let loaded =
        load(&files).unwrap_or_else(|problems: Vec<Diagnostic>| panic!("{}", render(&problems)));
    let cases = expand(&loaded, &Select::default(), 1).unwrap();
    for file in &loaded {
        let controls = cases.iter().filter(|case| case.file == file.file && case.control.is_some());
        assert!(controls.count() > 0, "`{}` has no control", file.name);
        assert_eq!(
            Some(file.name.as_str()),
            file.file.file_stem().and_then(|stem| stem.to_str()),
            "a file is called as its scenario"
        );
    }
}

#[test]
fn every_shipped_scenario_names_the_schema() {
    for file in shipped() {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(
            first,
            "# yaml-language-server: $schema=../scenario.schema.json",
            "{}",
            file.display()
        );
    }
}
