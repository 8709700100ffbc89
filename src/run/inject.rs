//! One fault of a case: prepared, injected, verified. `revert` is the way back.

use std::{
    sync::{Arc, Mutex as Lock},
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

use super::{
    assert::{record, whole_micros},
    event::Event,
    injection::{Injection, Start, look},
    site::{cx, refresh, site},
    strikes,
    struck::{Armed, armed_by, sets},
    world::World,
};
use crate::{
    faults::{Cx, Effect, FaultError, FaultSpec, Kind, Part, Prepared, Site},
    protocol::{Entry, InsertionOp, Op, Outcome},
    scenario::Hypothesis,
    verdict::Verdict,
};

/// One injection that is called for.
pub(super) struct Call<'a> {
    pub(super) id: String,
    pub(super) step: &'a str,
    /// The fault, on one object.
    pub(super) fault: &'a FaultSpec,
    pub(super) part: Part,
    /// In a later stage of a ramp, what was there before the first one.
    pub(super) first: Option<serde_json::Value>,
    /// Whoever called is told why it cannot be done, and can call for something else: a refusal
    /// before anything happened breaks nothing. In a scenario it does: its steps have no meaning then.
    pub(super) may_be_refused: bool,
}

/// What is to be done, and from where; nothing has happened yet.
struct Ready {
    site: Site,
    prepared: Prepared<serde_json::Value>,
}

/// What the helper did, and when.
struct Applied {
    outcomes: Vec<Outcome>,
    called: Instant,
    done: Instant,
}

/// An injection, and what was seen of its effect.
type Looked = (Injection, Applied, Result<Effect, FaultError>);

/// How often an event is done that the subject takes back faster than anybody can look.
const TRIES: u32 = 5;

/// Why an injection was not done to the end.
pub(super) enum NotDone {
    /// Everything is being reverted.
    CalledOff,
    /// It does not fit what is there, and nothing was done.
    Refused(String),
    /// It was begun.
    Failed(String),
}

/// Injects, and looks whether the effect is there. Every outcome is recorded; an error says why
/// nothing was injected.
pub(super) async fn inject(world: &Arc<World>, call: &Call<'_>) -> Result<Arc<Injection>, NotDone> {
    let early = match call.may_be_refused {
        true => Some(prepare(world, call).await),
        false => None,
    };
    if let Some(Err(error)) = &early
        && error.is_refusal()
    {
        let why = error.to_string();
        refused(world, call, &why);
        return Err(NotDone::Refused(why));
    }
    announce(world, call);
    let started = Instant::now();
    let mut done = try_and_look(world, call, early).await;
    for _ in 1..TRIES {
        if !was_taken_back(call.fault, &done) {
            break;
        }
        let again = try_and_look(world, call, None).await;
        // what was done once stays done, though it cannot be done again
        if again.is_err() {
            break;
        }
        done = again;
    }
    match done {
        Ok((mut injection, applied, effect)) => {
            let (proven, evidence) = report(world, &call.id, effect, applied.took(), started);
            (injection.proven, injection.evidence) = (proven, evidence);
            begins(world, &injection, &applied);
            Ok(Arc::new(injection))
        }
        Err(error) => {
            finish(world, &call.id, Verdict::Error, &error, Duration::ZERO, started, Vec::new());
            Err(NotDone::Failed(error))
        }
    }
}

/// An event whose effect the subject may have ended before anybody looked: what was dropped from the
/// cache is read again. There is nothing to undo, so it can be done once more.
fn was_taken_back(fault: &FaultSpec, done: &Result<Looked, String>) -> bool {
    let may_be = fault.kind() == Kind::Event && fault.subject_may_end_it();
    may_be && matches!(done, Ok((_, _, Ok(effect))) if !effect.proven)
}

async fn try_and_look(
    world: &Arc<World>,
    call: &Call<'_>,
    early: Option<Result<Ready, FaultError>>,
) -> Result<Looked, String> {
    let (injection, applied) = try_inject(world, call, early).await?;
    // before the look: a start after it is noticed
    if let Some(facts) = refresh(world, &injection.site.service).await {
        injection.saw_under(Start::of(&facts));
    }
    let effect = look(world, &injection, &applied.outcomes).await;
    Ok((injection, applied, effect))
}

fn announce(world: &World, Call { id, fault, part, .. }: &Call<'_>) {
    let described = fault.describe();
    world.fault_begins();
    world.emit(Event::Injecting {
        case: world.id(),
        fault: id.clone(),
        name: fault.name().to_owned(),
        target: fault.target().to_string(),
        act: act(described.act, part),
        proof: described.proof,
        lasting: fault.kind(),
        scope: fault.scope(),
    });
}

/// What is done, in words.
fn act(act: String, part: &Part) -> String {
    let Part { number, of, share, .. } = part;
    if *share < 1.0 { format!("{act}: stage {number} of {of}") } else { act }
}

fn refused(world: &World, call: &Call<'_>, why: &str) {
    let (name, target) = (call.fault.name(), call.fault.target());
    let why = why.split("\n\nhint:").next().unwrap_or_default();
    world.note(format!("not injected: `{name}` at `{target}`: {why}"));
}

impl Applied {
    fn took(&self) -> Duration {
        self.done.duration_since(self.called)
    }
}

/// From here on samples are `during` or `after`, and recovery counts.
fn begins(world: &World, injection: &Injection, applied: &Applied) {
    // an event disrupts from the moment it is called for: a restart's stop belongs to it. A state
    // is in force when its ops are done: a disk that is being filled is not full yet.
    let lasts = injection.lasts();
    world.recovery_counts_from(if lasts { applied.done } else { applied.called });
    // what was found out while it was being done says nothing of it
    world.changed_at(applied.done);
    if !injection.proven {
        return;
    }
    if !lasts {
        world.fault_is_over();
    } else if injection.expires.is_none_or(|at| Instant::now() < at) {
        world.fault_in_force(&injection.id);
    }
}

async fn prepare(world: &Arc<World>, call: &Call<'_>) -> Result<Ready, FaultError> {
    let site = site(world, call.fault).await?;
    let first = call.first.as_ref();
    let cx = Cx { share: call.part.share, first, ..cx(world, &site) };
    let prepared = call.fault.prepare(&cx).await?;
    Ok(Ready { site, prepared })
}

/// The rules that its ops arm, which strike again what they struck where that is replayed.
fn arm(world: &World, call: &Call<'_>, ops: &mut [Op]) -> Vec<Armed> {
    strikes::choose(world, &call.id, ops);
    let armed = armed_by(ops);
    // what it strikes is asked of one set, and known before from the fault alone
    debug_assert_eq!(armed.len(), usize::from(call.fault.strikes().is_some()));
    world.rules_are_of(&call.id, sets(&armed));
    for op in ops {
        if let Op::Insertion(InsertionOp::Insert { name, .. }) = op {
            world.inserts(&call.id, name);
        }
    }
    armed
}

async fn try_inject(
    world: &Arc<World>,
    call: &Call<'_>,
    early: Option<Result<Ready, FaultError>>,
) -> Result<(Injection, Applied), String> {
    let Call { fault, part, .. } = call;
    let lasts = [part.lasts, fault.lasts_at_most()].into_iter().flatten().min();
    let early = match early {
        Some(ready) => ready,
        None => prepare(world, call).await,
    };
    let Ready { site, mut prepared } = early.map_err(|error| error.to_string())?;
    let armed = arm(world, call, &mut prepared.ops);
    let entry = Entry {
        what: format!("{} {}", fault.name(), fault.target()),
        ops: prepared.ops,
        undo: prepared.undo,
        expires_ms: lasts.map(|time| u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX)),
    };
    let called = Instant::now();
    let applied = world.helper.apply(entry).await.map_err(|error| error.to_string())?;
    let injection = Injection {
        id: call.id.clone(),
        step: call.step.to_owned(),
        fault: (*fault).clone(),
        entry: applied.id,
        armed,
        before: prepared.before,
        site,
        proven: false,
        evidence: String::new(),
        // the keeper's clock starts somewhere within the call: no sample after the earliest end
        expires: lasts.and_then(|time| called.checked_add(time.0)),
        over: Mutex::new(false),
        start: Lock::default(),
    };
    Ok((injection, Applied { outcomes: applied.outcomes, called, done: Instant::now() }))
}

/// Records what was seen of the effect: whether it was there, and in words.
fn report(
    world: &World,
    id: &str,
    effect: Result<Effect, FaultError>,
    took: Duration,
    started: Instant,
) -> (bool, String) {
    let (verdict, why, notes) = match effect {
        Ok(effect) if effect.proven => (Verdict::Pass, effect.evidence, effect.notes),
        Ok(effect) => {
            let why = format!("injected, but its effect was not seen: {}", effect.evidence);
            (Verdict::Inconclusive, why, effect.notes)
        }
        Err(error) => {
            let why = format!("injected, but its effect could not be looked for: {error}");
            (Verdict::Inconclusive, why, Vec::new())
        }
    };
    finish(world, id, verdict, &why, took, started, notes);
    (verdict == Verdict::Pass, why)
}

fn finish(
    world: &World,
    id: &str,
    verdict: Verdict,
    message: &str,
    took: Duration,
    started: Instant,
    notes: Vec<String>,
) {
    let proven = verdict == Verdict::Pass;
    world.emit(Event::Injected {
        case: world.id(),
        fault: id.to_owned(),
        proven,
        evidence: message.to_owned(),
        notes,
        took_us: whole_micros(took),
    });
    let assertion = format!("{id}.effect");
    let title = "the fault is in force";
    record(world, &assertion, Hypothesis::Fault, title, Some(verdict), message, started);
    if !proven {
        world.findings().break_off(&format!("the effect of `{id}` was not proven"));
    }
}
