//! The steps of a case, one after the other.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    assert::{Outcome, record},
    background::{Background, execute},
    expect::{Patience, Watched, wait_until_all_hold},
    inject::NotDone,
    injection::Injection,
    injections::{self, Injections},
    interrupt::GRACE,
    loads, recover,
    revert::Gone,
    world::World,
};
use crate::{
    scenario::{Action, Hypothesis, InjectStep, ProbeItem, Spot, Step},
    verdict::Verdict,
};

/// The state of a walk through the steps.
pub(super) struct Walk {
    world: Arc<World>,
    injections: Injections,
    background: Background,
    failed: bool,
}

impl Walk {
    pub(super) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            injections: Injections::default(),
            background: Background::default(),
            failed: false,
        }
    }

    /// A step failed that may not.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Walks until the end, a failure, or a stop. What is not reached is not evaluated.
    pub(super) async fn all(&mut self) {
        let world = Arc::clone(&self.world);
        for (index, step) in world.case.scenario.steps.iter().enumerate() {
            // the reason for a stop is told once, as the run's own finding
            let stopped = world.stop.is_cancelled().then(|| "the run was stopped".to_owned());
            let broken = world.findings().broken().or(stopped);
            let why = broken.or(self.failed.then(|| "an earlier step failed".to_owned()));
            match why {
                Some(why) => self.skip(index, step, &why),
                None => self.one(index, step).await,
            }
        }
        self.background.end(&world).await;
    }

    /// What comes before an injection by hand. Touches nothing, so it may be cut off.
    pub(super) async fn get_ready(&self) {
        loads::step_begins(&self.world).await;
        injections::get_ready(&self.world).await;
    }

    /// Injects by hand, under an id of the caller's, unless it is called off before.
    pub(super) async fn by_hand(
        &mut self,
        id: &str,
        step: &InjectStep,
        off: &CancellationToken,
    ) -> Result<Vec<Arc<Injection>>, NotDone> {
        let world = Arc::clone(&self.world);
        self.injections.by_hand(&world, id, step, off).await
    }

    /// What was injected, is in force until it is reverted, and was not reverted yet, in order.
    pub(super) fn lasting(&self) -> Vec<Arc<Injection>> {
        self.injections.lasting()
    }

    /// Reverts what was injected under an id; what it came to, of each that was in force.
    pub(super) async fn revert_by_hand(&mut self, id: &str) -> Vec<Gone> {
        let world = Arc::clone(&self.world);
        loads::step_begins(&world).await;
        self.injections.revert(&world, id).await
    }

    /// Reverts what is still injected, last first; what it came to, of each that was in force.
    pub(super) async fn rollback(&mut self) -> Vec<Gone> {
        self.injections.rollback(&self.world).await
    }

    /// A step that does not end by itself when the case is stopped is left where it is: the journal
    /// knows what it did.
    async fn one(&mut self, index: usize, step: &Step) {
        let world = Arc::clone(&self.world);
        let cut = async {
            world.stop.cancelled().await;
            sleep(GRACE).await;
        };
        let act = async {
            loads::step_begins(&world).await;
            self.act(index, step).await;
        };
        let ended = tokio::select! {
            () = act => true,
            () = cut => false,
        };
        if !ended {
            self.skip(index, step, "the run was stopped in the middle of it");
        }
    }

    async fn act(&mut self, index: usize, step: &Step) {
        let world = Arc::clone(&self.world);
        let id = &world.step(index);
        let started = Instant::now();
        match &step.action {
            Action::Inject(step) => self.injections.inject(&world, index, step).await,
            Action::Revert(name) => drop(self.injections.revert(&world, name).await),
            Action::Expect { probes, within, hold } => {
                let hold = hold.map_or(Duration::ZERO, |hold| hold.0);
                let patience = Patience { within: within.0, hold };
                self.expect(index, step.soft, probes, patience).await;
            }
            Action::Recover(recover) => {
                let outcome = recover::recover(&world, id, recover).await;
                self.assert(id, recover::TITLE, outcome, started, step.soft);
            }
            Action::Wait(time) => {
                tokio::select! {
                    () = sleep(time.0) => {}
                    () = world.stop.cancelled() => {}
                }
            }
            Action::Exec(exec) if exec.background => {
                self.background.start(&world, id, exec, step.soft);
            }
            Action::Exec(exec) => {
                let outcome = execute(&world, exec).await;
                self.assert(id, &title(step), Some(outcome), started, step.soft);
            }
            Action::Await { step: name, within } => {
                let (own, awaited) = self.background.wait_for(&world, name, within.0).await;
                self.failed |= awaited;
                self.assert(id, &title(step), own, started, step.soft);
            }
        }
    }

    async fn expect(&mut self, step: usize, soft: bool, probes: &[ProbeItem], patience: Patience) {
        let started = Instant::now();
        let world = Arc::clone(&self.world);
        let id = |probe| world.assertion(Spot::Expect { step, probe });
        let watched: Vec<Watched<'_>> =
            probes.iter().enumerate().map(|(at, item)| Watched { id: id(at), item }).collect();
        let awaited = wait_until_all_hold(&world, &watched, &patience).await;
        if awaited.cut_short {
            for one in &watched {
                let title = one.item.probe.describe();
                self.assert(&one.id, &title, None, started, soft);
            }
        }
        for one in awaited.judged {
            let message = match one.verdict {
                Verdict::Fail => {
                    format!("within {} ms: {}", patience.within.as_millis(), one.message)
                }
                _ => one.message,
            };
            self.assert(&one.id, &one.title, Some((one.verdict, message)), started, soft);
        }
    }

    /// `outcome`: none when the case was ended before it could be judged.
    fn assert(
        &mut self,
        id: &str,
        title: &str,
        outcome: Option<Outcome>,
        started: Instant,
        soft: bool,
    ) {
        let (verdict, message) = match outcome {
            Some((verdict, message)) => (Some(verdict), message),
            None => (None, "the run was stopped in the middle of it".to_owned()),
        };
        self.failed |= verdict.is_some_and(|verdict| verdict != Verdict::Pass) && !soft;
        record(&self.world, id, Hypothesis::Step, title, verdict, &message, started);
    }

    /// Whatever the step would have asserted is not evaluated.
    fn skip(&self, index: usize, step: &Step, why: &str) {
        let skip = |id: &str, title: &str| {
            record(&self.world, id, Hypothesis::Step, title, None, why, Instant::now());
        };
        match &step.action {
            Action::Inject(_) | Action::Revert(_) | Action::Wait(_) => {}
            Action::Expect { probes, .. } => {
                for (probe, item) in probes.iter().enumerate() {
                    let spot = Spot::Expect { step: index, probe };
                    skip(&self.world.assertion(spot), &item.probe.describe());
                }
            }
            _ => skip(&self.world.step(index), &title(step)),
        }
    }
}

/// A step in words.
fn title(step: &Step) -> String {
    match &step.action {
        Action::Inject(step) => step.fault.describe().act,
        Action::Expect { probes, .. } => {
            probes.iter().map(|item| item.probe.describe()).collect::<Vec<_>>().join("; ")
        }
        Action::Wait(time) => format!("wait {time}"),
        Action::Revert(name) => format!("revert {name}"),
        Action::Recover(_) => recover::TITLE.to_owned(),
        Action::Exec(exec) => format!("{}: {}", exec.service, exec.command.join(" ")),
        Action::Await { step, .. } => format!("{step} ends"),
    }
}
