//! One case from its first container to its last: phases, in order, with a way out of each.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    announce::{announce, announce_by_hand},
    assert::record,
    clean,
    event::{Event, Phase},
    guards::Guards,
    interrupt::{GRACE, Interrupt, LOGS, REVERTS},
    io_traces,
    ledgers::Ledgers,
    loads,
    observe::Observers,
    recorder::Recorder,
    redact::Redactor,
    setup, steady,
    steps::Walk,
    strikes::{self, Strikes},
    verify,
    world::{Stop, World},
};
use crate::{
    helper::HelperLink, plan::Case, runtime::Runtime, scenario::Hypothesis, verdict::Verdict,
};

/// Reverting the faults one by one takes no longer; the rollback takes care of the rest.
const REVERTING: Duration = Duration::from_secs(300);

/// Where a case runs.
pub(super) struct Stage {
    /// Value of the run label.
    pub(super) run: String,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) helper: Arc<dyn HelperLink>,
    pub(super) recorder: Recorder,
    pub(super) interrupt: Interrupt,
    /// Roll back, and leave the containers.
    pub(super) keep: bool,
    /// Stop at the first failing step with the faults in force.
    pub(super) hold: bool,
    /// Trace every operation on volumes with an interposer of files.
    pub(super) trace_io: bool,
    /// What faults of an earlier run struck is struck again.
    pub(super) again: Option<Arc<Strikes>>,
    /// What is injected is not known before: volumes must be ready for anything.
    pub(super) by_hand: bool,
}

/// What a case came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    /// Microseconds of the longest recovery, where one was measured; `NEVER` where it did not come.
    pub(super) recovery_us: Option<u64>,
    pub(super) rollback_incomplete: bool,
    /// The helper cannot be used for another case.
    pub(super) helper_lost: bool,
}

/// Which run of the case this is.
pub(super) struct Attempt<'a> {
    /// From 1; more than 1 for a retry.
    pub(super) number: u32,
    /// Recovery times of earlier repeats, in microseconds.
    pub(super) earlier: &'a [u64],
    /// The last repeat: it judges the percentiles.
    pub(super) last: bool,
}

/// Runs a case and records everything about it.
pub(super) async fn run(case: Case, attempt: &Attempt<'_>, stage: &Stage) -> Ended {
    let mut begun = Begun::begin(case, attempt.number, stage);
    begun.set_the_stage().await;
    begun.walk.all().await;
    if stage.hold {
        begun.hold_what_failed().await;
    }
    begun.end(attempt, stage.keep).await
}

/// A case that was begun: its subjects, its way through the steps, and what watches over it.
pub(super) struct Begun {
    pub(super) world: Arc<World>,
    pub(super) walk: Walk,
    observers: Option<Observers>,
    watches: (Guards, AbortOnDropHandle<()>),
    started: Instant,
    /// Ends it at its timeout; none where it has all the time there is.
    clock: Option<AbortOnDropHandle<()>>,
}

impl Begun {
    /// Announces the case, and begins to watch.
    pub(super) fn begin(case: Case, attempt: u32, stage: &Stage) -> Self {
        stage.recorder.redact(Redactor::of(&case));
        match stage.by_hand {
            true => announce_by_hand(&stage.recorder, &case),
            false => announce(&stage.recorder, &case, attempt, stage.again.as_deref()),
        }
        let which = (case.id.clone(), attempt);
        let helper: Arc<dyn HelperLink> =
            Arc::new(Ledgers::new(Arc::clone(&stage.helper), stage.recorder.clone(), which));
        let world = World::new(case, helper, stage);
        let guards = Guards::start(&world);
        let load_watch = AbortOnDropHandle::new(tokio::spawn(loads::watch(Arc::clone(&world))));
        Self {
            walk: Walk::new(Arc::clone(&world)),
            observers: None,
            watches: (guards, load_watch),
            started: Instant::now(),
            clock: Some(Guards::timeout(&world, world.case.scenario.timeout.0)),
            world,
        }
    }

    /// Set-up and steady state; what comes after a broken precondition is not evaluated.
    pub(super) async fn set_the_stage(&mut self) {
        let world = &self.world;
        world.enter(Phase::SetUp);
        set_up(world).await;
        if !world.is_over() {
            steady::reach(world).await;
        }
        self.observers = Some(Observers::start(world));
        if !world.is_over() {
            world.enter(Phase::Steps);
        }
    }

    /// From now on somebody else says when it is over.
    pub(super) fn stop_the_clock(&mut self) {
        self.clock = None;
    }

    /// A control fails as it must: nobody wants to look at that.
    async fn hold_what_failed(&mut self) {
        let world = Arc::clone(&self.world);
        let broke = self.walk.failed() || world.findings().broken().is_some();
        if broke && world.case.control.is_none() && !world.stop.is_cancelled() {
            self.stop_the_clock();
            held(&world).await;
        }
    }

    /// The rollback, the last assertions, and nothing left behind.
    pub(super) async fn end(mut self, attempt: &Attempt<'_>, keep: bool) -> Ended {
        let world = Arc::clone(&self.world);
        // the clock stands still during the rollback: clean-up does not count
        let took = self.clock.take().map_or(Duration::ZERO, |_| self.started.elapsed());

        world.enter(Phase::Rollback);
        end_of_steps(&world).await;
        world.interrupt.bound(REVERTING, REVERTS, self.walk.rollback()).await;
        if let Some(observers) = self.observers {
            world.interrupt.bound(REVERTING, LOGS, observers.judge(&world)).await;
        }
        drop(self.walk);
        strikes::conclude(&world);

        let left = world.case.scenario.timeout.0.saturating_sub(took);
        let clock = Guards::timeout(&world, left);
        finish(&world, left).await;
        drop((clock, self.watches));
        io_traces::bring(&world, attempt.number).await;

        let cleaned = clean::up(&world, keep).await;
        end(&world, &cleaned, attempt)
    }
}

/// Characters of what is said of the step that broke.
const WHY: usize = 200;

/// Waits with the faults in force until the user interrupts, or the helper is lost.
async fn held(world: &Arc<World>) {
    world.hold();
    let faults = world.in_force();
    let faults = if faults.is_empty() {
        "no fault in force".to_owned()
    } else {
        format!("`{}` in force", faults.join("`, `"))
    };
    let why = world.findings().what_broke().map_or_else(String::new, |broke| {
        let said: String =
            broke.message.lines().next().unwrap_or_default().chars().take(WHY).collect();
        let what = match broke.verdict {
            Some(Verdict::Fail) => "does not hold",
            _ => "could not be judged",
        };
        format!(", as `{}` {what} ({said})", broke.id)
    });
    let looks = clean::shells(world).await;
    let text = format!("held with {faults}{why}: look with {looks}; Ctrl-C rolls back");
    world.emit(Event::Attention { case: world.id(), text });
    world.stop.cancelled().await;
}

/// Id of the assertion that a set-up which failed is recorded as.
pub(crate) const SET_UP: &str = "set-up";

async fn set_up(world: &Arc<World>) {
    let started = Instant::now();
    let cut = async {
        world.stop.cancelled().await;
        // a container that is being made must not come into being after everything was removed
        sleep(GRACE).await;
    };
    let made = tokio::select! {
        made = setup::set_up(world) => made,
        () = cut => return,
    };
    if let Err(error) = made
        && !world.stop.is_cancelled()
    {
        let (id, title) = (SET_UP, "subjects start");
        let verdict = Some(Verdict::Error);
        record(world, id, Hypothesis::SteadyState, title, verdict, &error, started);
        world.findings().break_off("the set-up failed");
    }
}

/// The steps are over; a reason to end them early becomes a finding before anything is rolled back.
async fn end_of_steps(world: &World) {
    // a call may have seen the loss before its guard did
    if let Ok(why) = timeout(Duration::ZERO, world.helper.lost()).await {
        world.stop(Stop::HelperLost(why));
    }
    world.conclude();
}

/// After the rollback: the last assertions, where something can still be proven.
async fn finish(world: &Arc<World>, left: Duration) {
    world.enter(Phase::Verify);
    // a control that has failed has done its work
    let decided = world.case.control.is_some() && world.findings().first_failure().is_some();
    if !decided {
        verify::all(world, left).await;
    }
    world.conclude();
}

fn end(world: &World, cleaned: &clean::Cleaned, attempt: &Attempt<'_>) -> Ended {
    let recovery_us = world.recovery_us();
    if attempt.last {
        let all: Vec<u64> = attempt.earlier.iter().copied().chain(recovery_us).collect();
        verify::percentiles(world, &all);
    }
    let judged = {
        let findings = world.findings().clone();
        findings.judge(world.case.control.as_ref(), |id| world.step_of(id))
    };
    let (mut verdict, mut reasons) = judged;
    let tolerated = tolerated(world).filter(|_| verdict == Verdict::Fail);
    if let Some(because) = &tolerated {
        // only the failure is known: trouble of the harness behind it is not
        verdict = world.findings().heaviest_but_failures().merge(Verdict::Skipped);
        reasons.insert(0, format!("{}: {because}", Verdict::Skipped));
    }
    if let Some(problem) = &cleaned.problem {
        verdict = verdict.merge(Verdict::Error);
        reasons.push(problem.clone());
    }
    world.emit(Event::CaseEnded { case: world.id(), verdict, reasons, tolerated });
    Ended {
        verdict,
        recovery_us,
        rollback_incomplete: cleaned.rollback_incomplete,
        helper_lost: matches!(world.stopped(), Some(Stop::HelperLost(_)))
            || cleaned.problem.is_some(),
    }
}

/// Why a failure is tolerated today.
fn tolerated(world: &World) -> Option<String> {
    let expected = world.case.scenario.expect_failure.as_ref()?;
    let until: jiff::civil::Date = expected.until.parse().ok()?;
    let today = jiff::Zoned::now().date();
    (today <= until).then(|| format!("a known failure until {until}: {}", expected.because))
}
