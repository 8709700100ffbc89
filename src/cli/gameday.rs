//! `gameday`: the set-up of a scenario, the console in place of its steps, and the reports of a run.

use std::{io::IsTerminal as _, path::Path, sync::Arc};

use anyhow::Context;

use super::{
    args::{Controls, GamedayArgs, Selection},
    check, files, output,
    remember::Memory,
    run::{self, Unprinted},
    signals,
};
use crate::{
    gameday::{self, Draft, Game, Inputs, State},
    helper::recover,
    plan::Case,
    report::Format,
    run::{Closed, Event, Recorder, Redactor, stages::DockerStages},
    runtime::{Docker, EngineFacts},
    verdict::{Ending, ExitCode, FailOn, Verdict},
};

const NO_TERMINAL: &str = "`gameday` is a console for people, and here is no terminal\n\nhint: `keelhaul run SCENARIO` needs none; over ssh, `ssh -t` gives one";

/// What may happen to them is shown and confirmed before a run; by hand it is not known before.
const ATTACHED: &str = "a game day acts on containers of its own, not on those that run already\n\nhint: `keelhaul run --attach` does what the scenario says to them";

pub(super) async fn gameday(args: GamedayArgs) -> anyhow::Result<ExitCode> {
    let Some(case) = the_case(&args)? else { return Ok(ExitCode::Usage) };
    if case.attaches() {
        output::say(format!("error: {ATTACHED}"));
        return Ok(ExitCode::Usage);
    }
    let state = match state(&args, &case) {
        Ok(state) => state,
        Err(error) => {
            output::error(&error);
            return Ok(ExitCode::Usage);
        }
    };
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        output::say(format!("error: {NO_TERMINAL}"));
        return Ok(ExitCode::Usage);
    }
    let run = crate::run::new_run_id();
    let directory = args.out.join(&run);
    let log = run::events_file(&args.out, &run, &directory).with_context(|| {
        format!("no run, since its reports cannot be written to `{}`", args.out.display())
    })?;
    let inputs = Inputs::default();
    let recorder = Recorder::new(Some(log), vec![inputs.listener()]);
    recorder.keep_files_in(&directory);
    let closed = played(case, state, inputs, (&run, &directory, &recorder)).await?;
    let mut memory = Memory::new(&args.out, args.no_history);
    memory.recall(&recorder);
    recorder.emit(Event::RunEnded { verdict: closed.verdict, ending: closed.ending });
    memory.keep(&recorder.record());
    run::finish(Format::Human, &recorder, (&directory, &Unprinted::default()))
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

/// The one case; none when something is wrong, which was said.
fn the_case(args: &GamedayArgs) -> anyhow::Result<Option<Case>> {
    let selection = Selection {
        paths: vec![args.scenario.clone()],
        set: args.set.clone(),
        tag: Vec::new(),
        case: args.case.clone(),
        seed: None,
        controls: Controls::Never,
        shard: None,
    };
    let Some(cases) = check::cases(&selection)? else { return Ok(None) };
    // repeats are the same case again
    let mut cells: Vec<Case> = cases.into_iter().filter(|case| case.repeat == 0).collect();
    if cells.len() > 1 {
        let names: Vec<&str> = cells.iter().map(|case| case.suite.as_str()).collect();
        let names = names.join("`, `");
        output::say(format!(
            "error: a game day has one set of subjects, and here are {}\n\nhint: give one of `{names}` to `--case`",
            cells.len()
        ));
        return Ok(None);
    }
    Ok(cells.pop())
}

/// The console before anything was started.
fn state(args: &GamedayArgs, case: &Case) -> anyhow::Result<State> {
    let mut sources = files::collect(std::slice::from_ref(&case.file));
    let source = sources.pop().context("the scenario is gone")?.1.map_err(anyhow::Error::msg)?;
    let draft = Draft::of(&String::from_utf8_lossy(&source), &case.cell);
    let draft = draft.map_err(anyhow::Error::msg)?;
    let checker = check::checker(&case.file, &args.set)?;
    let file = case.file.display().to_string();
    let mut state = State::new((case.scenario.clone(), &Redactor::of(case)), file, draft, checker);
    state.colour = output::look().colour;
    Ok(state)
}
