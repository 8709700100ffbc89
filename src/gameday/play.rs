//! The hands of the console: what keys ask for is done to the live case, and what the case is like
//! is told.
//!
//! Acts are done one after the other, as they were asked for; readings go on beside them.

use std::{fs::File, io::Write as _, path::Path, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    call::{Call, LASTS},
    console::Game,
    offer::{Offer, offers, places},
    state::{Command, Input},
};
use crate::{
    faults::FaultSpec,
    run::{Closed, Live, Recorder},
    runtime::Runtime,
    scenario::RecoverStep,
    verdict::{Ending, Verdict},
};

/// Between two readings of the steady state and of the containers.
const EVERY: Duration = Duration::from_millis(500);

/// The engine may hang while a container is in trouble.
const ANSWER: Duration = Duration::from_secs(5);

/// Leaving waits for a recovery that is being measured, but not for ever.
const MEASURED: Duration = Duration::from_secs(60);

/// The catalogue at every place of a case.
fn catalogue(live: &Live) -> Vec<Vec<Offer>> {
    let why_not = |fault: &FaultSpec| {
        live.unavailable(fault).or_else(|| {
            let complaint = live.complaints(fault).into_iter().next()?;
            Some(complaint.split("\n\nhint:").next().unwrap_or_default().to_owned())
        })
    };
    let scenario = live.scenario();
    places(scenario).iter().map(|place| offers(place, scenario, &why_not)).collect()
}

/// Opens the case, does what is asked for, and closes it: when that is asked for, when nobody asks any
/// more, or when the case is ended from elsewhere.
pub(super) async fn play(
    game: Game,
    asked: UnboundedReceiver<Command>,
    told: UnboundedSender<Input>,
) -> Closed {
    let Game { case, stages, runtime, recorder, interrupt } = game;
    let live = match Live::open(case, &stages, &recorder, &interrupt).await {
        Ok(live) => Arc::new(live),
        Err(closed) => return closed,
    };
    let _ = told.send(Input::Opened(catalogue(&live)));
    let watching = watch(Arc::clone(&live), runtime, recorder, told.clone());
    let watching = AbortOnDropHandle::new(tokio::spawn(watching));
    let reading = AbortOnDropHandle::new(tokio::spawn(read(Arc::clone(&live))));
    tokio::select! {
        () = act(&live, asked, &told) => {}
        // an act that is cut off is left to the rollback
        why = live.ended() => {
            let _ = told.send(Input::Ended(format!("{why}: rolling back")));
        }
    }
    // what is read from now on would be about the end
    drop(reading);
    let closed = live.close(false).await;
    drop(watching);
    closed.unwrap_or(Closed { verdict: Verdict::Error, ending: Ending::default() })
}

/// Does one thing after the other, until the end is asked for.
async fn act(
    live: &Arc<Live>,
    mut asked: UnboundedReceiver<Command>,
    told: &UnboundedSender<Input>,
) {
    let mut recoveries = Recoveries::default();
    while let Some(command) = asked.recv().await {
        match command {
            Command::Inject(call) => {
                recoveries.cut();
                let called = inject(live, &call).await;
                let happened = called.is_ok() && call.lasts.is_none();
                let _ = told.send(Input::Called(called));
                if happened {
                    recoveries.follow(live);
                }
            }
            Command::Revert(id) => {
                let done = live.revert(&id).await.map(|_| None).map_err(one_line);
                let _ = told.send(Input::Done(done));
                recoveries.follow(live);
            }
            Command::Stop => {
                live.stop().await;
                let said = "everything was reverted".to_owned();
                let _ = told.send(Input::Done(Ok(Some(said))));
                recoveries.follow(live);
            }
            Command::Note(text) => live.note(&text),
            Command::End => return recoveries.finish().await,
            Command::Save { .. } | Command::Interrupt => {}
        }
    }
}

async fn inject(live: &Live, call: &Call) -> Result<(), String> {
    let lasts = call.lasts.unwrap_or(LASTS).0;
    live.inject(&call.fault, lasts).await.map(|_| ()).map_err(one_line)
}

fn one_line(error: impl std::fmt::Display) -> String {
    error.to_string().replace("\n\nhint: ", "; ")
}

/// Measures how long the steady state takes to come back, once nothing is in force.
#[derive(Default)]
struct Recoveries {
    number: u32,
    running: Option<AbortOnDropHandle<()>>,
}

impl Recoveries {
    fn follow(&mut self, live: &Arc<Live>) {
        if !live.in_force().is_empty() || live.scenario().steady_state.is_empty() {
            return;
        }
        self.number += 1;
        let id = match self.number {
            1 => "recover".to_owned(),
            number => format!("recover-{number}"),
        };
        let live = Arc::clone(live);
        self.running = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(error) = live.recover(&id, &RecoverStep::default()).await {
                tracing::debug!(%error, "no recovery is measured");
            }
        })));
    }

    /// The next fault is injected: what follows is not about the last one.
    fn cut(&mut self) {
        self.running = None;
    }

    async fn finish(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = timeout(MEASURED, running).await;
        }
    }
}

/// Tells what is in force and what the containers do, until it is dropped.
async fn watch(
    live: Arc<Live>,
    runtime: Arc<dyn Runtime>,
    recorder: Recorder,
    told: UnboundedSender<Input>,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = recorder.now_us();
        let end = |left: Duration| now + u64::try_from(left.as_micros()).unwrap_or(u64::MAX - now);
        let in_force = live.in_force().into_iter();
        let in_force = in_force.map(|fault| (fault.id, fault.left.map(end))).collect();
        let subjects = subjects(&live, runtime.as_ref()).await;
        for input in [Input::InForce(in_force), Input::Subjects(subjects)] {
            if told.send(input).is_err() {
                return;
            }
        }
    }
}

/// Reads the steady state again and again; the events carry what was read.
async fn read(live: Arc<Live>) {
    let probes = live.steady_state();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        join_all(probes.iter().map(|(id, probe)| live.read(id, probe))).await;
    }
}

async fn subjects(
    live: &Live,
    runtime: &dyn Runtime,
) -> Vec<(String, crate::runtime::State, crate::runtime::Health)> {
    let mut all = Vec::new();
    for (service, container) in live.containers() {
        if let Ok(Ok(facts)) = timeout(ANSWER, runtime.inspect(&container)).await {
            all.push((service, facts.state, facts.health));
        }
    }
    all
}

/// Writes a scenario into a file that is not there yet.
pub(super) fn save(path: &str, text: &str) -> Result<Option<String>, String> {
    let written = File::create_new(Path::new(path))
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    match written {
        Ok(()) => Ok(Some(format!("saved: keelhaul run {path}"))),
        Err(error) => Err(format!("`{path}` was not written: {error}; w: under another name")),
    }
}
