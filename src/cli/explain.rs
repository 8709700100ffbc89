//! `explain`: one fault, probe, volume or workload, from its doc comment and its schema; a word, a key of
//! the language, a rule, a capability.

use std::fmt::Write;

use schemars::JsonSchema;

use super::{args::ExplainArgs, keys, language, output};
use crate::{
    audit::{self, RULES},
    catalog::{self, Family, Item, Parameter},
    diagnostic::closest,
    faults::Selector,
    glossary,
    protocol::Capability,
    scenario, specimen,
    verdict::ExitCode,
};

/// More alternatives than these are counted; so many of them are shown.
const MANY: usize = 24;
const SHOWN: usize = 3;

pub(super) fn explain(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let found = catalog::find(&args.name);
    let items = found.iter().flatten().map(render);
    let word = args.name.as_str();
    let more = [
        language::explanation(word),
        specimen::explanation(word),
        of_rule(word),
        of_capability(word),
    ];
    // what it means comes before how it is written
    let texts = of_words(word).into_iter().chain(items).chain(more.into_iter().flatten());
    let texts: Vec<String> = texts.collect();
    match found {
        Err(error) if texts.is_empty() => {
            output::say(format!("error: {}", unknown(word, &error)));
            Ok(ExitCode::Usage)
        }
        _ => {
            output::data(texts.join("\n"))?;
            Ok(ExitCode::Pass)
        }
    }
}

/// With the key or the word that was probably meant, where nothing else was.
fn unknown(word: &str, error: &str) -> String {
    let capabilities = Capability::ALL.iter().map(|capability| capability.name());
    let known = keys::names().into_iter().chain(glossary::names()).chain(capabilities);
    let meant = closest(word, known).filter(|_| !error.contains("did you mean"));
    if let Some((what, meant)) = error.split_once("\n\n").map(|(what, _)| what).zip(meant) {
        return format!("{what}\n\nhint: did you mean `{meant}`?");
    }
    let parts: Vec<&str> = language::names().collect();
    format!("{error}; of the language, `{}` and their keys", parts.join("`, `"))
}

/// A word of keelhaul's own.
fn of_words(name: &str) -> Option<String> {
    let found = glossary::find(name)?;
    Some(format!("{} (word)\n\n{}\n", found.name, found.means))
}

/// What a host must offer, and what needs it.
fn of_capability(name: &str) -> Option<String> {
    let capability = Capability::ALL.iter().find(|capability| capability.name() == name)?;
    let about = catalog::meaning(Capability::json_schema, name)?;
    let items = catalog::items();
    let needing = items.iter().filter(|item| item.needs.contains(capability));
    let needing: Vec<&str> = needing.map(|item| item.name).collect();
    let needed = match needing.as_slice() {
        [] => String::new(),
        names => format!("\nNeeded by\n  {}\n", names.join(", ")),
    };
    Some(format!(
        "{name} (capability)\n\n{about}\n{needed}\n`keelhaul doctor` says whether this host has it, and why \
         not. `requires: [{name}]` has a scenario skipped where it lacks.\n"
    ))
}

/// A rule of `audit`.
fn of_rule(name: &str) -> Option<String> {
    let rule = RULES.iter().find(|rule| rule.name == name)?;
    Some(format!(
        "{name} (rule of `audit`, {})\n\n{}\n\nRisk\n  {}\n\nProof\n  {}\n",
        rule.weight.word(),
        rule.about,
        rule.risk,
        audit::proof(rule.shows, rule.proof)
    ))
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

/// What a parameter takes: of many alternatives the first few.
pub(super) fn takes(parameter: &Parameter) -> String {
    let all: Vec<&str> = parameter.takes.split(" | ").collect();
    match all.get(..SHOWN) {
        Some(first) if all.len() > MANY => {
            format!("{} | … {} in all", first.join(" | "), all.len())
        }
        _ => parameter.takes.clone(),
    }
}

/// What modifies a step that injects.
fn of_step() -> Vec<Parameter> {
    let step = |name: &String| ["when", "within", "hold", "for", "profile"].contains(&&**name);
    let mut all = catalog::parameters_of(scenario::step_schema);
    all.retain(|parameter| step(&parameter.name));
    all
}

pub(super) fn section(text: &mut String, heading: &str, parameters: &[Parameter]) {
    let _ = writeln!(text, "{heading}");
    for parameter in parameters {
        let default = match (&parameter.default, parameter.required) {
            (_, true) => ", required".to_owned(),
            (Some(default), false) if default != "null" => format!(", {default} by default"),
            _ => String::new(),
        };
        let _ = writeln!(text, "  {} ({}{default})", parameter.name, takes(parameter));
        let _ = writeln!(text, "      {}", parameter.doc.replace('\n', " "));
    }
}
