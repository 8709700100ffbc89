//! Compose files that `audit` and `init` are given; no engine is needed.

use crate::harness::Test;

/// Neither of the texts that are made around it is anything that a user knows of.
#[test]
fn a_compose_file_that_is_not_there_is_all_that_is_named() {
    let test = Test::new();
    std::fs::create_dir(test.path("folder")).unwrap();
    for (file, why) in [("missing.yaml", "there is no such file"), ("folder", "not a regular file")]
    {
        for verb in ["audit", "init"] {
            let ran = test.keelhaul(&[verb, "--compose", file]);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{}", ran.stderr);
            let begin = format!("error: `{file}`: ");
            let said = ran.stderr.starts_with(&begin) && ran.stderr.contains(why);
            assert!(said && ran.stderr.contains("hint: "), "{}", ran.stderr);
            let own = ["audit.yaml", "starter.yaml", "compose: "];
            assert!(own.iter().all(|text| !ran.stderr.contains(text)), "{}", ran.stderr);
        }
    }
}

#[test]
fn what_shows_a_finding_is_a_command_that_works() {
    let test = Test::new();
    test.scenario("compose.yaml", "services: { web: { image: keelhaul/nowhere } }\n");
    let ran = test.keelhaul(&["audit", "--compose", "compose.yaml"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let line =
        "proof  `keelhaul explain oom-kill`, as in keelhaul's own scenario lifecycle/oom-kill";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    let explained = test.keelhaul(&["explain", "oom-kill"]);
    assert_eq!(explained.code, Some(0), "{}", explained.stderr);
}
