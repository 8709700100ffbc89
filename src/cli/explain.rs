//! `explain`: one fault, probe, volume or workload, from its doc comment and its schema.

use std::fmt::Write;

use super::{args::ExplainArgs, output};
use crate::{
    catalog::{self, Item},
    specimen,
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
        let _ = writeln!(text, "Parameters");
    }
    for parameter in &item.parameters {
        let default = match (&parameter.default, parameter.required) {
            (_, true) => ", required".to_owned(),
            (Some(default), false) if default != "null" => format!(", {default} by default"),
            _ => String::new(),
        };
        let _ = writeln!(text, "  {} ({}{default})", parameter.name, parameter.takes);
        let _ = writeln!(text, "      {}", parameter.doc.replace('\n', " "));
    }
    let _ = writeln!(text, "\nExample\n  {}", item.example);
    if let Some(scope) = item.scope {
        let _ = writeln!(text, "\nBlast radius\n  {}", format!("{scope:?}").to_lowercase());
    }
    if !item.needs.is_empty() {
        let needs: Vec<_> = item.needs.iter().map(|need| need.name()).collect();
        let _ = writeln!(text, "\nNeeds\n  {}", needs.join(", "));
    }
    text
}
