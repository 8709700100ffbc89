//! The committed JSON schema is the one that the types give.

use std::{fs, path::PathBuf};

use keelhaul::scenario;

#[test]
fn the_committed_schema_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/scenario.schema.json");
    let current = format!("{}\n", serde_json::to_string_pretty(scenario::schema()).unwrap());
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &current).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == current, "run `UPDATE=1 cargo test --test it schema`");
}

#[test]
fn every_key_of_a_scenario_is_documented() {
    let schema = scenario::schema();
    let mut places = vec![("scenario".to_owned(), schema)];
    let definitions = schema["$defs"].as_object().unwrap();
    places.extend(definitions.iter().map(|(name, schema)| (name.clone(), schema)));
    for (name, schema) in places {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let described = property.get("description").is_some() || property.get("$ref").is_some();
            assert!(described, "`{key}` of `{name}` has no description");
        }
    }
}
