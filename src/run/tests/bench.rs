//! A scenario in a few lines, a script of what happens when, and what came of it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    faults::testing::{Fake, World},
    helper::HelperLink,
    plan::{self, Case, Select, needs::Missing},
    protocol::{EngineOp, HttpReply},
    run::{
        AssertionRecord, CaseRecord, Closed, Event, Live, Recorder, RunRecord, Stamped,
        suite::{self, OpenStage, Options, Stages},
    },
    runtime::{ContainerFacts, ContainerSpec, Runtime, fake::FakeRuntime},
    scenario::load_all,
    verdict::{Ending, ExitCode, Verdict},
};

/// Name of the subject's container in the first slot.
pub(super) const AGENT: &str = "keelhaul-r0-agent";

/// Name of a container that was there before the run.
pub(super) const THEIRS: &str = "shop-db";

type Action = Box<dyn FnOnce(&Scene) + Send>;

/// What a script can reach.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(super) engine: Arc<FakeRuntime>,
    fakes: Arc<Mutex<Vec<Arc<Fake>>>>,
    interrupt: CancellationToken,
}

impl Scene {
    /// The helper that was started last.
    pub(super) fn helper(&self) -> Arc<Fake> {
        Arc::clone(self.fakes.lock().unwrap().last().unwrap())
    }

    pub(crate) fn world(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.helper().world());
    }

    pub(super) fn agent(&self, change: impl FnOnce(&mut ContainerFacts)) {
        self.engine.change(AGENT, change);
    }

    /// What `/health` answers.
    pub(super) fn health(&self, status: u16) {
        self.world(|world| world.http = Ok(reply(status)));
    }

    pub(super) fn interrupt(&self) {
        self.interrupt.cancel();
    }
}

fn reply(status: u16) -> HttpReply {
    HttpReply { status, body: String::new(), took_us: 100 }
}

struct Line {
    word: String,
    delay: Duration,
    action: Option<Action>,
}

/// A scenario and its script.
pub(crate) struct Bench {
    yaml: String,
    lines: Vec<Line>,
    options: Options,
    missing: Missing,
    prepare: Arc<dyn Fn(&mut World) + Send + Sync>,
    reports: Option<PathBuf>,
}

impl Bench {
    /// A subject `agent` that answers `/health` with 200, and these parts of a scenario.
    pub(crate) fn of(parts: &str) -> Self {
        let has = |part: &str| parts.lines().any(|line| line.starts_with(part));
        let mut yaml = String::from("keelhaul: 1\nname: t\n");
        let defaults = [
            ("services:", "services: { agent: { image: app } }\n"),
            (
                "steady_state:",
                "steady_state: [{ http: { service: agent, path: /health, status: 200 } }]\n",
            ),
        ];
        for (part, default) in defaults {
            if !has(part) {
                yaml.push_str(default);
            }
        }
        yaml.push_str(parts);
        let options = Options {
            jobs: 1,
            retries: 0,
            max_time: None,
            require: false,
            keep: false,
            hold: false,
            trace_io: false,
            again: None,
        };
        let prepare = Arc::new(|_: &mut World| {});
        let (lines, missing, reports) = Default::default();
        Self { yaml, lines, options, missing, prepare, reports }
    }

    pub(super) fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Files go there that are too large for an event.
    pub(super) fn reports(mut self, directory: &Path) -> Self {
        self.reports = Some(directory.to_owned());
        self
    }

    pub(super) fn missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }

    /// How the world is from the start.
    pub(super) fn world(mut self, change: impl Fn(&mut World) + Send + Sync + 'static) -> Self {
        self.prepare = Arc::new(change);
        self
    }

    /// Something happens, once, so many milliseconds after the first event with this word; those of
    /// a control begin with `control`.
    pub(crate) fn on(
        mut self,
        word: &str,
        delay_ms: u64,
        action: impl FnOnce(&Scene) + Send + 'static,
    ) -> Self {
        let (word, delay) = (word.to_owned(), Duration::from_millis(delay_ms));
        self.lines.push(Line { word, delay, action: Some(Box::new(action)) });
        self
    }

    /// Where it happens, and the stream of what happens.
    fn furnish(&mut self) -> (Scene, Recorder, FakeStages) {
        let scene = Scene {
            engine: Arc::new(FakeRuntime::default()),
            fakes: Arc::default(),
            interrupt: CancellationToken::new(),
        };
        let recorder = Recorder::new(None, vec![script(&scene, std::mem::take(&mut self.lines))]);
        self.reports.iter().for_each(|directory| recorder.keep_files_in(directory));
        let stages = FakeStages {
            scene: scene.clone(),
            missing: self.missing.clone(),
            prepare: Arc::clone(&self.prepare),
        };
        (scene, recorder, stages)
    }

    /// The same by hand.
    pub(crate) async fn open(mut self) -> (Result<Live, Closed>, Scene, Recorder) {
        let mut case = cases(&self.yaml).remove(0);
        let (scene, recorder, stages) = self.furnish();
        attach(&mut case, &scene.engine).await;
        let live = Live::open(case, &stages, &recorder, &scene.interrupt).await;
        (live, scene, recorder)
    }

    pub(super) async fn run(mut self) -> Ran {
        let mut cases = cases(&self.yaml);
        let (scene, recorder, stages) = self.furnish();
        for case in &mut cases {
            attach(case, &scene.engine).await;
        }
        let started = Instant::now();
        let (verdict, ending) =
            suite::run(cases, self.options, &stages, &recorder, &scene.interrupt).await;
        let took = started.elapsed();
        recorder.emit(Event::RunEnded { verdict, ending });
        Ran { record: recorder.record(), verdict, ending, took, scene }
    }
}

/// A container is there already for the service that a case attaches.
async fn attach(case: &mut Case, engine: &FakeRuntime) {
    let services = case.scenario.services.iter();
    let wanted = services.filter(|(_, service)| service.attach.is_some());
    for name in wanted.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
        if engine.inspect(THEIRS).await.is_err() {
            let spec =
                ContainerSpec { name: THEIRS.into(), image: "db".into(), ..Default::default() };
            engine.create_container(&spec).await.unwrap();
            engine.perform(&EngineOp::Start { container: THEIRS.into() }).await.unwrap();
        }
        case.attach(&name, engine.inspect(THEIRS).await.unwrap()).unwrap();
    }
}

pub(super) fn cases(yaml: &str) -> Vec<Case> {
    let files = [(PathBuf::from("t.yaml"), Ok(yaml.as_bytes().to_vec()))];
    let loaded = load_all(&files, &Default::default(), &Default::default());
    let loaded = loaded.unwrap_or_else(|found| panic!("{}", crate::diagnostic::render(&found)));
    plan::expand(&loaded, &Select::default(), 7).unwrap()
}

/// The word of an event that scripts wait for.
fn word(event: &Event) -> String {
    match event {
        Event::PhaseStarted { phase, .. } => format!("{phase:?}"),
        Event::Injecting { fault, .. } => format!("injecting {fault}"),
        Event::Injected { fault, .. } => format!("injected {fault}"),
        Event::Reverting { fault, .. } => format!("reverting {fault}"),
        Event::Reverted { fault, .. } => format!("reverted {fault}"),
        Event::Asserted { assertion, .. } => format!("asserted {assertion}"),
        Event::CaseStarted(start) => format!("case {} {}", start.case, start.attempt),
        Event::SubjectStarted { .. } => "started".to_owned(),
        _ => String::new(),
    }
}

fn script(scene: &Scene, lines: Vec<Line>) -> Box<dyn Fn(&Stamped) + Send + Sync> {
    let (scene, lines) = (scene.clone(), Mutex::new(lines));
    Box::new(move |stamped| {
        let control = stamped.event.case().is_some_and(|case| case.contains('@'));
        let own = word(&stamped.event);
        let word = if control { format!("control {own}") } else { own };
        for line in lines.lock().unwrap().iter_mut().filter(|line| line.word == word) {
            let Some(action) = line.action.take() else { continue };
            if line.delay.is_zero() {
                // before whatever comes next: on this clock a case may never wait
                action(&scene);
            } else {
                let (scene, delay) = (scene.clone(), line.delay);
                tokio::spawn(async move {
                    sleep(delay).await;
                    action(&scene);
                });
            }
        }
    })
}

struct FakeStages {
    scene: Scene,
    missing: Missing,
    prepare: Arc<dyn Fn(&mut World) + Send + Sync>,
}

impl Stages for FakeStages {
    fn open(&self, _: usize) -> BoxFuture<'_, Result<OpenStage, String>> {
        let fake = Arc::new(Fake::default());
        {
            let mut world = fake.world();
            world.http = Ok(reply(200));
            world.keeper.engine = Some(Arc::clone(&self.scene.engine));
            world.keeper.pace = 100;
            (self.prepare)(&mut world);
        }
        let mut fakes = self.scene.fakes.lock().unwrap();
        let run = format!("r{}", fakes.len());
        fakes.push(Arc::clone(&fake));
        let closing = Arc::clone(&fake);
        let stage = OpenStage {
            run,
            runtime: Arc::clone(&self.scene.engine) as Arc<dyn Runtime>,
            helper: fake as Arc<dyn HelperLink>,
            missing: self.missing.clone(),
            close: Box::new(move |keep| {
                async move {
                    let open = closing.open_entries();
                    if keep || open.is_empty() { Ok(()) } else { Err(format!("left: {open:?}")) }
                }
                .boxed()
            }),
        };
        futures_util::future::ready(Ok(stage)).boxed()
    }
}

/// What came of it.
pub(super) struct Ran {
    pub(super) record: RunRecord,
    pub(super) verdict: Verdict,
    pub(super) ending: Ending,
    pub(super) took: Duration,
    pub(super) scene: Scene,
}

impl Ran {
    pub(super) fn exit(&self) -> ExitCode {
        ExitCode::of(self.verdict, self.ending)
    }

    /// The first case with this id, in its last attempt.
    pub(super) fn case(&self, id: &str) -> &CaseRecord {
        self.record.cases.iter().rev().find(|case| case.start.case == id).unwrap()
    }

    pub(super) fn reasons(&self, id: &str) -> String {
        self.case(id).verdict.as_ref().unwrap().1.join("\n")
    }

    /// Verdict and message of an assertion of the case `t`.
    pub(super) fn found(&self, assertion: &str) -> (Option<Verdict>, &str) {
        let found = self.find(assertion);
        let found = found.unwrap_or_else(|| panic!("no `{assertion}` in {}", self.told()));
        (found.verdict, &found.message)
    }

    pub(super) fn find(&self, assertion: &str) -> Option<&AssertionRecord> {
        self.case("t").assertions.iter().rev().find(|found| found.id == assertion)
    }

    /// Everything that was asserted, for messages.
    pub(super) fn told(&self) -> String {
        let cases = self.record.cases.iter().map(|case| {
            let lines = case
                .assertions
                .iter()
                .map(|found| format!("  {} {:?}: {}\n", found.id, found.verdict, found.message));
            let lines: String = lines.collect();
            format!("{} {:?} {:?}\n{lines}", case.start.case, case.verdict, case.notes)
        });
        cases.collect()
    }

    /// Nothing is in force, and nothing is left.
    pub(super) async fn is_clean(&self) -> bool {
        let fakes = self.scene.fakes.lock().unwrap().clone();
        let mut clean = fakes.iter().all(|fake| fake.open_entries().is_empty());
        for slot in 0..fakes.len() {
            clean &= self.scene.engine.objects(&format!("r{slot}")).await.unwrap().is_empty();
        }
        clean
    }
}
