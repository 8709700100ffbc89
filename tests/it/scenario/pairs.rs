//! Two faults at once, for every pair of the table that some volume can carry: they go in reverse.
//!
//! What the keeper makes of a rollback is tested beside it, and by pairs on a real engine.

use keelhaul::{
    diagnostic::render,
    faults::{FaultRow, FaultSpec, Kind, TABLE},
    volumes,
};

use super::load_text;

/// Its example, on the one volume.
fn example(row: &FaultRow) -> String {
    row.example.replace("agent:/run/agent", "agent:/data")
}

fn spec(row: &FaultRow) -> FaultSpec {
    serde_saphyr::from_str(&example(row)).unwrap()
}

/// What it lies on: the volume, the container, or a path of the container's own.
fn object(row: &FaultRow) -> String {
    match spec(row).target().path.clone() {
        None => "container".into(),
        Some(path) if path.starts_with("/data") => "volume".into(),
        Some(path) => path,
    }
}

/// Both in force, then reverted in this order; what is wrong with that.
fn complaint(volume: &str, faults: [&FaultRow; 2], reverts: &[&str]) -> Option<String> {
    let [first, second] = faults.map(example);
    let reverts: String = reverts.iter().map(|name| format!("  - revert: {name}\n")).collect();
    let yaml = format!(
        "keelhaul: 1
name: pair
volumes: {{ data: {{ {volume} }} }}
services:
  agent: {{ image: keelhaul/specimen, mounts: {{ /data: data }}, memory: 128MiB, user: unique }}
steady_state: [{{ container: {{ service: agent, state: running }} }}]
steps:
  - inject: {{ {first} }}
    as: first
  - inject: {{ {second} }}
    as: second
{reverts}"
    );
    load_text(&yaml, &[]).err().map(|found| render(&found))
}

#[test]
fn of_two_faults_on_one_object_the_later_one_is_reverted_first() {
    let (mut shared, mut apart) = (0, 0);
    for first in TABLE.iter().filter(|row| spec(row).kind() != Kind::Event) {
        for second in TABLE.iter().filter(|row| spec(row).kind() == Kind::State) {
            let pair = [first, second];
            let who = format!("{} and then {}", first.name, second.name);
            let fits = |row: &&volumes::VolumeRow| {
                complaint(row.example, pair, &["second", "first"]).is_none()
            };
            // a tmpfs and a btrfs, for instance, are not the same volume
            let Some(volume) = volumes::TABLE.iter().find(fits) else { continue };
            let wrong = complaint(volume.example, pair, &["first", "second"]);
            if object(first) == object(second) {
                let wrong = wrong.unwrap_or_else(|| panic!("{who}: in any order"));
                assert!(wrong.contains("revert the later fault first"), "{who}: {wrong}");
                shared += 1;
            } else {
                assert_eq!(wrong, None, "{who}: one lies on a volume, one on a container");
                apart += 1;
            }
        }
    }
    assert!(shared > 100 && apart > 50, "{shared} pairs on one object, {apart} on two");
}
