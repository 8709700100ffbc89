//! The faults that the steps of a case injected: each on one object or on several, at once or in
//! parts. Every injection has its own proof and its own way back.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    assert::record,
    event::Origin,
    expect::{Patience, Watched, wait_until_all_hold},
    expiry,
    inject::{self, Call, NotDone},
    injection::Injection,
    loads,
    revert::{self, Gone},
    site::refresh,
    starts,
    world::World,
};
use crate::{
    faults::{FaultSpec, Part},
    runtime::State,
    scenario::{Condition, Hypothesis, InjectStep, Spot},
    verdict::Verdict,
};

/// What was injected, and the watch over it.
#[derive(Default)]
pub(super) struct Injections {
    /// In order, and not reverted by a step.
    all: Vec<Arc<Injection>>,
    expiries: Vec<AbortOnDropHandle<()>>,
    starts: Vec<AbortOnDropHandle<()>>,
}

impl Injections {
    /// Waits for the step's condition, then injects: part by part, and each on every object.
    pub(super) async fn inject(&mut self, world: &Arc<World>, index: usize, step: &InjectStep) {
        if let Some(when) = &step.when
            && !came_to_hold(world, index, when).await
        {
            return;
        }
        let (id, faults) = (world.step(index), world.case.faults(index));
        get_ready(world).await;
        let began = Instant::now();
        for part in step.parts() {
            pause(world, began + part.at).await;
            let mut ends = Vec::new();
            for fault in &faults {
                if world.is_over() {
                    return;
                }
                if self.subject_is_gone(world, &id, fault, &part).await {
                    return;
                }
                let first = self.before_the_first(&id, fault, &part);
                let own = name(&id, step, fault, &part);
                let call = Call { id: own, step: &id, fault, part, first, may_be_refused: false };
                let injected = self.one(world, &call).await;
                ends.extend(injected.ok().and_then(|(_, end)| end));
            }
            if step.profile.comes_and_goes() {
                for end in ends {
                    let _ = end.await;
                }
            } else {
                self.expiries.extend(ends);
            }
        }
    }

    /// What was there before the first stage, for those after it.
    fn before_the_first(
        &self,
        step: &str,
        fault: &FaultSpec,
        part: &Part,
    ) -> Option<serde_json::Value> {
        // one that comes and goes finds everything as it was
        if part.lasts.is_some() {
            return None;
        }
        let first = self.all.iter().find(|one| one.step == step && one.fault == *fault)?;
        Some(first.before.clone())
    }

    /// Whether the subject has ended of an earlier part, where that is an effect of the fault: then
    /// it is for the assertions to judge, and there is nothing for a later part to do it to.
    async fn subject_is_gone(
        &self,
        world: &World,
        step: &str,
        fault: &FaultSpec,
        part: &Part,
    ) -> bool {
        let earlier = |one: &&Arc<Injection>| one.step == step && one.fault == *fault;
        let Some(last) = self.all.iter().rfind(earlier) else { return false };
        if !last.proven || !fault.subject_may_end_it() {
            return false;
        }
        let service = &last.site.service;
        let runs = refresh(world, service).await.is_none_or(|facts| facts.state == State::Running);
        if !runs {
            let (now, all) = (part.number, part.of);
            world.note(format!(
                "`{step}`: stage {now} of {all} is not reached: `{service}` has ended"
            ));
        }
        !runs
    }

    /// Injects by hand, once [`get_ready`] is done: on every object, all of it at once, until it is
    /// called off. An error says why not; what was injected until then stays for whoever reverts it.
    pub(super) async fn by_hand(
        &mut self,
        world: &Arc<World>,
        id: &str,
        step: &InjectStep,
        off: &CancellationToken,
    ) -> Result<Vec<Arc<Injection>>, NotDone> {
        let mut injected = Vec::new();
        for part in step.parts() {
            for fault in &world.case.hits(&step.fault, id) {
                if off.is_cancelled() {
                    return Err(NotDone::CalledOff);
                }
                let name = name(id, step, fault, &part);
                // once something was injected, a refusal ends what was begun
                let may_be_refused = injected.is_empty();
                let call = Call { id: name, step: id, fault, part, first: None, may_be_refused };
                let (injection, end) = self.one(world, &call).await?;
                self.expiries.extend(end);
                injected.push(injection);
            }
        }
        Ok(injected)
    }

    /// Injects on one object; with what ends when the fault has expired, where it does.
    async fn one(
        &mut self,
        world: &Arc<World>,
        call: &Call<'_>,
    ) -> Result<(Arc<Injection>, Option<AbortOnDropHandle<()>>), NotDone> {
        let injection = inject::inject(world, call).await?;
        self.starts.extend(starts::follow(world, &injection));
        self.all.push(Arc::clone(&injection));
        let end = expiry::follow(world, &injection);
        Ok((injection, end))
    }

    /// Reverts whatever a step injected, last first; what it came to, of each that was in force.
    pub(super) async fn revert(&mut self, world: &Arc<World>, step: &str) -> Vec<Gone> {
        let of_step = self.all.iter().filter(|injection| injection.step == step);
        let these: Vec<_> = of_step.cloned().collect();
        // by hand, whoever asked for it knows
        if these.is_empty() && !world.by_hand {
            world.note(format!("nothing to revert: `{step}` was not injected"));
        }
        self.end(world, these, Origin::Step).await
    }

    /// Reverts what is still injected, last first; what it came to, of each that was in force.
    pub(super) async fn rollback(&mut self, world: &Arc<World>) -> Vec<Gone> {
        let these = self.all.clone();
        self.end(world, these, Origin::Rollback).await
    }

    async fn end(
        &mut self,
        world: &Arc<World>,
        these: Vec<Arc<Injection>>,
        by: Origin,
    ) -> Vec<Gone> {
        let mut ends = Vec::new();
        for injection in these.iter().rev() {
            // it stays listed until it is done: one that is cut off is left to the rollback
            let gone = match by {
                Origin::Rollback if !injection.lasts() => None,
                _ => revert::revert(world, injection, by).await,
            };
            if gone.as_ref().is_none_or(|gone| gone.is_over(world)) {
                self.all.retain(|one| !Arc::ptr_eq(one, injection));
            }
            ends.extend(gone);
        }
        ends
    }

    /// What was injected, is in force until it is reverted, and was not reverted yet, in order.
    pub(super) fn lasting(&self) -> Vec<Arc<Injection>> {
        self.all.iter().filter(|injection| injection.lasts()).cloned().collect()
    }
}

/// What comes before an injection: loads that are worth the name, and logs that count from now. It may
/// be cut off.
pub(super) async fn get_ready(world: &World) {
    if !world.injected() {
        loads::guard(world).await;
    }
    world.mark_logs();
}

/// Id of an injection: its step's, and which of several it is.
pub(super) fn name(step_id: &str, step: &InjectStep, fault: &FaultSpec, part: &Part) -> String {
    let object = step.fault.target().select.as_ref().map(|_| fault.target().to_string());
    let number = (part.of > 1).then(|| format!("{}/{}", part.number, part.of));
    let which: Vec<String> = [object, number].into_iter().flatten().collect();
    if which.is_empty() { step_id.to_owned() } else { format!("{step_id}[{}]", which.join(" ")) }
}

async fn pause(world: &World, until: Instant) {
    tokio::select! {
        () = sleep_until(until) => {}
        () = world.stop.cancelled() => {}
    }
}

/// Whether a condition came to hold; where it did not, nothing is injected and nothing is proven.
async fn came_to_hold(world: &Arc<World>, step: usize, when: &Condition) -> bool {
    let started = Instant::now();
    let hold = when.hold.map_or(Duration::ZERO, |hold| hold.0);
    let patience = Patience { within: when.within.0, hold };
    let id = |probe| world.assertion(Spot::When { step, probe });
    let watched: Vec<Watched<'_>> =
        when.probes.iter().enumerate().map(|(at, item)| Watched { id: id(at), item }).collect();
    let awaited = wait_until_all_hold(world, &watched, &patience).await;
    for one in awaited.judged {
        // before injection nothing can fail: it can only not be there
        let verdict =
            if one.verdict == Verdict::Fail { Verdict::Inconclusive } else { one.verdict };
        let (group, message) = (Hypothesis::Fault, &one.message);
        record(world, &one.id, group, &one.title, Some(verdict), message, started);
    }
    if awaited.since.is_none() && !awaited.cut_short {
        let what = world.step(step);
        world.findings().break_off(&format!("what `{what}` waits for did not come to hold"));
    }
    awaited.since.is_some()
}
