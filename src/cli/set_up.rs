//! What a game day is played on: the set-up of a scenario, or containers that run already.

use std::path::Path;

use anyhow::Context as _;

use super::{
    args::{GamedayArgs, Selection},
    check, files, output, theirs,
};
use crate::{gameday::Draft, plan::Case, runtime::Docker, starter};

/// A case, and the text that what is done by hand is saved with.
pub(super) struct SetUp {
    /// The one case.
    pub(super) case: Case,
    /// Its text, to put other steps into.
    pub(super) draft: Draft,
    /// The same, where no file has it.
    pub(super) unwritten: Option<String>,
}

const NOBODY: &str = "nothing says which container is meant\n\nhint: write `--attach NAME`, `label=KEY=VALUE` or `project=NAME/SERVICE`, or name a scenario";

const BOTH: &str = "a scenario says itself which containers it attaches to\n\nhint: write `--attach` without a value behind the scenario, or leave the scenario out";

/// What the command line asks for; none when something is wrong, which was said.
pub(super) async fn set_up(args: &GamedayArgs) -> anyhow::Result<Option<SetUp>> {
    let words = args.attach.as_deref().unwrap_or_default();
    match (&args.scenario, words) {
        (Some(scenario), []) => of_scenario(scenario, args),
        (None, [_, ..]) => of_containers(words, args).await,
        (scenario, _) => {
            let problem = if scenario.is_some() { BOTH } else { NOBODY };
            output::say(format!("error: {problem}"));
            Ok(None)
        }
    }
}

fn of_scenario(scenario: &Path, args: &GamedayArgs) -> anyhow::Result<Option<SetUp>> {
    let Some(cases) = check::cases(&selection(scenario, args))? else { return Ok(None) };
    let Some(case) = the_one(cases) else { return Ok(None) };
    let mut sources = files::collect(std::slice::from_ref(&case.file));
    let source = sources.pop().context("the scenario is gone")?.1.map_err(anyhow::Error::msg)?;
    Ok(drafted(case, &String::from_utf8_lossy(&source), None))
}

/// A scenario in memory that attaches to them.
async fn of_containers(words: &[String], args: &GamedayArgs) -> anyhow::Result<Option<SetUp>> {
    let docker = Docker::connect(None)?;
    let all = docker.listed().await?;
    let Some(theirs) = theirs::found(words, &all, &docker).await? else { return Ok(None) };
    let text = starter::by_hand(&theirs);
    let file = Path::new("attached.yaml");
    let cases = check::cases_of(&text, file, &selection(file, args))?;
    let case = cases.and_then(the_one);
    Ok(case.and_then(|case| drafted(case, &text, Some(text.clone()))))
}

fn selection(file: &Path, args: &GamedayArgs) -> Selection {
    let (set, case) = (args.set.clone(), args.case.clone());
    Selection { set, case, ..Selection::without_controls(file) }
}

/// The one case; none when there are several, which was said.
fn the_one(cases: Vec<Case>) -> Option<Case> {
    // repeats are the same case again
    let mut cells: Vec<Case> = cases.into_iter().filter(|case| case.repeat == 0).collect();
    if cells.len() > 1 {
        let names: Vec<&str> = cells.iter().map(|case| case.suite.as_str()).collect();
        let names = names.join("`, `");
        output::say(format!(
            "error: a game day has one set of subjects, and here are {}\n\nhint: give one of `{names}` to `--case`",
            cells.len()
        ));
        return None;
    }
    cells.pop()
}

fn drafted(case: Case, text: &str, unwritten: Option<String>) -> Option<SetUp> {
    // an axis that the command line pins is in the cell as it counts there
    let pinned = |set: &&(String, String)| case.cell.iter().all(|(axis, _)| *axis != set.0);
    let values: Vec<_> = case.cell.iter().chain(case.sets.iter().filter(pinned)).cloned().collect();
    match Draft::of(text, &values, &case.shapes) {
        Ok(draft) => Some(SetUp { case, draft, unwritten }),
        Err(problem) => {
            output::say(format!("error: {problem}"));
            None
        }
    }
}
