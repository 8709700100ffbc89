//! The console as it runs: keys and events in, the screen and the case out. Neither waits for the
//! other: the case is a task of its own, and the terminal is written to by a thread of its own.
//!
//! It has no part in undoing anything. When the terminal dies, the console ends at once, and the case
//! is closed as that of an interrupted run.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{JoinError, JoinHandle},
    time::{interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    panics, play,
    state::{Command, Input, State},
    terminal::Screen,
};
use crate::{
    plan::Case,
    run::{Closed, Event, Listener, Recorder, run_of, stages::DockerStages},
    runtime::Runtime,
    verdict::{Ending, Verdict},
};

/// What is done afterwards waits so long for a terminal that takes nothing.
const LEAVING: Duration = Duration::from_millis(300);

/// The clocks on the screen go at this pace.
const TICK: Duration = Duration::from_millis(250);

/// What the console looks at and acts on.
pub struct Game {
    /// The case whose set-up it is.
    pub case: Case,
    /// Where it runs.
    pub stages: DockerStages,
    /// Where the containers are.
    pub runtime: Arc<dyn Runtime>,
    /// The event stream.
    pub recorder: Recorder,
    /// Ends it at once.
    pub interrupt: CancellationToken,
}

/// Where inputs meet. Whoever tells something waits for nobody, and nothing is lost: they are taken in
/// at once, whatever the terminal does.
pub struct Inputs {
    told: UnboundedSender<Input>,
    come: UnboundedReceiver<Input>,
}

impl Default for Inputs {
    fn default() -> Self {
        let (told, come) = unbounded_channel();
        Self { told, come }
    }
}

impl Inputs {
    /// Hands every event of a run to the console.
    #[must_use]
    pub fn listener(&self) -> Listener {
        let told = self.told.clone();
        // nobody listens any more once the console is left
        Box::new(move |stamped| drop(told.send(Input::Event(Box::new(stamped.clone())))))
    }
}

/// Shows the console until it is left; the case is closed when it returns.
///
/// # Errors
/// When there is no terminal: then nothing was started.
pub async fn run(mut state: State, game: Game, inputs: Inputs) -> std::io::Result<Closed> {
    let (screen, left) = Screen::take(inputs.told.clone())?;
    panics::hear();
    let (ask, asked) = unbounded_channel();
    let (recorder, interrupt) = (game.recorder.clone(), game.interrupt.clone());
    let mut case = tokio::spawn(play::play(game, asked, inputs.told.clone()));
    let table = Table { recorder: &recorder, interrupt: &interrupt, ask, inputs };
    let shown = table.show(&mut state, screen, &mut case);
    let closed = match AssertUnwindSafe(shown).catch_unwind().await {
        Ok(closed) => closed,
        Err(_) => {
            let text = "the console itself broke: rolling back".to_owned();
            recorder.emit(Event::Noted { case: None, text });
            None
        }
    };
    let closed = match closed {
        Some(closed) => closed,
        None => {
            interrupt.cancel();
            case.await.unwrap_or_else(broken)
        }
    };
    let _ = timeout(LEAVING, left).await;
    Ok(closed)
}

/// The keeper reverts everything, and nobody has seen yet that it did.
fn broken(_: JoinError) -> Closed {
    let ending = Ending { rollback_incomplete: true, interrupted: false };
    Closed { verdict: Verdict::Error, ending }
}

struct Table<'a> {
    recorder: &'a Recorder,
    interrupt: &'a CancellationToken,
    ask: UnboundedSender<Command>,
    inputs: Inputs,
}

impl Table<'_> {
    /// Until the case is closed; none when the console is to end before.
    async fn show(
        mut self,
        state: &mut State,
        mut screen: Screen,
        case: &mut JoinHandle<Closed>,
    ) -> Option<Closed> {
        let mut ticks = interval(TICK);
        let (columns, rows) = screen.size().ok()?;
        state.update(Input::Size(columns, rows));
        loop {
            screen.show(state).ok()?;
            tokio::select! {
                () = self.interrupt.cancelled() => return None,
                closed = &mut *case => return Some(closed.unwrap_or_else(broken)),
                _ = ticks.tick() => {}
                Some(input) = self.inputs.come.recv() => self.take(state, input)?,
            }
            // whatever has come meanwhile is shown together
            while let Ok(input) = self.inputs.come.try_recv() {
                self.take(state, input)?;
            }
            state.update(Input::Clock(self.recorder.now_us()));
        }
    }

    /// None when the console is to end.
    fn take(&self, state: &mut State, input: Input) -> Option<()> {
        for command in state.update(input) {
            match command {
                Command::Interrupt => return None,
                Command::Save { path, text } => {
                    let again = run_of(&path, &state.scenario);
                    let saved = play::save(&path, &text).map(|()| Some(format!("saved: {again}")));
                    if let (Ok(_), Some(case)) = (&saved, state.case()) {
                        let case = case.start.case.clone();
                        self.recorder.emit(Event::Saved { case, again });
                    }
                    state.update(Input::Done(saved));
                }
                // a case that has ended is seen to be over next
                other => drop(self.ask.send(other)),
            }
        }
        Some(())
    }
}
