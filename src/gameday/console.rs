//! The console as it runs: keys and events in, the screen and the case out.
//!
//! It has no part in undoing anything. When the terminal dies, the console ends at once, and the case
//! is closed as that of an interrupted run.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    task::{JoinError, JoinHandle},
    time::interval,
};
use tokio_util::sync::CancellationToken;

use super::{
    play,
    state::{Command, Input, State},
    terminal::Screen,
};
use crate::{
    plan::Case,
    run::{Closed, Event, Listener, Recorder, stages::DockerStages},
    runtime::Runtime,
    verdict::{Ending, Verdict},
};

/// Inputs that wait for the screen; with more than these the record is taken anew.
const WAITING: usize = 4096;

/// Commands that wait for the case. More are typed by nobody.
const ASKED: usize = 64;

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

/// Where inputs meet.
pub struct Inputs {
    told: Sender<Input>,
    come: Receiver<Input>,
    lagging: Arc<AtomicBool>,
}

impl Default for Inputs {
    fn default() -> Self {
        let (told, come) = channel(WAITING);
        Self { told, come, lagging: Arc::default() }
    }
}

impl Inputs {
    /// Hands every event of a run to the console.
    #[must_use]
    pub fn listener(&self) -> Listener {
        let (told, lagging) = (self.told.clone(), Arc::clone(&self.lagging));
        Box::new(move |stamped| {
            // a screen that hangs must not hold up a rollback
            if told.try_send(Input::Event(Box::new(stamped.clone()))).is_err() {
                lagging.store(true, Ordering::Relaxed);
            }
        })
    }
}

/// Shows the console until it is left; the case is closed when it returns.
///
/// # Errors
/// When there is no terminal: then nothing was started.
pub async fn run(mut state: State, game: Game, inputs: Inputs) -> std::io::Result<Closed> {
    let screen = Screen::take(inputs.told.clone())?;
    let (ask, asked) = channel(ASKED);
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
    if let Some(closed) = closed {
        return Ok(closed);
    }
    interrupt.cancel();
    Ok(case.await.unwrap_or_else(broken))
}

/// The keeper reverts everything, and nobody has seen yet that it did.
fn broken(_: JoinError) -> Closed {
    let ending = Ending { rollback_incomplete: true, interrupted: false };
    Closed { verdict: Verdict::Error, ending }
}

struct Table<'a> {
    recorder: &'a Recorder,
    interrupt: &'a CancellationToken,
    ask: Sender<Command>,
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
            if self.inputs.lagging.swap(false, Ordering::Relaxed) {
                state.record = self.recorder.record();
            }
        }
    }

    /// None when the console is to end.
    fn take(&self, state: &mut State, input: Input) -> Option<()> {
        for command in state.update(input) {
            match command {
                Command::Interrupt => return None,
                Command::Save { path, text } => {
                    state.update(Input::Done(play::save(&path, &text)));
                }
                // nobody is that fast: the case hangs, and the user is told
                other => {
                    if self.ask.try_send(other).is_err() {
                        let text = "the case does not answer; Ctrl-C rolls back".to_owned();
                        state.update(Input::Done(Err(text)));
                    }
                }
            }
        }
        Some(())
    }
}
