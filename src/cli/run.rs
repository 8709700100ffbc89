//! `run`: load, plan, run, report.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::{
    again,
    args::{Debugging, RunArgs},
    attach, check, commit, output,
    progress::Progress,
    remember::Memory,
    signals,
};
use crate::{
    helper::recover,
    plan::{Case, radius::By},
    report::{
        self, Format,
        terminal::{self, Look},
        text::one_line,
    },
    run::{
        self, Closed, Event, Listener, Recorder, Redactor, RunRecord, RunStart, Stamped,
        stages::DockerStages, suite,
    },
    runtime::{self, Docker, Runtime},
    verdict::{Ending, ExitCode, FailOn, Verdict},
};

pub(super) async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let Some(mut cases) = check::cases(&args.selection)? else { return Ok(ExitCode::Usage) };
    if cases.is_empty() {
        // another has them
        output::say("nothing to do: no case is in this shard");
        return Ok(ExitCode::Pass);
    }
    let again =
        match args.debugging.replay.as_deref().map(|run| again::strikes(run, &args.out, &cases)) {
            Some(Err(why)) => {
                output::say(format!("error: {why}"));
                return Ok(ExitCode::Usage);
            }
            found => found.and_then(Result::ok).map(Arc::new),
        };
    // nothing is there yet that an interruption would have to roll back
    let said = attach::Said { attach: args.attach, yes: args.yes, by: By::Steps };
    if let Some(code) = attach::confirmed(&mut cases, &said).await {
        return Ok(code);
    }
    let interrupt = signals::interrupt();
    let run = run::new_run_id();
    let directory = args.out.join(&run);
    // at once: a verdict that nobody can read is not worth a minute of faults
    let log = events_file(&args.out, &run, &directory).with_context(|| {
        format!("no run, since its reports cannot be written to `{}`", args.out.display())
    })?;
    let progress = Progress::new(args.format);
    let unprinted = Unprinted::default();
    let recorder = Recorder::new(Some(log), listeners(&args, &progress, &unprinted));
    recorder.keep_files_in(&directory);

    // before the first event: the command line may hold what a case wants hidden
    cases.iter().for_each(|case| recorder.redact(Redactor::of(case)));

    let engine = connected(&interrupt).await;
    let facts = engine.as_ref().ok().map(|(_, facts)| facts);
    recorder.emit(Event::RunStarted(Box::new(start(&run, &cases, &args.fail_on, facts))));
    let (verdict, ending) = match engine {
        Ok((docker, engine)) => {
            // beside the run: it has all the time that the run takes
            tokio::spawn(recover::sweep(Arc::clone(&docker)));
            let stages = DockerStages::new(docker, engine, run.clone()).with_journals(&directory);
            let options = suite::Options { again, ..options(&args) };
            suite::run(cases, options, &stages, &recorder, &interrupt).await
        }
        Err(text) => {
            recorder.emit(Event::Noted { case: None, text });
            let interrupted = interrupt.is_cancelled();
            (Verdict::Error, Ending { interrupted, ..Ending::default() })
        }
    };
    let mut memory = Memory::new(&args.out, args.no_history);
    memory.recall(&recorder);
    recorder.emit(ended(Closed { verdict, ending }, &recorder));
    memory.keep(&recorder.record());
    progress.finish();
    let read_cases = output::together();
    let last = Last { directory: &directory, unprinted: &unprinted, read_cases };
    finish(args.format, &recorder, &last)
}

/// The last event. A run whose events could not be written ends with an error, whatever else came of it.
pub(super) fn ended(Closed { verdict, ending }: Closed, recorder: &Recorder) -> Event {
    let verdict = recorder.failure().map_or(verdict, |_| verdict.merge(Verdict::Error));
    Event::RunEnded { verdict, ending }
}

/// The engine and what it is, or why there is none.
pub(super) async fn connected(
    interrupt: &CancellationToken,
) -> Result<(Arc<Docker>, runtime::EngineFacts), String> {
    let docker = Docker::connect(None).map(Arc::new).map_err(|error| error.to_string())?;
    let facts = tokio::select! {
        facts = docker.engine() => facts.map_err(|error| error.to_string())?,
        // it may hang for as long as its time limit
        () = interrupt.cancelled() => return Err("interrupted before the engine answered".into()),
    };
    Ok((docker, facts))
}

/// What the last screen is about, and what has been printed before it.
pub(super) struct Last<'a> {
    /// Where the reports go.
    pub(super) directory: &'a Path,
    /// What standard output did not take.
    pub(super) unprinted: &'a Unprinted,
    /// Who reads this screen has read a line for each case already.
    pub(super) read_cases: bool,
}

/// Writes the reports, prints the last screen, and says how it ended. The screen is what was asked for,
/// so all of it goes to standard output; what went wrong with the reports does not.
pub(super) fn finish(
    format: Format,
    recorder: &Recorder,
    last: &Last<'_>,
) -> anyhow::Result<ExitCode> {
    let Last { directory, unprinted, read_cases } = *last;
    let record = recorder.record();
    let (written, failed) = report::render_all(&record, directory);
    let mut problems: Vec<String> = failed.iter().map(ToString::to_string).collect();
    problems.extend(report::write_logs(&record, directory).err());
    problems
        .extend(recorder.failure().map(|error| format!("the event file is incomplete: {error}")));
    if format != Format::Json {
        let look = Look { quiet: read_cases, ..output::look() };
        print_report(&record, format, look).unwrap_or_else(|error| unprinted.note(&error));
    }
    let place = format!("reports: {}", directory.display());
    if !written.is_empty() && format == Format::Human {
        output::data(format!("{place}\n")).unwrap_or_else(|error| unprinted.note(&error));
    }
    problems.extend(unprinted.said());
    problems.iter().for_each(|problem| output::say(format!("error: {problem}")));
    if !written.is_empty() && format != Format::Human {
        // standard output is a document then
        output::say(place);
    }
    let unwritten = if problems.is_empty() { Verdict::Pass } else { Verdict::Error };
    Ok(report::exit_code(&record, unwritten))
}

/// Prints what `--format` asks for.
pub(super) fn print_report(record: &RunRecord, format: Format, look: Look) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    if format == Format::Human {
        terminal::summary(record, look, &mut bytes)?;
    } else {
        report::render(format, record, &mut bytes)?;
    }
    output::data(String::from_utf8_lossy(&bytes))
}

/// The first write to standard output that failed: whoever reads there has not got everything.
#[derive(Clone, Default)]
pub(super) struct Unprinted(Arc<OnceLock<String>>);

impl Unprinted {
    fn note(&self, error: &anyhow::Error) {
        let _ = self.0.set(format!("{error:#}"));
    }

    fn said(&self) -> Option<String> {
        self.0.get().cloned()
    }
}

fn listeners(args: &RunArgs, progress: &Progress, unprinted: &Unprinted) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    let progress = progress.clone();
    listeners.push(Box::new(move |event| progress.event(event)));
    if tracing::enabled!(tracing::Level::DEBUG) {
        listeners.push(Box::new(traced));
    }
    if args.format != Format::Human {
        // nothing else speaks to the user then
        listeners.push(Box::new(|stamped| {
            if let Event::Attention { case, text } = &stamped.event {
                output::say(format!("{case}: {text}"));
            }
        }));
    }
    if args.format == Format::Json {
        let unprinted = unprinted.clone();
        listeners.push(Box::new(move |event| {
            let mut line = Vec::new();
            if report::json::write_event(event, &mut line).is_ok() {
                let printed = output::data(String::from_utf8_lossy(&line));
                printed.unwrap_or_else(|error| unprinted.note(&error));
            }
        }));
    }
    listeners
}

/// `-v`: each event as it comes, as long as a line may be.
fn traced(event: &Stamped) {
    const LINE: usize = 400;
    let mut line = Vec::new();
    if report::json::write_event(event, &mut line).is_ok() {
        tracing::debug!("{}", one_line(&String::from_utf8_lossy(&line), LINE));
    }
}

fn options(args: &RunArgs) -> suite::Options {
    let Debugging { keep, hold, trace_io, .. } = args.debugging;
    suite::Options {
        jobs: usize::from(args.jobs),
        retries: args.retries,
        max_time: args.max_time.map(|time| time.0),
        require: args.require,
        keep,
        hold,
        trace_io,
        again: None,
    }
}

pub(super) fn start(
    run: &str,
    cases: &[Case],
    fail_on: &[FailOn],
    engine: Option<&runtime::EngineFacts>,
) -> RunStart {
    RunStart {
        fail_on: fail_on.to_vec(),
        cases: cases.len(),
        commit: std::env::current_dir()
            .ok()
            .and_then(|directory| commit::of(&directory, |name| std::env::var(name).ok())),
        ..RunStart::now(run, cases.first().map_or(0, |case| case.run_seed), engine)
    }
}

/// Makes the run's directory and its event file, and points `latest` to it.
pub(super) fn events_file(out: &Path, run: &str, directory: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(directory).with_context(|| format!("`{}`", directory.display()))?;
    let path = directory.join("events.jsonl");
    let file = File::create(&path).with_context(|| format!("`{}`", path.display()))?;
    let _ = point(&out.join("latest"), run);
    Ok(file)
}

/// Replaces a symbolic link in one step.
fn point(link: &Path, to: &str) -> std::io::Result<()> {
    let next: PathBuf = link.with_extension(to);
    std::os::unix::fs::symlink(to, &next)?;
    fs::rename(&next, link)
}
