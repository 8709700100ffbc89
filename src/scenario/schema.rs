//! The JSON schema of a scenario, from the types alone.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::Scenario;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<Scenario>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".into(), json!("keelhaul scenario"));
    }
    schema
});

/// The JSON schema (draft 2020-12) of a scenario file, for editors and `keelhaul schema`.
#[must_use]
pub fn schema() -> &'static Value {
    &SCHEMA
}
