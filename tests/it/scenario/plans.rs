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

#[test]
fn an_undo_is_that_of_the_volume_at_hand() {
    let test = Test::new();
    for (volume, disk, inodes) in [
        ("ext4: { size: 64MiB }", "remove our file", "remove our files"),
        ("tmpfs: { size: 64MiB }", "put the tmpfs's limit back", "put the tmpfs's limit back"),
    ] {
        let yaml = format!(
            "keelhaul: 1\nname: full\nvolumes: {{ data: {{ {volume} }} }}\nservices:\n  \
             agent: {{ image: keelhaul/specimen, mounts: {{ /data: data }} }}\nsteps:\n  \
             - inject: {{ disk-full: {{ target: \"agent:/data\" }} }}\n    as: full\n  \
             - revert: full\n  \
             - inject: {{ inode-exhaustion: {{ target: \"agent:/data\" }} }}\n    as: none\n"
        );
        test.scenario("full.yaml", &yaml);
        let ran = test.keelhaul(&["plan", "full.yaml"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let undos: Vec<&str> =
            ran.stdout.lines().filter_map(|line| line.trim().strip_prefix("undo ")).collect();
        let undos: Vec<&str> = undos.into_iter().map(str::trim).collect();
        assert_eq!(undos, [disk, inodes], "{}", ran.stdout);
    }
}
