//! `explain` of the keys of the language: what each means, where it stands, and an example.

use keelhaul::{glossary::WORDS, protocol::Capability};

use crate::harness::Test;

#[test]
fn every_key_is_explained_with_its_places_and_an_example() {
    let test = Test::new();
    for (word, says) in [
        ("interpose", ["What lies between the volume and its users", "`docker`", "Example\n"]),
        ("target", ["The container: `service`.", "`pause`", "{ target: agent"]),
        // below a key of a key
        ("every", ["Every n-th.", "Stands below\n  `when`", "when: { every: "]),
        ("timeout", ["key of a scenario", "key of a healthcheck", "Example\n  timeout: "]),
    ] {
        let ran = test.keelhaul(&["explain", word]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{word}");
        for part in says {
            assert!(ran.stdout.contains(part), "{part} is not in\n{}", ran.stdout);
        }
    }
    let ran = test.keelhaul(&["explain", "interpos"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("did you mean `interpose`?"), "{}", ran.stderr);
}

/// The first example in an explanation, without its indent.
fn example(text: &str) -> String {
    let (_, rest) = text.split_once("\nExample\n").expect("an example");
    let lines = rest.lines().take_while(|line| line.starts_with("  "));
    lines.map(|line| format!("{}\n", &line[2..])).collect()
}

/// What a scenario has beside its steps.
const BASE: &str = "keelhaul: 1
name: t
volumes: { data: { docker: {} } }
services: { agent: { image: keelhaul/specimen, mounts: { /data: data } } }
steady_state: [{ container: { service: agent, state: running } }]
";
const STEPS: &str = "steps: [{ inject: { kill: { target: agent } }, as: k }, recover]\n";

/// Each part of the language, and the scenario in which its example stands.
const PLACES: [(&str, &str); 12] = [
    ("scenario", "EXAMPLE"),
    ("service", "BASEEXAMPLESTEPS"),
    ("step", "BASEsteps:\nEXAMPLE"),
    ("control", "BASESTEPSEXAMPLE"),
    (
        "objectives",
        "BASEworkloads: { w: { ledger: { via: { http: { service: agent } }, rate: 50/s } } }
verify: [{ ledger: { workload: w, lost: 0 } }]
STEPSEXAMPLE",
    ),
    (
        "matrix",
        "BASEEXAMPLEsteps: [{ inject: { kill: { target: agent, signal: \"${signal}\" } }, as: k }, { wait: \"${after}\" }]
",
    ),
    ("expect_failure", "BASESTEPSEXAMPLE"),
    (
        "compose",
        "keelhaul: 1
name: t
EXAMPLEsteady_state: [{ container: { service: db, state: running } }]
steps: [{ inject: { kill: { target: db } }, as: k }, recover]
",
    ),
    (
        "attach",
        "keelhaul: 1
name: t
allow: [attach]
EXAMPLEsteady_state: [{ container: { service: db, state: running } }]
steps: [{ wait: 1s }]
",
    ),
    (
        "healthcheck",
        "BASEservices:
  agent:
    image: keelhaul/specimen
    EXAMPLESTEPS",
    ),
    ("recover", "BASEsteps:\n- { inject: { kill: { target: agent } }, as: k }\nEXAMPLE"),
    ("exec", "BASEsteps:\nEXAMPLE"),
];

/// The scenario with its example; what the example says of services is said once.
fn placed(place: &str, example: &str) -> String {
    let services = BASE.lines().find(|line| line.starts_with("services:")).unwrap();
    let own = example.starts_with("services:") || place.contains("\n  agent:");
    let base = if own { BASE.replace(&format!("{services}\n"), "") } else { BASE.into() };
    place.replace("BASE", &base).replace("STEPS", STEPS).replace("EXAMPLE", example)
}

#[test]
fn the_example_of_each_part_of_the_language_passes_the_check() {
    let test = Test::new();
    test.scenario("compose.yaml", "services: { db: { image: x }, web: { image: x } }\n");
    for (part, place) in PLACES {
        let explained = test.keelhaul(&["explain", part]).stdout;
        // also a word, a key or a probe is called so
        let (_, own) = explained.split_once("\nKeys\n").expect("keys");
        test.scenario("example.yaml", &placed(place, &example(own)));
        let ran = test.keelhaul(&["check", "example.yaml"]);
        assert_eq!(ran.code, Some(0), "{part}: {ran:?}");
    }
}

#[test]
fn a_capability_is_explained_with_what_needs_it() {
    let test = Test::new();
    for capability in Capability::ALL {
        let ran = test.keelhaul(&["explain", capability.name()]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", capability.name());
        assert!(ran.stdout.contains(&format!("{} (capability)\n\n", capability.name())));
    }
    let mounts = test.keelhaul(&["explain", "mount-api"]).stdout;
    assert!(mounts.contains("the new mount API") && mounts.contains("read-only, "), "{mounts}");
}

#[test]
fn the_meaning_of_a_word_comes_before_its_keys() {
    let test = Test::new();
    let said = test.keelhaul(&["explain", "control"]).stdout;
    assert!(said.starts_with("control (word)\n\nThe same scenario with"), "{said}");
    assert!(said.contains("\nKeys\n"), "{said}");
    let step = test.keelhaul(&["explain", "step"]).stdout;
    assert!(step.lines().all(|line| line.len() < 400), "{step}");
}

#[test]
fn every_word_of_the_glossary_is_explained_however_it_is_written() {
    let test = Test::new();
    let explained = |word: &str| test.keelhaul(&["explain", word]);
    for word in WORDS {
        let ran = explained(word.name);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", word.name);
        assert!(ran.stdout.contains(word.means), "{}", ran.stdout);
    }
    for (written, means) in [
        ("steady state", "steady-state (word)"),
        ("Blast_Radius", "blast-radius (word)"),
        ("canaries", "canary (word)"),
        ("interposers", "interposer (word)"),
    ] {
        let ran = explained(written);
        assert!(ran.code == Some(0) && ran.stdout.contains(means), "{written}: {ran:?}");
    }
    for (typo, meant) in [("interpozer", "interposer"), ("canry", "canary"), ("keeperr", "keeper")]
    {
        let ran = explained(typo);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(&format!("did you mean `{meant}`?")), "{}", ran.stderr);
    }
}
