//! `keelhaul plan`: the seed that it names makes the same plan again, and is the one that `run` takes.

use crate::harness::Test;

const PICKED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/network/heartbeat-half-silent.yaml");

#[test]
fn a_plan_names_the_seed_that_makes_it_again() {
    let test = Test::new();
    let drawn = test.keelhaul(&["plan", PICKED]);
    assert_eq!(drawn.code, Some(0), "{drawn:?}");
    let said = drawn.stderr.trim().to_owned();
    let seed = said.split("`--seed ").nth(1).and_then(|rest| rest.split('`').next()).unwrap();
    assert!(drawn.stdout.contains(&format!("seed          {seed}\n")), "{drawn:?}");
    let again = test.keelhaul(&["plan", PICKED, "--seed", seed]);
    assert_eq!((again.stdout, again.stderr.as_str()), (drawn.stdout, ""));
    let other = test.keelhaul(&["plan", PICKED, "--seed", "7"]);
    assert!(other.stdout.contains("seed          7\n"), "{other:?}");
}
