//! A wrong value for every parameter of everything nameable, made from the one table: whatever is
//! added is covered, and its refusals are texts to be read.
//!
//! `UPDATE=1 cargo test --test it parameters` writes them anew.

use std::{collections::BTreeSet, fs};

use keelhaul::{
    catalog::{self, Family, Item, Parameter},
    diagnostic::{Diagnostic, render},
};
use serde_json::{Value, json};

use super::{folder, load_text};

/// A value of a parameter that is wrong, or may be: whether it must be refused.
type Variation = (Value, bool);

/// Wrong values of a parameter, by what it takes.
fn wrong(parameter: &Parameter) -> Vec<Variation> {
    let takes = parameter.takes.as_str();
    if takes.split(" | ").any(|word| word == "anything") {
        return Vec::new();
    }
    if takes.starts_with("target") {
        return vec![(json!("no target"), true), (json!(["agent"]), true)];
    }
    // text could be anything
    let other = if takes.split(" | ").any(|word| word == "text") {
        json!(["nonsense"])
    } else {
        json!("nonsense")
    };
    // what is measured may be negative, and a part of one; what is counted may not
    let measured = takes.split(" | ").any(|word| word == "number");
    let signed = takes.contains("number").then(|| (json!(-1.5), !measured));
    [Some((other, true)), signed].into_iter().flatten().collect()
}

/// The example's parameters, each time with something wrong: every value, a missing key, a key that
/// nobody knows.
fn variations(item: &Item) -> Vec<Variation> {
    let example: Value = serde_saphyr::from_str(item.example).unwrap();
    let good = &example[item.name];
    let mut all = Vec::new();
    for parameter in &item.parameters {
        for (value, refused) in wrong(parameter) {
            let mut bad = good.clone();
            bad[&parameter.name] = value;
            all.push((bad, refused));
        }
        if parameter.required {
            let mut bad = good.clone();
            bad.as_object_mut().unwrap().remove(&parameter.name);
            all.push((bad, true));
        }
    }
    let mut bad = good.clone();
    bad["surprise"] = json!(true);
    all.push((bad, true));
    all
}

/// A scenario with one of them on each of its last lines.
fn scenario(item: &Item, variations: &[Variation]) -> String {
    let (head, service) =
        (format!("keelhaul: 1\nname: {}\n", item.name), "services: { agent: { image: app } }\n");
    let lines = variations.iter().enumerate().map(|(i, (parameters, _))| {
        let one = json!({ item.name: parameters });
        match item.family {
            Family::Fault => format!("  - inject: {one}\n"),
            Family::Probe => format!("  - {one}\n"),
            Family::Volume | Family::Workload => format!("  n{i}: {one}\n"),
        }
    });
    let section = match item.family {
        Family::Fault => "steps",
        Family::Probe => "verify",
        Family::Volume => "volumes",
        Family::Workload => "workloads",
    };
    format!("{head}{service}{section}:\n{}", lines.collect::<String>())
}

fn line_of(problem: &Diagnostic) -> Option<usize> {
    Some(problem.place.as_ref()?.spot.as_ref()?.line)
}

/// What is wrong with the refusals of one item, held against its golden text.
fn difference(item: &Item) -> Vec<String> {
    let variations = variations(item);
    let text = scenario(item, &variations);
    let name = format!("{}-{}", item.family.plural().trim_end_matches('s'), item.name);
    let Err(problems) = load_text(&text, &[]) else { return vec![format!("{name} is loaded")] };
    let refused: BTreeSet<usize> = problems.iter().filter_map(line_of).collect();
    let first = text.lines().count() - variations.len() + 1;
    let mut wrong: Vec<String> = (first..)
        .zip(&variations)
        .filter(|(line, (_, must))| *must && !refused.contains(line))
        .map(|(_, (bad, _))| format!("{name} takes {bad}"))
        .collect();
    let golden = folder("parameters").join(format!("{name}.err"));
    let got = render(&problems);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(folder("parameters")).unwrap();
        fs::write(&golden, &got).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    if got != expected {
        wrong.push(format!("{}\n--- expected\n{expected}--- got\n{got}", golden.display()));
    }
    wrong
}

#[test]
fn every_parameter_refuses_wrong_values_in_words() {
    let items = catalog::items();
    let wrong: Vec<String> = items.iter().flat_map(difference).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let files = fs::read_dir(folder("parameters")).unwrap().count();
    assert_eq!(files, items.len(), "a text of something that is no more");
}
