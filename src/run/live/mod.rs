//! A live case: set up like any other, and then walked by hand. Whoever holds it does one by one what
//! the steps of a scenario do, with the same checks, the same proofs and the same events; its end is
//! the end of any case, and so are its verdict and its reports.
//!
//! Nothing is injected without a deadline that the keeper keeps: who holds it may die.

mod loads;
mod stop;
mod told;

use std::{
    sync::{
        Arc, Mutex as Lock, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;

pub use told::{Closed, InForce, Injected, LiveError, Stopped};

use super::{
    announce::announce_by_hand,
    assert::record,
    case::{Attempt, Begun, Stage},
    event::Event,
    expect::{Patience, Watched, steady_state, wait_until_all_hold},
    inject::NotDone,
    injection::Injection,
    interrupt::Interrupt,
    recorder::Recorder,
    recover,
    revert::Gone,
    staging::Staging,
    suite::{OpenStage, Stages},
    world::World,
};
use crate::{
    faults::{FaultSpec, Kind, Profile},
    plan::{Case, needs},
    probes::{ProbeSpec, Sample},
    scenario::{
        Action, Hypothesis, InjectStep, ProbeItem, RecoverStep, Scenario, Step, complaints,
    },
    units,
    verdict::{Ending, Verdict},
};

/// A live case. Calls may come from several tasks: injections and reverts wait for each other,
/// readings do not.
pub struct Live {
    world: Arc<World>,
    missing: needs::Missing,
    staging: Staging,
    interrupt: CancellationToken,
    /// Whoever injects or reverts holds it; none once it was closed.
    open: Mutex<Option<(Begun, OpenStage)>>,
    listed: Lock<Vec<Arc<Injection>>>,
    count: AtomicU32,
    /// Cancelled while everything is being reverted: what was called for before is called off.
    halt: Lock<CancellationToken>,
}

impl Live {
    /// Sets up the subjects of a case and waits for their steady state; its own steps are left out.
    ///
    /// # Errors
    /// When there is no helper, this host lacks what the subjects need, the set-up fails, or the
    /// steady state is not reached: then everything was rolled back, and the events say why.
    pub async fn open(
        mut case: Case,
        stages: &dyn Stages,
        recorder: &Recorder,
        interrupt: &CancellationToken,
    ) -> Result<Self, Closed> {
        case.scenario.steps.clear();
        let staging = Staging::new(recorder, &Interrupt::new(interrupt.clone()));
        let interrupted = || Ending { interrupted: interrupt.is_cancelled(), ..Ending::default() };
        let Some(stage) = staging.open(0, stages).await else {
            let ending = Ending { rollback_incomplete: staging.left(), ..interrupted() };
            return Err(Closed { verdict: Verdict::Error, ending });
        };
        if let Some(why) = stage.missing.of(&case.scenario) {
            let verdict = unrun(&case, recorder, &why);
            staging.close(stage, false).await;
            let ending = Ending { rollback_incomplete: staging.left(), ..interrupted() };
            return Err(Closed { verdict, ending });
        }
        let by_hand = Stage { by_hand: true, ..staging.stage(&stage) };
        let mut begun = Begun::begin(case, 1, &by_hand);
        begun.set_the_stage().await;
        let live = Self {
            world: Arc::clone(&begun.world),
            missing: stage.missing.clone(),
            staging,
            interrupt: interrupt.clone(),
            open: Mutex::new(None),
            listed: Lock::default(),
            count: AtomicU32::new(0),
            halt: Lock::default(),
        };
        if live.world.is_over() {
            return Err(live.end(begun, stage, false).await);
        }
        begun.stop_the_clock();
        live.world.findings().go_on();
        *live.open.lock().await = Some((begun, stage));
        Ok(live)
    }

    /// What its subjects are, with every variable put in.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.world.case.scenario
    }

    /// Value of the run label: what `keelhaul shell` and `recover` call it.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.world.run
    }

    /// Services and the full ids of their containers, as they are now.
    #[must_use]
    pub fn containers(&self) -> Vec<(String, String)> {
        self.world.containers()
    }

    /// Why this host cannot do a fault; none when it can.
    #[must_use]
    pub fn unavailable(&self, fault: &FaultSpec) -> Option<String> {
        let reasons = fault.needs().iter().filter_map(|need| self.missing.reason(*need));
        let reasons: Vec<&str> = reasons.collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// What is wrong with a fault on these subjects; each one sentence, with a hint. Asks nobody.
    #[must_use]
    pub fn complaints(&self, fault: &FaultSpec) -> Vec<String> {
        let mut found = complaints(self.scenario(), vec![inject("checked", fault)]);
        if found.is_empty() {
            let case = &self.world.case;
            found.extend(case.hits(fault, "checked").iter().filter_map(|one| case.unfit(one)));
        }
        found
    }

    /// Injects a fault, and sees its effect. The keeper reverts it after `lasts`, unless it is an
    /// event; a state whose own limit is shorter ends with that.
    ///
    /// # Errors
    /// When it was refused, or its effect was not seen: then nothing of it is in force.
    pub async fn inject(&self, fault: &FaultSpec, lasts: Duration) -> Result<Injected, LiveError> {
        let off = self.halting().clone();
        let mut open = stop::unless(&off, self.open.lock()).await?;
        let (begun, _) = open.as_mut().ok_or_else(closed)?;
        self.check(fault)?;
        stop::unless(&off, begun.walk.get_ready()).await?;
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let id = format!("{}-{number}", fault.name());
        let ends = (fault.kind() != Kind::Event).then_some(units::Duration(lasts));
        let called = begun.walk.by_hand(&id, &sustained(fault, ends), &off).await;
        let injected = self.seen(begun, id, called).await;
        *self.list() = begun.walk.lasting();
        injected
    }

    /// What an injection came to; what is not proven is reverted.
    async fn seen(
        &self,
        begun: &mut Begun,
        id: String,
        called: Result<Vec<Arc<Injection>>, NotDone>,
    ) -> Result<Injected, LiveError> {
        let unproven = match &called {
            Ok(all) => all.iter().find(|one| !one.proven).map(|one| one.evidence.clone()),
            Err(_) => None,
        };
        match (called, unproven) {
            (Ok(all), None) => {
                let evidence: Vec<&str> = all.iter().map(|one| one.evidence.as_str()).collect();
                let evidence = evidence.join("; ");
                let lasts = all.iter().any(|one| one.lasts());
                Ok(Injected { id, evidence, lasts })
            }
            (Ok(_), Some(why)) => {
                taken_back(begun, &id).await?;
                Err(LiveError::Unproven(why))
            }
            (Err(why), _) => {
                // of several objects, the first may have been injected
                taken_back(begun, &id).await?;
                Err(self.over().unwrap_or(match why {
                    NotDone::CalledOff => LiveError::Stopped,
                    NotDone::Refused(why) => LiveError::Refused(why),
                    NotDone::Failed(why) => LiveError::Failed(why),
                }))
            }
        }
    }

    /// Reverts what was injected under an id, and sees that it is gone; says what was seen.
    ///
    /// # Errors
    /// When it is not in force, another lies on top of it, or it was not seen to be gone.
    pub async fn revert(&self, id: &str) -> Result<String, LiveError> {
        let mut open = self.open.lock().await;
        let (begun, _) = open.as_mut().ok_or_else(closed)?;
        let known = self.list().iter().any(|one| one.step == id);
        if !known {
            return Err(LiveError::Unknown(id.to_owned()));
        }
        if let Some(above) = self.above(id) {
            return Err(LiveError::Refused(above));
        }
        let gone = begun.walk.revert_by_hand(id).await;
        *self.list() = begun.walk.lasting();
        judge(id, gone)
    }

    /// What is in force, or was not seen to be gone, first injected first.
    #[must_use]
    pub fn in_force(&self) -> Vec<InForce> {
        let now = Instant::now();
        let lasting = self.list();
        let in_force = lasting.iter().filter(|one| is_in_force(one)).map(|one| InForce {
            id: one.step.clone(),
            fault: one.fault.clone(),
            scope: one.fault.scope(),
            evidence: one.evidence.clone(),
            left: one.expires.map(|at| at.saturating_duration_since(now)),
        });
        in_force.collect()
    }

    /// Whether all that was injected under an id is in force, and its time is not up. Asks nobody.
    #[must_use]
    pub fn is_in_force(&self, id: &str) -> bool {
        let (now, lasting) = (Instant::now(), self.list());
        let mut of_id = lasting.iter().filter(|one| one.step == id).peekable();
        let lasts =
            |one: &Arc<Injection>| is_in_force(one) && one.expires.is_none_or(|at| now < at);
        of_id.peek().is_some() && of_id.all(lasts)
    }

    /// The probes of the steady state, with the ids of their assertions.
    #[must_use]
    pub fn steady_state(&self) -> Vec<(String, ProbeSpec)> {
        let watched = steady_state(&self.world).into_iter();
        watched.map(|one| (one.id, one.item.probe.clone())).collect()
    }

    /// Reads a probe once; the events know it under `id`.
    ///
    /// # Errors
    /// In words, when it does not fit the subjects, or could not be read in time.
    pub async fn read(&self, id: &str, probe: &ProbeSpec) -> Result<Sample, String> {
        self.check_probes(&[item(probe)])?;
        self.world.sample(id, probe).await
    }

    /// Waits until probes hold together, and judges them like an `expect` step of this id.
    ///
    /// # Errors
    /// When a probe does not fit the subjects, or the case is over.
    pub async fn expect(
        &self,
        id: &str,
        probes: &[ProbeSpec],
        within: Duration,
        hold: Duration,
    ) -> Result<(Verdict, String), LiveError> {
        let items: Vec<ProbeItem> = probes.iter().map(item).collect();
        self.check_probes(&items).map_err(LiveError::Refused)?;
        let ids = (0..items.len()).map(|index| format!("{id}.expect[{index}]"));
        let watched: Vec<Watched<'_>> =
            ids.zip(&items).map(|(id, item)| Watched { id, item }).collect();
        let (started, patience) = (Instant::now(), Patience { within, hold });
        let awaited = wait_until_all_hold(&self.world, &watched, &patience).await;
        if awaited.cut_short {
            return Err(self.over().unwrap_or_else(closed));
        }
        let mut all = (Verdict::Pass, Vec::new());
        for one in awaited.judged {
            let (group, verdict) = (Hypothesis::Step, Some(one.verdict));
            record(&self.world, &one.id, group, &one.title, verdict, &one.message, started);
            all.0 = all.0.merge(one.verdict);
            all.1.push(format!("{}: {}", one.title, one.message));
        }
        Ok((all.0, all.1.join("\n")))
    }

    /// Waits for the steady state and measures how long it took, like a `recover` step of this id.
    ///
    /// # Errors
    /// When there is no steady state, or the case is over.
    pub async fn recover(
        &self,
        id: &str,
        step: &RecoverStep,
    ) -> Result<(Verdict, String), LiveError> {
        let action = Action::Recover(step.clone());
        let steps = vec![Step { action, name: None, soft: false }];
        if let Some(why) = complaints(self.scenario(), steps).into_iter().next() {
            return Err(LiveError::Refused(why));
        }
        let started = Instant::now();
        let outcome = recover::recover(&self.world, id, step).await;
        let (verdict, message) = outcome.ok_or_else(|| self.over().unwrap_or_else(closed))?;
        let (group, title) = (Hypothesis::Step, recover::TITLE);
        record(&self.world, id, group, title, Some(verdict), &message, started);
        Ok((verdict, message))
    }

    /// Writes something down, with its time.
    pub fn note(&self, text: &str) {
        self.world.note(text);
    }

    /// Resolves when the case was ended from elsewhere, with the reason: an interrupt, a stop
    /// condition, a lost helper. What is left to do then is to close it.
    pub async fn ended(&self) -> String {
        self.world.stop.cancelled().await;
        self.why().unwrap_or_default()
    }

    /// Rolls back, verifies, cleans up and judges; with `keep`, containers, volumes and networks
    /// stay. None when it was closed before.
    pub async fn close(&self, keep: bool) -> Option<Closed> {
        let (begun, stage) = self.open.lock().await.take()?;
        self.list().clear();
        Some(self.end(begun, stage, keep).await)
    }

    async fn end(&self, begun: Begun, stage: OpenStage, keep: bool) -> Closed {
        let attempt = Attempt { number: 1, earlier: &[], last: true };
        let ended = begun.end(&attempt, keep).await;
        if ended.rollback_incomplete {
            self.staging.leave();
        }
        self.staging.close(stage, keep).await;
        let interrupted = self.interrupt.is_cancelled();
        let ending = Ending { rollback_incomplete: self.staging.left(), interrupted };
        Closed { verdict: ended.verdict, ending }
    }

    fn check(&self, fault: &FaultSpec) -> Result<(), LiveError> {
        if let Some(over) = self.over() {
            return Err(over);
        }
        if let Some(why) = self.complaints(fault).into_iter().next() {
            return Err(LiveError::Refused(why));
        }
        self.unavailable(fault).map_or(Ok(()), |why| Err(LiveError::Unavailable(why)))
    }

    fn check_probes(&self, probes: &[ProbeItem]) -> Result<(), String> {
        let within = units::Duration::default();
        let action = Action::Expect { probes: probes.to_vec(), within, hold: None };
        let step = Step { action, name: None, soft: false };
        complaints(self.scenario(), vec![step]).into_iter().next().map_or(Ok(()), Err)
    }

    /// Why something in force cannot be reverted yet.
    fn above(&self, id: &str) -> Option<String> {
        let in_force = self.in_force();
        if !in_force.iter().any(|one| one.id == id) {
            return None;
        }
        let mut steps: Vec<Step> = in_force.iter().map(|one| inject(&one.id, &one.fault)).collect();
        steps.push(Step { action: Action::Revert(id.to_owned()), name: None, soft: false });
        complaints(self.scenario(), steps).into_iter().next()
    }

    fn over(&self) -> Option<LiveError> {
        self.world.is_over().then(|| LiveError::Over(self.why().unwrap_or_default()))
    }

    fn why(&self) -> Option<String> {
        self.world.why_stopped()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Injection>>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn halting(&self) -> MutexGuard<'_, CancellationToken> {
        self.halt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever holds the lock reverts it just now.
fn is_in_force(injection: &Injection) -> bool {
    injection.over.try_lock().map_or(true, |over| !*over)
}

/// Reverts what there is of an injection that is not to stay; an error when it may be in force still.
async fn taken_back(begun: &mut Begun, id: &str) -> Result<(), LiveError> {
    match judge(id, begun.walk.revert_by_hand(id).await) {
        Err(error @ LiveError::NotReverted(_)) => Err(error),
        _ => Ok(()),
    }
}

fn closed() -> LiveError {
    LiveError::Over("it was closed".to_owned())
}

fn item(probe: &ProbeSpec) -> ProbeItem {
    ProbeItem { probe: probe.clone(), name: None }
}

fn sustained(fault: &FaultSpec, lasts: Option<units::Duration>) -> InjectStep {
    InjectStep { fault: fault.clone(), when: None, lasts, profile: Profile::Sustained }
}

fn inject(id: &str, fault: &FaultSpec) -> Step {
    let action = Action::Inject(Box::new(sustained(fault, None)));
    Step { action, name: Some(id.to_owned()), soft: false }
}

/// The worst of what the ends of several injections came to.
fn judge(id: &str, gone: Vec<Gone>) -> Result<String, LiveError> {
    if gone.is_empty() {
        return Err(LiveError::Expired(id.to_owned()));
    }
    let of = |verdict: Verdict| {
        let found = gone.iter().find(|one| one.verdict == Some(verdict));
        found.map(|one| one.evidence.clone())
    };
    if let Some(why) = of(Verdict::Error) {
        return Err(LiveError::NotReverted(why));
    }
    if let Some(why) = of(Verdict::Inconclusive) {
        return Err(LiveError::ReachedNobody(why));
    }
    let evidence: Vec<String> = gone.into_iter().map(|one| one.evidence).collect();
    Ok(evidence.join("; "))
}

/// Records a case that this host cannot set up.
fn unrun(case: &Case, recorder: &Recorder, why: &str) -> Verdict {
    announce_by_hand(recorder, case);
    let verdict = Verdict::Skipped;
    recorder.emit(Event::CaseEnded {
        case: case.id.clone(),
        verdict,
        reasons: vec![format!("{verdict}: {why}")],
        tolerated: None,
    });
    verdict
}
