//! The hands of the console: what keys ask for is done to the live case, and what the case is like
//! is told.
//!
//! Acts are done one after the other, as they were asked for, and STOP before all others; readings go on
//! beside them. Nothing here waits for the screen.

use std::{
    convert::Infallible,
    fs::{self, File},
    future::pending,
    io::Write as _,
    sync::Arc,
    time::Duration,
};

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
    queue::Queue,
    state::{Command, Input},
};
use crate::{
    faults::FaultSpec,
    run::{Closed, Live, LiveError, Recorder, Stopped},
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

/// Does one thing after the other, until the end is asked for or nobody asks any more.
async fn act(
    live: &Arc<Live>,
    mut asked: UnboundedReceiver<Command>,
    told: &UnboundedSender<Input>,
) {
    let mut acts = Acts { live, told, recoveries: Recoveries::default(), dropped: 0 };
    let mut queue = Queue::default();
    loop {
        while let Ok(command) = asked.try_recv() {
            queue.put(command);
        }
        // after the answer to what was done before them: the console expects one after the other
        acts.drop(queue.dropped());
        let Some(command) = queue.next() else {
            let Some(command) = asked.recv().await else { return };
            queue.put(command);
            continue;
        };
        if command == Command::End {
            return acts.recoveries.finish().await;
        }
        tokio::select! {
            biased;
            never = hear(live, &mut asked, &mut queue) => match never {},
            () = acts.perform(command) => {}
        }
    }
}

/// Hears what is asked for while something else is done, without an end.
async fn hear(
    live: &Live,
    asked: &mut UnboundedReceiver<Command>,
    queue: &mut Queue,
) -> Infallible {
    while let Some(command) = asked.recv().await {
        if command == Command::Stop {
            live.halt();
        }
        queue.put(command);
    }
    pending().await
}

/// What is done to a live case, and who is told.
struct Acts<'a> {
    live: &'a Arc<Live>,
    told: &'a UnboundedSender<Input>,
    recoveries: Recoveries,
    /// Injections that the next STOP was put before.
    dropped: usize,
}

impl Acts<'_> {
    async fn perform(&mut self, command: Command) {
        match command {
            Command::Inject(call) => {
                let measuring = self.recoveries.cut();
                let called = inject(self.live, &call).await;
                let follows = match &called {
                    Ok(()) => call.lasts.is_none(),
                    // nothing happened: the last fault is still what is recovered from
                    Err(LiveError::Refused(_) | LiveError::Unavailable(_)) => measuring,
                    Err(_) => false,
                };
                self.tell(Input::Called(called.map_err(one_line)));
                if follows {
                    self.recoveries.follow(self.live);
                }
            }
            Command::Revert(id) => {
                let done = self.live.revert(&id).await.map(|_| None).map_err(one_line);
                self.tell(Input::Done(done));
                self.recoveries.follow(self.live);
            }
            Command::Stop => {
                let ends = self.live.stop().await;
                let dropped = std::mem::take(&mut self.dropped);
                self.tell(Input::Stopped(what_stopped(&ends, dropped, self.live.run())));
                self.recoveries.follow(self.live);
            }
            Command::Note(text) => self.live.note(&text),
            Command::End | Command::Save { .. } | Command::Interrupt => {}
        }
    }

    fn drop(&mut self, injections: usize) {
        self.dropped += injections;
        for _ in 0..injections {
            self.tell(Input::Called(Err("not injected: STOP came first".to_owned())));
        }
    }

    /// A console that is left needs to know nothing.
    fn tell(&self, input: Input) {
        let _ = self.told.send(input);
    }
}

/// What STOP came to. What could not be reverted comes first: the screen may be narrow.
fn what_stopped(ends: &[Stopped], dropped: usize, run: &str) -> Result<String, String> {
    let left: Vec<&str> = ends.iter().filter(|one| one.is_left()).map(|one| &*one.id).collect();
    if !left.is_empty() {
        return Err(format!(
            "NOT reverted: {}; Ctrl-X: try again; after q: keelhaul recover {run}",
            left.join(", ")
        ));
    }
    let all = if ends.is_empty() { "nothing was in force" } else { "everything was reverted" };
    Ok(match dropped {
        0 => all.to_owned(),
        1 => format!("{all}; 1 injection that waited was dropped"),
        many => format!("{all}; {many} injections that waited were dropped"),
    })
}

async fn inject(live: &Live, call: &Call) -> Result<(), LiveError> {
    let lasts = call.lasts.unwrap_or(LASTS).0;
    live.inject(&call.fault, lasts).await.map(drop)
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

    /// The next fault is injected: what follows is not about the last one. Whether it was cut short.
    fn cut(&mut self) -> bool {
        let measuring = self.running.take().is_some_and(|running| !running.is_finished());
        // nothing was recorded under its number
        self.number -= u32::from(measuring);
        measuring
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

/// Writes a scenario into a file that is not there yet: all of it, or nothing.
pub(super) fn save(path: &str, text: &str) -> Result<(), String> {
    let written = File::create_new(path).and_then(|mut file| {
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.inspect_err(|_| drop(fs::remove_file(path)))
    });
    written.map_err(|error| format!("`{path}` was not written: {error}; w: under another name"))
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::{
        gameday::testing::pause,
        run::tests::bench::{Bench, Scene},
    };

    fn inject() -> Command {
        Command::Inject(Box::new(pause()))
    }

    async fn open(bench: Bench) -> (Arc<Live>, Scene) {
        let (live, scene, _) = bench.open().await;
        (Arc::new(live.unwrap_or_else(|closed| panic!("{closed:?}"))), scene)
    }

    /// Acts on a case; what is told comes out.
    fn acting(live: &Arc<Live>, asked: UnboundedReceiver<Command>) -> UnboundedReceiver<Input> {
        let (told, heard) = unbounded_channel();
        let live = Arc::clone(live);
        tokio::spawn(async move { act(&live, asked, &told).await });
        heard
    }

    /// The next answer to a call, or to STOP, in words.
    async fn answer(heard: &mut UnboundedReceiver<Input>) -> String {
        loop {
            match heard.recv().await {
                Some(Input::Called(Ok(()))) => return "injected".into(),
                Some(Input::Called(Err(text))) => return text,
                Some(Input::Stopped(Ok(text) | Err(text))) => return text,
                Some(_) => {}
                None => return "nothing more".into(),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stop_goes_before_every_injection_that_waits() {
        let (ask, asked) = unbounded_channel();
        let later = ask.clone();
        // in the middle of the first
        let bench = Bench::of("").on("injecting pause-1", 0, move |_| {
            for command in [inject(), Command::Revert("pause-1".into()), inject(), Command::Stop] {
                later.send(command).unwrap();
            }
        });
        let (live, _) = open(bench).await;
        let mut heard = acting(&live, asked);
        ask.send(inject()).unwrap();
        assert_eq!(answer(&mut heard).await, "injected");
        for _ in 0..2 {
            assert_eq!(answer(&mut heard).await, "not injected: STOP came first");
        }
        let said = "everything was reverted; 2 injections that waited were dropped";
        assert_eq!(answer(&mut heard).await, said);
        assert!(live.in_force().is_empty());
        ask.send(inject()).unwrap();
        assert_eq!(answer(&mut heard).await, "injected", "the case goes on");
        assert_eq!(live.in_force()[0].id, "pause-2", "nothing was between");
        ask.send(Command::End).unwrap();
        assert_eq!(answer(&mut heard).await, "nothing more");
        live.close(false).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn stop_names_what_it_could_not_revert_and_what_does() {
        let (ask, asked) = unbounded_channel();
        let (live, scene) = open(Bench::of("")).await;
        let mut heard = acting(&live, asked);
        ask.send(Command::Stop).unwrap();
        assert_eq!(answer(&mut heard).await, "nothing was in force");
        ask.send(inject()).unwrap();
        assert_eq!(answer(&mut heard).await, "injected");
        scene.world(|world| world.keeper.stuck = true);
        ask.send(Command::Stop).unwrap();
        let said = "NOT reverted: pause-1; Ctrl-X: try again; after q: keelhaul recover r0";
        assert_eq!(answer(&mut heard).await, said);
        scene.world(|world| world.keeper.stuck = false);
        ask.send(Command::Stop).unwrap();
        assert_eq!(answer(&mut heard).await, "everything was reverted");
        live.close(false).await.unwrap();
    }
}
