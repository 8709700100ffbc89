//! `report`: renders the reports of a run again, from its events alone.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use super::{args::ReportArgs, output, run::print_report};
use crate::{
    report,
    run::RunRecord,
    verdict::{ExitCode, Verdict},
};

pub(super) const EVENTS: &str = "events.jsonl";
/// Runs named in a hint.
const NAMED: usize = 5;

pub(super) fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let directory = directory(&args.run, &args.out);
    let events = directory.join(EVENTS);
    let file = match File::open(&events) {
        Ok(file) => file,
        Err(error) => {
            let known = known(&args.out);
            output::say(format!(
                "error: cannot read `{}`: {error}\n\nhint: {known}",
                events.display()
            ));
            return Ok(ExitCode::Usage);
        }
    };
    let record = RunRecord::read(BufReader::new(file));
    let (_, failed) = report::render_all(&record, &directory);
    let mut problems: Vec<String> = failed.iter().map(ToString::to_string).collect();
    problems.extend(report::write_logs(&record, &directory).err());
    problems.iter().for_each(|problem| output::say(format!("error: {problem}")));
    print_report(&record, args.format, output::look())?;
    let unwritten = if problems.is_empty() { Verdict::Pass } else { Verdict::Error };
    Ok(report::exit_code(&record, unwritten))
}

/// A directory as it is given, or a run below `--out`.
pub(super) fn directory(run: &str, out: &Path) -> PathBuf {
    let given = PathBuf::from(run);
    if given.join(EVENTS).exists() { given } else { out.join(run) }
}

/// The runs there are, newest first.
pub(super) fn runs(out: &Path) -> Vec<String> {
    let entries = fs::read_dir(out).into_iter().flatten().flatten();
    let mut runs: Vec<_> = entries
        // `latest` is a link to one of the others
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| {
            let written = entry.path().join(EVENTS).metadata().ok()?.modified().ok()?;
            Some((written, entry.file_name().display().to_string()))
        })
        .collect();
    runs.sort();
    runs.into_iter().rev().map(|(_, name)| name).collect()
}

/// The newest runs there are, or that there is none.
pub(super) fn known(out: &Path) -> String {
    let names: Vec<String> =
        runs(out).into_iter().take(NAMED).map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return format!("there is no run in `{}`; `--out` names another directory", out.display());
    }
    format!("the newest runs in `{}` are {}", out.display(), names.join(", "))
}
