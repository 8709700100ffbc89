//! The controller's side: takes beats and work, and looks who has gone silent.
//!
//! Every specimen is a controller to whoever beats to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::args::SpecimenArgs;
use super::arrival::Arrivals;
use super::fence::{Fence, Leader, Verdict};
use super::roster::{Roster, Seen};
use super::service::Service;
use super::weakness::Weakness;

/// Looks per beat.
const LOOKS: u32 = 10;

pub(super) struct Controller {
    roster: Mutex<Roster>,
    fence: Mutex<Fence>,
    pub(super) arrivals: Arrivals,
}

impl Controller {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        let roster = Roster::new(args.beat_every, !args.has(Weakness::NeverMarked));
        let fence = Fence::new(args.has(Weakness::NoFencing));
        Self { roster: Mutex::new(roster), fence: Mutex::new(fence), arrivals: Arrivals::new(args) }
    }

    /// A beat came.
    pub(super) fn beat(&self, service: &Service, name: &str) {
        let changed = lock(&self.roster).beat(name, Instant::now());
        changed.into_iter().for_each(|line| service.console.say(line));
    }

    /// A leader's work came; whether it is taken.
    pub(super) fn work(&self, service: &Service, term: u64, leader: &str) -> bool {
        let verdict = lock(&self.fence).admit(term, leader, Instant::now());
        match verdict {
            Verdict::Taken => {}
            Verdict::Refused => service.metrics.stale_refused.add(1),
            Verdict::Stale => service.metrics.stale_taken.add(1),
        }
        verdict != Verdict::Refused
    }

    /// Who leads, by the work that comes.
    pub(super) fn leader(&self) -> Option<Leader> {
        lock(&self.fence).leader(Instant::now())
    }

    /// Who is there.
    pub(super) fn seen(&self) -> BTreeMap<String, Seen> {
        lock(&self.roster).seen(Instant::now())
    }
}

/// The thread: looks several times per beat until the service stops.
pub(super) fn run(service: &Arc<Service>) {
    while !service.stop.sleep(service.args.beat_every / LOOKS) {
        let marked = lock(&service.controller.roster).look(Instant::now());
        service.metrics.agents_offline.add(marked.len() as u64);
        marked.into_iter().for_each(|line| service.console.say(line));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
