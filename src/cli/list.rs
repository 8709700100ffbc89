//! `list`: everything that scenarios can name, from the one table.

use std::fmt::Write;

use super::{args::ListArgs, output};
use crate::{
    audit::RULES,
    catalog::{self, Family},
    diagnostic::suggest,
    specimen,
    verdict::ExitCode,
};

const WEAKNESSES: &str = "weaknesses";
const RULES_WORD: &str = "rules";

pub(super) fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let wanted = args.family.as_deref();
    let known: Vec<&str> =
        Family::ALL.iter().map(|family| family.plural()).chain([WEAKNESSES, RULES_WORD]).collect();
    if let Some(word) = wanted
        && !known.contains(&word)
    {
        let hint = suggest(word, known.iter().copied())
            .unwrap_or_else(|| format!("one of {}", known.join(", ")));
        output::say(format!("error: `{word}` is no family\n\nhint: {hint}"));
        return Ok(ExitCode::Usage);
    }
    let mut text = String::new();
    for family in Family::ALL {
        if wanted.is_none_or(|word| word == family.plural()) {
            section(&mut text, family);
        }
    }
    if wanted.is_none_or(|word| word == WEAKNESSES) {
        let _ = write!(
            text,
            "{WEAKNESSES} (of the built-in subject `keelhaul/specimen`)\n{}",
            specimen::table()
        );
    }
    if wanted.is_none_or(|word| word == RULES_WORD) {
        let _ = writeln!(text, "\n{RULES_WORD} (of `keelhaul audit`)");
        for rule in RULES {
            let _ = writeln!(text, "  {:<20} {}", rule.name, rule.about);
        }
    }
    output::data(text)?;
    Ok(ExitCode::Pass)
}

fn section(text: &mut String, family: Family) {
    let _ = writeln!(text, "{}", family.plural());
    for item in catalog::items().iter().filter(|item| item.family == family) {
        let _ = writeln!(text, "  {:<20} {}", item.name, item.summary);
    }
    let _ = writeln!(text);
}
