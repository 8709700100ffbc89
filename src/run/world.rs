//! What the tasks of one case share: the way to its subjects, its phase, its findings.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    case::Stage,
    event::{Event, Phase},
    interrupt::Interrupt,
    judge::Findings,
    load_watch::LoadWatch,
    printed::Moment,
    recorded::Recorded,
    recorder::Recorder,
    strikes::Strikes,
};
use crate::{
    helper::HelperLink,
    plan::Case,
    protocol::{EntryId, Undone},
    runtime::{ContainerFacts, Runtime},
    scenario::{Spot, assertion_ids},
    verdict::Verdict,
};

/// Cases that were begun in this process.
static CASES: AtomicU64 = AtomicU64::new(0);

/// Shared by the tasks of one case.
pub(super) struct World {
    pub(super) case: Case,
    ids: HashMap<Spot, String>,
    /// Number of the case in this process: its loads' names are unique at a helper that serves one
    /// case after the other.
    number: u64,
    pub(super) run: String,
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) helper: Arc<dyn HelperLink>,
    pub(super) recorder: Recorder,
    /// What is injected is not known before.
    pub(super) by_hand: bool,
    /// Every operation on volumes with an interposer of files is traced.
    pub(super) trace_io: bool,
    /// What faults of an earlier run struck is struck again.
    pub(super) again: Option<Arc<Strikes>>,
    pub(super) loads: LoadWatch,
    pub(super) recorded: Recorded,
    pub(super) interrupt: Interrupt,
    /// Ends the steps: an interrupt, a lost helper, a stop condition, the timeout.
    pub(super) stop: CancellationToken,
    /// In Unix nanoseconds.
    begun: i64,
    logs_since: AtomicI64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: Option<Phase>,
    containers: BTreeMap<String, String>,
    /// By service, as they were before the case.
    found: BTreeMap<String, ContainerFacts>,
    in_force: Vec<String>,
    injected: bool,
    over: bool,
    held: bool,
    /// Recovery counts from here: the last injection that is in force or happened, or the last
    /// verified revert.
    recovery_from: Option<Instant>,
    /// When something was last done, by the wall clock, in Unix nanoseconds.
    changed_ns: Option<i64>,
    /// Microseconds of the longest recovery; `NEVER` where one did not come.
    recovery_us: Option<u64>,
    /// Ids of faults, by the names of their sets of rules.
    rules: BTreeMap<String, String>,
    /// Interposers that faults have inserted: the fault's id, and the name.
    inserted: Vec<(String, String)>,
    /// Entries that the keeper reverted by itself, and nobody has asked about yet.
    expired: Vec<Undone>,
    findings: Findings,
    stopped: Option<Stop>,
    concluded: bool,
}

/// In place of a recovery time: it did not come while it was waited for.
pub(super) const NEVER: u64 = u64::MAX;

/// Why the steps of a case were ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// The user.
    Interrupt,
    /// The helper or its lease.
    HelperLost(String),
    /// A stop condition.
    Condition(String),
    /// The container of a service that runs already is gone.
    Removed(String),
    /// The scenario's own timeout.
    Timeout,
}

impl World {
    pub(super) fn new(case: Case, helper: Arc<dyn HelperLink>, stage: &Stage) -> Arc<Self> {
        let interrupt = stage.interrupt.clone();
        let ids = assertion_ids(&case.scenario).into_iter().map(|found| (found.spot, found.id));
        Arc::new(Self {
            ids: ids.collect(),
            number: CASES.fetch_add(1, Ordering::Relaxed),
            case,
            run: stage.run.clone(),
            runtime: Arc::clone(&stage.runtime),
            helper,
            recorder: stage.recorder.clone(),
            by_hand: stage.by_hand,
            trace_io: stage.trace_io,
            again: stage.again.clone(),
            loads: LoadWatch::default(),
            recorded: Recorded::default(),
            stop: interrupt.child(),
            interrupt,
            begun: unix_nanoseconds(),
            logs_since: AtomicI64::new(unix_nanoseconds()),
            state: Mutex::default(),
        })
    }

    /// Id of the case.
    pub(super) fn id(&self) -> String {
        self.case.id.clone()
    }

    /// Name of a workload's load at the helper.
    pub(super) fn load_name(&self, workload: &str) -> String {
        format!("{}-{workload}", self.number)
    }

    /// Id of an assertion.
    pub(super) fn assertion(&self, spot: Spot) -> String {
        self.ids.get(&spot).cloned().unwrap_or_else(|| format!("{spot:?}"))
    }

    /// Id of a step: what `revert`, `await` and `fails` call it.
    pub(super) fn step(&self, index: usize) -> String {
        let own = self.ids.get(&Spot::Step(index)).or_else(|| self.ids.get(&Spot::Recover(index)));
        let effect = || Some(self.ids.get(&Spot::Effect(index))?.strip_suffix(".effect")?.into());
        // waits and reverts assert nothing of their own
        own.cloned().or_else(effect).unwrap_or_else(|| format!("steps[{index}]"))
    }

    /// The step that an assertion belongs to: a control may list either.
    pub(super) fn step_of(&self, assertion: &str) -> Option<String> {
        let (spot, _) = self.ids.iter().find(|(_, id)| *id == assertion)?;
        match spot {
            Spot::Expect { step, .. } => Some(self.step(*step)),
            _ => None,
        }
    }

    pub(super) fn emit(&self, event: Event) {
        self.recorder.emit(event);
    }

    /// These sets of rules are a fault's.
    pub(super) fn rules_are_of<'s>(&self, fault: &str, sets: impl Iterator<Item = &'s str>) {
        let of_it = sets.map(|set| (set.to_owned(), fault.to_owned()));
        self.state().rules.extend(of_it);
    }

    /// The fault whose set of rules has this name.
    pub(super) fn fault_of_rules(&self, set: &str) -> Option<String> {
        self.state().rules.get(set).cloned()
    }

    /// A fault inserts this interposer.
    pub(super) fn inserts(&self, fault: &str, interposer: &str) {
        self.state().inserted.push((fault.to_owned(), interposer.to_owned()));
    }

    /// Interposers that faults have inserted, and by which.
    pub(super) fn inserted(&self) -> Vec<(String, String)> {
        self.state().inserted.clone()
    }

    pub(super) fn note(&self, text: impl Into<String>) {
        self.emit(Event::Noted { case: Some(self.id()), text: text.into() });
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.state().phase = Some(phase);
        self.emit(Event::PhaseStarted { case: self.id(), phase });
    }

    pub(super) fn phase(&self) -> Phase {
        self.state().phase.unwrap_or(Phase::SetUp)
    }

    /// From now on the user decides when it ends: neither the timeout nor a stop condition does.
    pub(super) fn hold(&self) {
        self.state().held = true;
    }

    /// Ends the steps; the first reason stays.
    pub(super) fn stop(&self, why: Stop) {
        if self.state().held && matches!(why, Stop::Timeout | Stop::Condition(_)) {
            return;
        }
        self.state().stopped.get_or_insert(why);
        self.stop.cancel();
    }

    /// Why the steps were ended. A token cancelled from outside is the user's.
    pub(super) fn stopped(&self) -> Option<Stop> {
        let stopped = self.state().stopped.clone();
        stopped.or_else(|| self.stop.is_cancelled().then_some(Stop::Interrupt))
    }

    /// The same in words.
    pub(super) fn why_stopped(&self) -> Option<String> {
        Some(self.stopped()?.judge(self.case.scenario.timeout).1)
    }

    /// Turns the reason for an early end into a finding, once; later assertions are not evaluated.
    pub(super) fn conclude(&self) {
        let Some(stop) = self.stopped() else { return };
        let mut state = self.state();
        if !std::mem::replace(&mut state.concluded, true) {
            let (verdict, why) = stop.judge(self.case.scenario.timeout);
            state.findings.add("run", Some(verdict), &why);
            state.findings.break_off(&why);
        }
    }

    /// Nothing more can be asserted: a precondition broke, or the steps were ended.
    pub(super) fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.findings().broken().is_some()
    }

    /// True when it had another, or none.
    pub(super) fn set_container(&self, service: &str, id: String) -> bool {
        self.state().containers.insert(service.to_owned(), id.clone()) != Some(id)
    }

    /// A container that the run did not make, as it was found.
    pub(super) fn found(&self, service: &str, facts: ContainerFacts) {
        self.state().found.insert(service.to_owned(), facts);
    }

    /// All of them.
    pub(super) fn as_found(&self) -> BTreeMap<String, ContainerFacts> {
        self.state().found.clone()
    }

    pub(super) fn container(&self, service: &str) -> Option<String> {
        self.state().containers.get(service).cloned()
    }

    pub(super) fn containers(&self) -> Vec<(String, String)> {
        self.state().containers.iter().map(|(name, id)| (name.clone(), id.clone())).collect()
    }

    /// This moment, by the wall clock and by the clock of the run.
    pub(super) fn now(&self) -> Moment {
        Moment { unix_ns: unix_nanoseconds(), run_us: self.recorder.now_us() }
    }

    /// When the case began, in Unix nanoseconds.
    pub(super) fn begun(&self) -> i64 {
        self.begun
    }

    pub(super) fn logs_since(&self) -> i64 {
        self.logs_since.load(Ordering::Relaxed)
    }

    /// From now on log lines count for the next expectation.
    pub(super) fn mark_logs(&self) {
        self.logs_since.store(unix_nanoseconds(), Ordering::Relaxed);
    }

    /// The effect of a fault was verified: `during` begins.
    pub(super) fn fault_in_force(&self, fault: &str) {
        self.state().in_force.push(fault.to_owned());
    }

    /// Injection of a fault begins: `before` is over.
    pub(super) fn fault_begins(&self) {
        let mut state = self.state();
        state.injected = true;
        state.over = false;
    }

    /// The revert of a fault was called: `during` ends with the last of them.
    pub(super) fn fault_ends(&self, fault: &str) {
        self.state().in_force.retain(|id| id != fault);
    }

    /// A fault's end was verified, or it happened and was over: `after` begins with the last.
    pub(super) fn fault_is_over(&self) {
        let mut state = self.state();
        state.over = state.in_force.is_empty();
    }

    /// Recovery counts from this moment.
    pub(super) fn recovery_counts_from(&self, moment: Instant) {
        self.changed_at(moment);
        self.state().recovery_from = Some(moment);
    }

    /// What was found out before this moment says nothing of what was done.
    pub(super) fn changed_at(&self, moment: Instant) {
        let ago = i64::try_from(moment.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.state().changed_ns = Some(unix_nanoseconds().saturating_sub(ago));
    }

    /// When a fault was last injected, or seen to be over, in Unix nanoseconds.
    pub(super) fn changed_ns(&self) -> Option<i64> {
        self.state().changed_ns
    }

    pub(super) fn recovery_from(&self) -> Option<Instant> {
        self.state().recovery_from
    }

    /// A recovery was measured, or waited for in vain.
    pub(super) fn recovered_in(&self, micros: Option<u64>) {
        let mut state = self.state();
        state.recovery_us = state.recovery_us.max(Some(micros.unwrap_or(NEVER)));
    }

    pub(super) fn recovery_us(&self) -> Option<u64> {
        self.state().recovery_us
    }

    /// Keeps what the keeper says has expired, and takes out what it says of one entry. The keeper
    /// tells each once, to whoever asks first.
    pub(super) fn take_expired(&self, told: Vec<Undone>, id: EntryId) -> Option<Undone> {
        let mut state = self.state();
        state.expired.extend(told);
        let at = state.expired.iter().position(|undone| undone.id == id)?;
        Some(state.expired.swap_remove(at))
    }

    pub(super) fn in_force(&self) -> Vec<String> {
        self.state().in_force.clone()
    }

    pub(super) fn injected(&self) -> bool {
        self.state().injected
    }

    /// Every fault was seen to be over: `after`.
    pub(super) fn faults_are_over(&self) -> bool {
        self.state().over
    }

    pub(super) fn findings(&self) -> FindingsGuard<'_> {
        FindingsGuard(self.state())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Access to a case's findings.
pub(super) struct FindingsGuard<'a>(MutexGuard<'a, State>);

impl std::ops::Deref for FindingsGuard<'_> {
    type Target = Findings;

    fn deref(&self) -> &Findings {
        &self.0.findings
    }
}

impl std::ops::DerefMut for FindingsGuard<'_> {
    fn deref_mut(&mut self) -> &mut Findings {
        &mut self.0.findings
    }
}

impl Stop {
    fn judge(self, timeout: crate::units::Duration) -> (Verdict, String) {
        match self {
            Self::Interrupt => (Verdict::Error, "interrupted".to_owned()),
            Self::HelperLost(why) => (Verdict::Error, format!("the helper was lost: {why}")),
            Self::Condition(what) => {
                (Verdict::Inconclusive, format!("a stop condition held: {what}"))
            }
            Self::Removed(service) => (
                Verdict::Error,
                format!("the container of `{service}` was removed by someone else"),
            ),
            Self::Timeout => (Verdict::Error, format!("not over within its timeout of {timeout}")),
        }
    }
}

/// The engine stamps logs with wall-clock nanoseconds. They fit until the year 2262.
fn unix_nanoseconds() -> i64 {
    i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}
