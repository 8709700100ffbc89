//! `doctor` through the command line: it names everything that a host may lack, and why this one
//! does, in words and for machines.

use keelhaul::protocol::Capability;
use serde_json::Value;

use crate::harness::{Ran, Test};

fn doctor(words: &[&str]) -> Ran {
    let ran = Test::new().keelhaul(&[&["doctor"], words].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// What stands behind each name of a section, in words.
fn section<'t>(text: &'t str, name: &str) -> Vec<(&'t str, &'t str)> {
    let lines = text.lines().skip_while(|line| *line != name).skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    lines.map(|line| line.trim().split_once(' ').unwrap()).map(|(a, b)| (a, b.trim())).collect()
}

/// Whether the kernel says that it enforces, in its own place.
fn enforcing() -> bool {
    std::fs::read_to_string("/sys/fs/selinux/enforce").is_ok_and(|text| text.trim() == "1")
}

#[test]
fn it_names_every_capability_and_why_one_is_not_there() {
    let ran = doctor(&[]);
    let told = section(&ran.stdout, "capabilities");
    let names: Vec<&str> = told.iter().map(|(name, _)| *name).collect();
    let all: Vec<&str> = Capability::ALL.iter().map(|one| one.name()).collect();
    assert_eq!(names, all, "{}", ran.stdout);
    for (name, there) in &told {
        let why = there.strip_prefix("no").map(str::trim);
        assert!(*there == "yes" || why.is_some_and(|why| why.len() > 8), "{name}: {there}");
    }
    let of = |section: &[(&str, &str)], name: &str| {
        section.iter().find(|(one, _)| *one == name).unwrap().1.to_owned()
    };
    // what it says of a capability, it says of what needs that one
    let label = of(&section(&ran.stdout, "faults"), "label");
    let selinux = of(&told, "selinux");
    if enforcing() {
        assert_eq!((selinux.as_str(), label.as_str()), ("yes", "yes"));
    } else {
        let why = selinux.strip_prefix("no").unwrap().trim();
        assert!(why.to_lowercase().contains("selinux"), "{why}");
        assert_eq!(label, format!("no   selinux: {why}"));
    }
    assert_eq!(of(&section(&ran.stdout, "faults"), "kill"), "yes");
}

fn list<'v>(whole: &'v Value, name: &str) -> &'v [Value] {
    whole[name].as_array().unwrap()
}

fn name(one: &Value) -> String {
    one["name"].as_str().unwrap().to_owned()
}

#[test]
fn machines_are_told_the_same() {
    let (words, json) = (doctor(&[]).stdout, doctor(&["--format", "json"]).stdout);
    let whole: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(whole["doctor"], 1);
    assert!(words.contains(whole["engine"]["version"].as_str().unwrap()), "{json}");
    // what the kernel of this host lists is all there is to go by
    let known = std::fs::read_to_string("/proc/filesystems").unwrap();
    let nfs =
        known.lines().any(|line| matches!(line.trim_start_matches("nodev").trim(), "nfs" | "nfs4"));
    assert_eq!(whole["nfs_client"]["there"], nfs, "{json}");
    let said = section(&words, "helper").into_iter().find(|(_, said)| said.starts_with("client"));
    assert_eq!(said.unwrap().1.contains("no: the kernel has none"), !nfs, "{words}");
    let there = |one: &Value| match one["reason"].as_str() {
        Some(why) if one["there"] == false => format!("no   {why}"),
        None if one["there"] == true => "yes".to_owned(),
        _ => panic!("{one}"),
    };
    let told: Vec<_> =
        list(&whole, "capabilities").iter().map(|one| (name(one), there(one))).collect();
    let said = section(&words, "capabilities").into_iter();
    let said: Vec<_> = said.map(|(name, there)| (name.to_owned(), there.to_owned())).collect();
    assert_eq!(told, said, "{words}\n{json}");
    for family in ["faults", "volumes", "probes"] {
        let works = |item: &Value| {
            let lacks = item["lacks"].as_array().unwrap();
            assert_eq!(item["works"], lacks.is_empty(), "{item}");
            (name(item), lacks.is_empty())
        };
        let told: Vec<_> = list(&whole, family).iter().map(works).collect();
        let said: Vec<_> = section(&words, family)
            .into_iter()
            .map(|(name, there)| (name.to_owned(), there == "yes"))
            .collect();
        assert_eq!(told, said, "{family}");
        assert!(!told.is_empty(), "{family}");
    }
}

#[test]
fn several_ask_at_once() {
    let tests = [Test::new(), Test::new(), Test::new()];
    let all: Vec<_> = tests.iter().map(|test| test.start(&["doctor"], &[], "")).collect();
    for running in all {
        let ran = running.end();
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}

#[test]
fn without_an_engine_it_says_where_one_was_looked_for() {
    let nobody = "unix:///nowhere/docker.sock";
    for (words, in_json) in [(&[][..], false), (&["--format", "json"][..], true)] {
        let env = [("DOCKER_HOST", nobody)];
        let ran = Test::new().start(&[&["doctor"], words].concat(), &env, "").end();
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stdout.contains(nobody) && ran.stderr.starts_with("error:"), "{ran:?}");
        assert_eq!(serde_json::from_str::<Value>(&ran.stdout).is_ok(), in_json, "{ran:?}");
    }
}
