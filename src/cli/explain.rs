//! `explain`: one fault, probe, volume or workload, from its doc comment and its schema.

use std::fmt::Write;

use schemars::JsonSchema;

use super::{args::ExplainArgs, output};
use crate::{
    catalog::{self, Family, Item, Parameter},
    faults::Selector,
    scenario, specimen,
    verdict::ExitCode,
};

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    match catalog::find(&args.name) {
        Ok(items) => {
            let texts: Vec<_> = items.iter().map(render).collect();
            output::data(texts.join("\n"))?;
            Ok(ExitCode::Pass)
        }
        Err(error) => {
            if let Some(text) = specimen::explanation(&args.name) {
                output::data(text)?;
                return Ok(ExitCode::Pass);
            }
            output::say(format!("error: {error}"));
            Ok(ExitCode::Usage)
        }
    }
}

fn render(item: &Item) -> String {
    let mut text = String::new();
    let family = item.family.plural().trim_end_matches('s');
    let _ = writeln!(text, "{} ({family})\n\n{}\n", item.name, item.doc);
    if !item.parameters.is_empty() {
        section(&mut text, "Parameters", &item.parameters);
    }
    let _ = writeln!(text, "\nExample\n  {}", item.example);
    if let Some(scope) = item.scope {
        let _ = writeln!(text, "\nBlast radius\n  {}", format!("{scope:?}").to_lowercase());
    }
    if !item.needs.is_empty() {
        let needs: Vec<_> = item.needs.iter().map(|need| need.name()).collect();
        let _ = writeln!(text, "\nNeeds\n  {}", needs.join(", "));
    }
    if item.family == Family::Fault {
        let _ = writeln!(text);
        section(&mut text, "Several targets", &catalog::parameters_of(Selector::json_schema));
        let _ = writeln!(text, "\nProfiles\n  {}", item.profiles.join(", "));
        let _ = writeln!(text);
        section(&mut text, "Beside it in the step", &of_step());
    }
    text
}

/// What modifies a step that injects.
fn of_step() -> Vec<Parameter> {
    let step = |name: &String| ["when", "within", "hold", "for", "profile"].contains(&&**name);
    let mut all = catalog::parameters_of(scenario::step_schema);
    all.retain(|parameter| step(&parameter.name));
    all
}

fn section(text: &mut String, heading: &str, parameters: &[Parameter]) {
    let _ = writeln!(text, "{heading}");
    for parameter in parameters {
        let default = match (&parameter.default, parameter.required) {
            (_, true) => ", required".to_owned(),
            (Some(default), false) if default != "null" => format!(", {default} by default"),
            _ => String::new(),
        };
        let _ = writeln!(text, "  {} ({}{default})", parameter.name, parameter.takes);
        let _ = writeln!(text, "      {}", parameter.doc.replace('\n', " "));
    }
}
