//! `history`: what many runs came to. Reads one file; only `add` writes to it.

use std::{
    fs::File,
    io::{self, BufReader, Write},
};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;

use super::{
    args::{
        HistoryAdd, HistoryArgs, HistoryCompare, HistoryFormat, HistoryShow, HistoryVerb, Since,
    },
    output, report,
};
use crate::{
    history::{self, Added, FILE, Filter, History, HistoryError, RunEntry},
    run::RunRecord,
    verdict::ExitCode,
};

/// Version of the JSON.
const FORMAT: u32 = 1;

pub(super) fn history(args: &HistoryArgs) -> anyhow::Result<ExitCode> {
    let done = match &args.verb {
        None => show(args, &args.show),
        Some(HistoryVerb::Add(add)) => add_runs(args, add),
        Some(HistoryVerb::Compare(two)) => compare(args, two),
    };
    match done {
        // whatever is wrong is with what was given: nothing was touched
        Err(error) if error.is::<HistoryError>() || error.is::<Unreadable>() => {
            output::error(&error);
            Ok(ExitCode::Usage)
        }
        Err(error) => Err(error),
        Ok(()) => Ok(ExitCode::Pass),
    }
}

fn show(args: &HistoryArgs, show: &HistoryShow) -> anyhow::Result<()> {
    let since_us = show.since.map(|since| match since {
        Since::At(at) => at,
        Since::Back(span) => {
            let back = i64::try_from(span.0.as_micros()).unwrap_or(i64::MAX);
            jiff::Timestamp::now().as_microsecond().saturating_sub(back)
        }
    });
    let filter = Filter { scenario: show.scenario.clone(), last: show.last, since_us };
    let runs = History::open(&args.out.join(FILE))?.runs(&filter)?;
    let found = history::summary(&runs, usize::from(show.trend));
    print(args.format, "summary", &found, (history::overview, history::overview_page))
}

fn compare(args: &HistoryArgs, two: &HistoryCompare) -> anyhow::Result<()> {
    let history = History::open(&args.out.join(FILE))?;
    let (first, second) = (history.run(&two.first)?, history.run(&two.second)?);
    let found = history::compare(&first, &second, f64::from(two.more_than));
    print(args.format, "comparison", &found, (history::changes, history::changes_page))
}

/// What was found as text, and as a page.
type Shown<T> = (fn(&T) -> String, fn(&T, &mut dyn Write) -> io::Result<()>);

fn print<T: Serialize>(
    format: HistoryFormat,
    name: &str,
    found: &T,
    (human, html): Shown<T>,
) -> anyhow::Result<()> {
    output::data(match format {
        HistoryFormat::Human => human(found),
        HistoryFormat::Html => {
            let mut page = Vec::new();
            html(found, &mut page).context("no page")?;
            String::from_utf8(page).context("no page")?
        }
        HistoryFormat::Json => {
            let document = json!({ "version": FORMAT, name: found });
            serde_json::to_string_pretty(&document).context("no JSON")? + "\n"
        }
    })
}

/// A directory that holds no run.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unreadable(String);

fn add_runs(args: &HistoryArgs, add: &HistoryAdd) -> anyhow::Result<()> {
    let read = |run: &String| recorded(args, run);
    let runs = add.runs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let added = History::open_or_make(&args.out.join(FILE))?.add(&runs)?;
    for (run, added) in runs.iter().zip(added) {
        let what = match added {
            Added::New => "added",
            Added::Known => "there already",
            Added::Completed => "was cut short, is whole now",
        };
        output::say(format!("{}: {what}", run.run));
    }
    Ok(())
}

fn recorded(args: &HistoryArgs, run: &str) -> Result<RunEntry, Unreadable> {
    let directory = report::directory(run, &args.out);
    let events = directory.join(report::EVENTS);
    let shown = events.display();
    let file = File::open(&events).map_err(|error| {
        let known = report::known(&args.out);
        Unreadable(format!("cannot read `{shown}`: {error}\n\nhint: {known}"))
    })?;
    let record = RunRecord::read(BufReader::new(file));
    RunEntry::of(&record).map_err(|why| Unreadable(format!("`{shown}` is no run: {why}")))
}
