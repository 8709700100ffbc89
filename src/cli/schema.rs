//! `schema`: the scenario language for editors.

use super::{args::SchemaArgs, output};
use crate::{scenario, verdict::ExitCode};

pub(super) fn schema(_: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let text = serde_json::to_string_pretty(scenario::schema())?;
    output::data(format!("{text}\n"))?;
    Ok(ExitCode::Pass)
}
