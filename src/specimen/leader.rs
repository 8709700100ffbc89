//! Leading: standing for election again and again, and working for as long as it is won.
//!
//! A piece of work takes a while and carries the term in which it was begun, so that a leader that
//! was frozen meanwhile cannot pass it off as the work of today.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::election::Election;
use super::health::State;
use super::service::Service;

/// Looks per lease.
const LOOKS: u32 = 10;
/// How long a piece of work takes.
const WORK: Duration = Duration::from_millis(200);

/// Between two looks whether the leader's connection has ended.
const NAP: Duration = Duration::from_millis(5);

/// The thread that stands for election until the service stops.
pub(super) fn campaign(service: &Arc<Service>) {
    let args = &service.args;
    let Some(dir) = &args.elect_in else { return };
    let mut election = Election::new(dir.clone(), args.name.clone(), args.lease);
    let mut abandoned = None;
    while !rest(service, abandoned) {
        abandoned = service.follow.abandoned();
        let term = match look(service, &mut election, abandoned) {
            Ok(term) => {
                service.health.clear("election");
                term
            }
            // who cannot see whether it leads does not lead
            Err(error) => {
                service.health.fault("election", &error);
                None
            }
        };
        let before = service.term.swap(term.unwrap_or(0), Ordering::AcqRel);
        match (before, term) {
            (0, Some(term)) => lead(service, term),
            (1.., None) => service.console.say(format!("election: leads term {before} no more")),
            _ => {}
        }
        match term {
            None => follow(service),
            // also for a record that has found no leader in the very last moment
            Some(_) => service.health.clear("leader"),
        }
    }
}

/// Until the next look, or until a leader is newly known to be gone; true when it is time to end.
fn rest(service: &Service, known: Option<u64>) -> bool {
    let end = Instant::now() + service.args.lease / LOOKS;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if service.stop.sleep(left.min(NAP)) {
            return true;
        }
        if left.is_zero() || service.follow.abandoned() != known {
            return false;
        }
    }
}

fn lead(service: &Service, term: u64) {
    service.console.say(format!("election: leads term {term}"));
    // the journal that goes with the term is taken over now, not with the first record
    service.verify_records();
}

/// Keeps in touch with the leader, where its records are ours to hand on.
fn follow(service: &Service) {
    // an error is the election's, and told there
    if let Ok(Some(leader)) = service.office.leader() {
        if service.follow.abandoned() == Some(leader.term) {
            return service.health.raise("leader", format!("{} is gone", leader.name));
        }
        service.follow.keep_warm(leader);
    }
}

/// Whoever cannot hand in work, or only slowly keep it, neither leads nor renews: somebody else may
/// be able to.
fn look(
    service: &Service,
    election: &mut Election,
    abandoned: Option<u64>,
) -> io::Result<Option<u64>> {
    let cut_off = service.uplink.as_ref().is_some_and(|uplink| uplink.state() == State::Offline);
    let unfit = cut_off || service.slow.load(Ordering::Acquire);
    if unfit { Ok(None) } else { election.look(Instant::now(), abandoned) }
}

/// The thread that works while we lead, until the service stops.
pub(super) fn work(service: &Arc<Service>) {
    let Some(uplink) = &service.uplink else { return };
    loop {
        let term = service.term.load(Ordering::Acquire);
        if service.stop.sleep(WORK) {
            return;
        }
        if term > 0 {
            // what is refused is done anew by whoever leads now
            let _ = uplink.send("POST", &format!("/terms/{term}/{}", service.args.name), "");
        }
    }
}
