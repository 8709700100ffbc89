//! What must hold for every row of the table.

use super::{ProbeSpec, TABLE, testing::World};

#[test]
fn names_are_kebab_case_and_sorted() {
    assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
    for row in TABLE {
        let kebab = row.name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(kebab, "{}", row.name);
    }
}

#[test]
fn the_first_doc_line_is_one_short_sentence() {
    for row in TABLE {
        let schema = (row.schema)(&mut schemars::SchemaGenerator::default());
        let text = schema.get("description").and_then(|value| value.as_str()).unwrap_or_default();
        let line = text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        assert!((10..72).contains(&line.len()), "{}: {line}", row.name);
        assert!(line.ends_with('.') && !line.contains(". "), "{}: {line}", row.name);
    }
}

#[test]
fn the_example_checks_describes_itself_and_survives_a_round_trip() {
    for row in TABLE {
        let probe: ProbeSpec = serde_saphyr::from_str(row.example).unwrap();
        assert_eq!(probe.name(), row.name);
        assert_eq!(probe.check(), Vec::<String>::new(), "{}", row.name);
        let whose = probe.service().or(probe.workload()).unwrap();
        assert!(probe.describe().contains(whose), "{}", probe.describe());
        let json = serde_json::to_value(&probe).unwrap();
        assert_eq!(serde_json::from_value::<ProbeSpec>(json).unwrap(), probe);
    }
}

#[test]
fn unknown_parameters_are_refused() {
    for row in TABLE {
        let mut json: serde_json::Value = serde_saphyr::from_str(row.example).unwrap();
        json[row.name]["surprise"] = true.into();
        assert!(serde_json::from_value::<ProbeSpec>(json).is_err(), "{}", row.name);
    }
}

#[tokio::test]
async fn a_service_that_was_never_created_is_a_violation() {
    let world = World::default();
    for row in TABLE {
        let yaml = row.example.replace("service: agent", "service: nobody");
        let probe: ProbeSpec = serde_saphyr::from_str(&yaml).unwrap();
        if probe.service().is_some() {
            assert!(!probe.read(&world).await.unwrap().holds(), "{}", row.name);
        }
    }
}
