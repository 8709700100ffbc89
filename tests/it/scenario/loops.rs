//! `loop`: steps several times over, written out in the plan.

use crate::harness::Test;

const LOOPED: &str = r#"
keelhaul: 1
name: again
vars: { rounds: 3 }
volumes: { data: { docker: {} } }
services: { agent: { image: keelhaul/specimen, mounts: { /data: data } } }
steady_state: [{ http: { service: agent, path: /health, status: 200 } }]
steps:
  - loop:
      times: ${rounds}
      steps:
        - { inject: { read-only: { target: "agent:/data" } }, as: frozen }
        - { expect: [{ http: { service: agent, path: /health, status: 503 } }], as: noticed }
        - { revert: frozen }
        - recover
controls:
  - { name: silent, fails: [noticed], services: { agent: { args: [--weakness, exit-on-log-error] } } }
"#;

fn said(yaml: &str) -> (Option<i32>, String, String) {
    let test = Test::new();
    test.scenario("again.yaml", yaml);
    let ran = test.keelhaul(&["plan", "again.yaml", "--seed", "1"]);
    (ran.code, ran.stdout, ran.stderr)
}

#[test]
fn every_round_has_steps_of_its_own() {
    let (code, plan, wrong) = said(LOOPED);
    assert_eq!(code, Some(0), "{wrong}");
    for round in 1..=3 {
        let has = |verb: &str| {
            let end = format!("frozen-{round}");
            plan.lines().any(|line| line.contains(verb) && line.contains(&end))
        };
        assert!(has(". inject ") && has(". revert "), "{plan}");
    }
    assert!(!plan.contains("frozen-4"), "{plan}");
    assert!(plan.contains("at noticed-1 or noticed-2 or noticed-3"), "{plan}");
}

#[test]
fn what_is_wrong_with_one_is_said_where_it_stands() {
    for (of, to, says) in [
        ("times: ${rounds}", "times: 0", "`times`"),
        ("times: ${rounds}", "times: 101", "`times`"),
        (
            "        - recover\n",
            "        - { loop: { times: 2, steps: [recover] } }\n",
            "a loop cannot stand in another one",
        ),
        ("  - loop:\n", "  - soft: true\n    loop:\n", "`soft` does not go with `loop`"),
        ("- { revert: frozen }", "- { revert: forzen }", "`forzen`"),
        ("fails: [noticed]", "fails: [notice]", "`notice`"),
    ] {
        let yaml = LOOPED.replace(of, to);
        assert_ne!(yaml, LOOPED, "{of}");
        let (code, plan, wrong) = said(&yaml);
        assert_eq!(code, Some(2), "{to}: {plan}");
        assert!(wrong.contains(says), "{to}: {wrong}");
    }
}
