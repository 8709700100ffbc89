//! The controller's side: takes beats, and looks who has gone silent.
//!
//! Every specimen is a controller to whoever beats to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::args::SpecimenArgs;
use super::roster::{Roster, Seen};
use super::service::Service;
use super::weakness::Weakness;

/// Looks per beat.
const LOOKS: u32 = 10;

pub(super) struct Controller(Mutex<Roster>);

impl Controller {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        Self(Mutex::new(Roster::new(args.beat_every, !args.has(Weakness::NeverMarked))))
    }

    fn lock(&self) -> MutexGuard<'_, Roster> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A beat came.
    pub(super) fn beat(&self, service: &Service, name: &str) {
        let changed = self.lock().beat(name, Instant::now());
        changed.into_iter().for_each(|line| service.console.say(line));
    }

    /// Who is there.
    pub(super) fn seen(&self) -> BTreeMap<String, Seen> {
        self.lock().seen(Instant::now())
    }
}

/// The thread: looks several times per beat until the service stops.
pub(super) fn run(service: &Arc<Service>) {
    while !service.stop.sleep(service.args.beat_every / LOOKS) {
        let marked = service.controller.lock().look(Instant::now());
        service.metrics.agents_offline.add(marked.len() as u64);
        marked.into_iter().for_each(|line| service.console.say(line));
    }
}
