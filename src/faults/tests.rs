//! What must hold for every row of the table.

use super::{Declared, Effect, FaultSpec, TABLE, testing};
use crate::{helper::HelperError, runtime::State};

fn first_line(row: &super::FaultRow) -> String {
    let schema = (row.schema)(&mut schemars::SchemaGenerator::default());
    let text = schema.get("description").and_then(|value| value.as_str()).unwrap_or_default();
    text.split("\n\n").next().unwrap_or_default().replace('\n', " ")
}

#[test]
fn names_are_kebab_case_and_sorted() {
    for row in TABLE {
        let kebab = row.name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(kebab, "{}", row.name);
    }
    assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
}

#[test]
fn the_first_doc_line_is_one_short_sentence() {
    for row in TABLE {
        let line = first_line(row);
        assert!((10..72).contains(&line.len()), "{}: {line}", row.name);
        assert!(line.ends_with('.') && !line.contains(". "), "{}: {line}", row.name);
    }
}

#[test]
fn the_example_names_its_row_and_survives_a_round_trip() {
    for row in TABLE {
        let fault: FaultSpec = serde_saphyr::from_str(row.example).unwrap();
        assert_eq!(fault.name(), row.name);
        let json = serde_json::to_value(&fault).unwrap();
        assert_eq!(serde_json::from_value::<FaultSpec>(json).unwrap(), fault);
        let described = fault.describe();
        assert!(described.act.contains(&fault.target().to_string()), "{}", described.act);
        assert!(!described.undo.is_empty() && !described.proof.is_empty());
    }
}

#[test]
fn the_example_has_nothing_wrong_on_some_volume() {
    let volumes = crate::volumes::TABLE.iter().map(|row| Some(testing::volume_spec(row.example)));
    let interposed = ["docker: { interpose: file }", "ext4: { size: 64MiB, interpose: block }"];
    let interposed = interposed.map(|yaml| Some(testing::volume_spec(yaml)));
    let volumes: Vec<_> = volumes.chain([None]).chain(interposed).collect();
    for row in TABLE {
        let fault: FaultSpec = serde_saphyr::from_str(row.example).unwrap();
        let fits = volumes.iter().any(|volume| {
            [false, true].into_iter().any(|is_mount_point| {
                let declared =
                    Declared { volume: volume.as_ref(), is_mount_point, host_wide: false };
                fault.check(&declared).is_empty()
            })
        });
        assert!(fits, "{}", row.name);
    }
}

#[test]
fn unknown_parameters_are_refused() {
    for row in TABLE {
        let json: serde_json::Value = serde_saphyr::from_str(row.example).unwrap();
        let mut json = json;
        json[row.name]["surprise"] = true.into();
        assert!(serde_json::from_value::<FaultSpec>(json).is_err(), "{}", row.name);
    }
}

#[tokio::test]
async fn a_container_that_ended_is_an_unproven_effect_and_a_lost_helper_an_error() {
    let (fake, site) = (testing::Fake::default(), testing::site("/data", "docker: {}"));
    let cx = fake.cx(&site);
    let fault: FaultSpec = serde_saphyr::from_str("read-only: { target: agent:/data }").unwrap();
    let before = fault.prepare(&cx).await.unwrap().before;
    fake.world().helper_error = Some(HelperError::Refused("no init".into()));
    assert!(fault.verify(&before, &[], &cx).await.is_err(), "it still runs");
    fake.world().container.as_mut().unwrap().state = State::Exited;
    let effect = fault.verify(&before, &[], &cx).await.unwrap();
    assert!(
        matches!(effect, Effect { proven: false, evidence, .. } if evidence.contains("exited"))
    );
    fake.world().helper_error = Some(HelperError::Lost("lease".into()));
    assert!(fault.verify(&before, &[], &cx).await.is_err());
}
