//! `gameday`: the set-up of a scenario, the console in place of its steps, and the reports of a run.

use std::{fs, io::IsTerminal as _, path::Path, sync::Arc};

use anyhow::Context;

use super::{
    args::GamedayArgs,
    attach::{self, Said},
    check, output,
    remember::Memory,
    run::{self, Last, Unprinted},
    set_up::{SetUp, set_up},
    signals,
};
use crate::{
    gameday::{self, Draft, Game, Inputs, PanicsLast, State},
    helper::recover,
    plan::{Case, radius::By},
    report::Format,
    run::{Closed, Event, Recorder, Redactor, stages::DockerStages},
    runtime::{Docker, EngineFacts},
    verdict::{Ending, ExitCode, FailOn, Verdict},
};

const NO_TERMINAL: &str = "`gameday` is a console for people, and here is no terminal\n\nhint: `keelhaul run SCENARIO` needs none; over ssh, `ssh -t` gives one";

pub(super) async fn gameday(args: GamedayArgs) -> anyhow::Result<ExitCode> {
    let Some(SetUp { mut case, draft, unwritten }) = set_up(&args).await? else {
        return Ok(ExitCode::Usage);
    };
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        output::say(format!("error: {NO_TERMINAL}"));
        return Ok(ExitCode::Usage);
    }
    if case.attaches() {
        // shown is what is done to them, and its own steps are not
        case.scenario.steps.clear();
        let said = Said { attach: args.attach.is_some(), yes: false, by: By::Hand };
        if let Some(code) = attach::confirmed(std::slice::from_mut(&mut case), &said).await {
            return Ok(code);
        }
    }
    let state = state(&args, &case, draft)?;
    let run = crate::run::new_run_id();
    let directory = args.out.join(&run);
    let log = run::events_file(&args.out, &run, &directory).with_context(|| {
        format!("no run, since its reports cannot be written to `{}`", args.out.display())
    })?;
    if let Some(text) = unwritten {
        // what the reports name is there to be looked at
        case.file = directory.join(&case.file);
        fs::write(&case.file, text).with_context(|| format!("`{}`", case.file.display()))?;
    }
    let _said_last = PanicsLast;
    let inputs = Inputs::default();
    let recorder = Recorder::new(Some(log), vec![inputs.listener()]);
    recorder.keep_files_in(&directory);
    let closed = played(case, state, inputs, (&run, &directory, &recorder)).await?;
    let mut memory = Memory::new(&args.out, args.no_history);
    memory.recall(&recorder);
    recorder.emit(run::ended(closed, &recorder));
    memory.keep(&recorder.record());
    let unprinted = &Unprinted::default();
    let last = Last { directory: &directory, unprinted, read_cases: false };
    run::finish(Format::Human, &recorder, &last)
}

/// From the first event of the run to the end of its case.
async fn played(
    case: Case,
    state: State,
    inputs: Inputs,
    (run, directory, recorder): (&str, &Path, &Recorder),
) -> anyhow::Result<Closed> {
    let interrupt = signals::interrupt();
    recorder.redact(Redactor::of(&case));
    let engine = run::connected(&interrupt).await;
    let facts = engine.as_ref().ok().map(|(_, facts)| facts);
    let started = run::start(run, std::slice::from_ref(&case), &FailOn::USUAL, facts);
    recorder.emit(Event::RunStarted(Box::new(started)));
    match engine {
        Ok(engine) => {
            let stages = stages(&engine, run).with_journals(directory);
            let (runtime, recorder) = (engine.0 as _, recorder.clone());
            let game = Game { case, stages, runtime, recorder, interrupt };
            gameday::run(state, game, inputs).await.context("the terminal cannot be used")
        }
        Err(text) => {
            recorder.emit(Event::Noted { case: None, text });
            let ending = Ending { interrupted: interrupt.is_cancelled(), ..Ending::default() };
            Ok(Closed { verdict: Verdict::Error, ending })
        }
    }
}

fn stages((docker, facts): &(Arc<Docker>, EngineFacts), run: &str) -> DockerStages {
    // beside the game: it has all the time that the game takes
    tokio::spawn(recover::sweep(Arc::clone(docker)));
    DockerStages::new(Arc::clone(docker), facts.clone(), run.to_owned())
}

/// The console before anything was started.
fn state(args: &GamedayArgs, case: &Case, draft: Draft) -> anyhow::Result<State> {
    let checker = check::checker(&args.set)?;
    let (file, scenario) = (case.file.display().to_string(), case.scenario.clone());
    let mut state = State::new((scenario, &Redactor::of(case)), file, draft, checker);
    state.colour = output::look().colour;
    Ok(state)
}
