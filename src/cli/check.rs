//! `check`, and the way every verb reads scenarios: all problems at once, exit code 2.

use std::{path::Path, sync::Arc};

use super::{
    args::{CheckArgs, Controls, Selection},
    files, output,
};
use crate::{
    diagnostic::{self, Diagnostic},
    gameday::Checker,
    plan::{self, Case, Select},
    report::text::count,
    scenario::{Beside, Env, Loaded, environment, load_beside},
    verdict::ExitCode,
};

pub(super) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let Some(loaded) = load(&args.selection)? else { return Ok(ExitCode::Usage) };
    let Some(cases) = expand(&loaded, &args.selection) else { return Ok(ExitCode::Usage) };
    let controls = cases.iter().filter(|case| case.control.is_some()).count();
    let (files, runs) = (loaded.len(), cases.len() - controls);
    output::say(format!(
        "{} well formed: {}, {}",
        count(files, "scenario"),
        count(runs, "case"),
        count(controls, "control")
    ));
    let mut unproven: Vec<&str> = cases.iter().map(|case| case.scenario.name.as_str()).collect();
    unproven.dedup();
    let has =
        |name: &str| cases.iter().any(|case| case.control.is_some() && case.scenario.name == name);
    unproven.retain(|name| !has(name));
    if args.selection.controls == Controls::Always && !unproven.is_empty() {
        output::say(format!(
            "note: nothing shows that these can fail, because they have no control: {}",
            diagnostic::listed(unproven)
        ));
    }
    Ok(ExitCode::Pass)
}

/// The cases that are selected; none when something is wrong, which was said.
pub(super) fn cases(selection: &Selection) -> anyhow::Result<Option<Vec<Case>>> {
    Ok(load(selection)?.and_then(|loaded| expand(&loaded, selection)))
}

/// The way to read one more text as if it were a file.
pub(super) fn checker(set: &[String]) -> anyhow::Result<Checker> {
    let sets = files::assignments(set)?;
    Ok(Arc::new(move |file: &Path, text: &str| {
        let directory = std::env::current_dir().unwrap_or_default();
        let beside = Beside { read: &files::beside, directory: &directory };
        let sources = [(file.to_owned(), Ok(text.as_bytes().to_vec()))];
        let environment = environment_of(&sources);
        let loaded = load_beside(&sources, &sets, &environment, beside)?;
        let scenario = loaded.into_iter().flat_map(|file| file.cells).next();
        let none = || vec![Diagnostic::new(None, "there is no scenario in it")];
        scenario.map(|cell| cell.scenario).ok_or_else(none)
    }))
}

/// The cases of a text that is in no file; none when something is wrong, which was said.
pub(super) fn cases_of(
    text: &str,
    file: &Path,
    selection: &Selection,
) -> anyhow::Result<Option<Vec<Case>>> {
    let source = (file.to_owned(), Ok(text.as_bytes().to_vec()));
    Ok(load_from(&[source], selection)?.and_then(|loaded| expand(&loaded, selection)))
}

fn load(selection: &Selection) -> anyhow::Result<Option<Vec<Loaded>>> {
    load_from(&files::collect(&selection.paths), selection)
}

fn load_from(
    sources: &[files::Source],
    selection: &Selection,
) -> anyhow::Result<Option<Vec<Loaded>>> {
    let sets = match files::assignments(&selection.set) {
        Ok(sets) => sets,
        Err(error) => {
            output::error(&error);
            return Ok(None);
        }
    };
    let directory = std::env::current_dir().unwrap_or_default();
    let beside = Beside { read: &files::beside, directory: &directory };
    match load_beside(sources, &sets, &environment_of(sources), beside) {
        Ok(loaded) => Ok(Some(loaded)),
        Err(diagnostics) => {
            output::say(diagnostic::render(&diagnostics).trim_end());
            Ok(None)
        }
    }
}

/// Only what a scenario declares is read from the environment.
fn environment_of(sources: &[files::Source]) -> Env {
    sources
        .iter()
        .filter_map(|(_, bytes)| std::str::from_utf8(bytes.as_ref().ok()?).ok())
        .flat_map(environment)
        .filter_map(|name| Some((name.clone(), std::env::var(&name).ok()?)))
        .collect()
}

fn expand(loaded: &[Loaded], selection: &Selection) -> Option<Vec<Case>> {
    let select = Select {
        tags: selection.tag.clone(),
        names: selection.case.iter().cloned().collect(),
        controls: match selection.controls {
            Controls::Always => plan::Controls::Always,
            Controls::Only => plan::Controls::Only,
            Controls::Never => plan::Controls::Never,
        },
        shard: selection.shard,
    };
    let seed = selection.seed.unwrap_or_else(rand::random);
    match plan::expand(loaded, &select, seed) {
        Ok(mut cases) => {
            // an id is one case, a scenario's name all of its
            if let Some(id) = &selection.case
                && cases.iter().any(|case| case.id == *id)
            {
                cases.retain(|case| case.id == *id);
            }
            Some(cases)
        }
        Err(error) => {
            output::say(format!("error: {error}"));
            None
        }
    }
}
