//! The fence of whoever keeps a leader's work: nothing of an earlier term is taken once a later one
//! has been seen. Pure.

use std::time::{Duration, Instant};

use serde::Serialize;

/// Nobody leads when no work was taken for this long.
const SILENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Fence {
    lets_all_pass: bool,
    latest: Option<Work>,
}

#[derive(Debug)]
struct Work {
    term: u64,
    leader: String,
    taken: Instant,
}

/// What became of a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// It is of an earlier term, and was refused.
    Refused,
    /// It is of an earlier term, and was taken all the same.
    Stale,
}

/// The leader, as `GET /leader` shows it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Leader {
    pub(super) leader: String,
    pub(super) term: u64,
}

impl Fence {
    pub(super) fn new(lets_all_pass: bool) -> Self {
        Self { lets_all_pass, latest: None }
    }

    /// A piece of work begun in this term.
    pub(super) fn admit(&mut self, term: u64, leader: &str, now: Instant) -> Verdict {
        let stale = self.latest.as_ref().is_some_and(|latest| term < latest.term);
        if stale && !self.lets_all_pass {
            return Verdict::Refused;
        }
        self.latest = Some(Work { term, leader: leader.to_owned(), taken: now });
        if stale { Verdict::Stale } else { Verdict::Taken }
    }

    /// Who leads now, by what was taken.
    pub(super) fn leader(&self, now: Instant) -> Option<Leader> {
        let latest = self.latest.as_ref()?;
        let alive = now.saturating_duration_since(latest.taken) < SILENCE;
        alive.then(|| Leader { leader: latest.leader.clone(), term: latest.term })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_term_is_refused_once_a_later_one_was_seen() {
        let now = Instant::now();
        let mut fence = Fence::new(false);
        assert_eq!(fence.leader(now), None);
        for (term, leader, verdict) in
            [(1, "a", Verdict::Taken), (2, "b", Verdict::Taken), (1, "a", Verdict::Refused)]
        {
            assert_eq!(fence.admit(term, leader, now), verdict);
        }
        assert_eq!(fence.leader(now), Some(Leader { leader: "b".into(), term: 2 }));
        assert_eq!(fence.leader(now + SILENCE), None);
    }

    #[test]
    fn without_a_fence_the_old_leader_writes_beside_the_new_one() {
        let now = Instant::now();
        let mut open = Fence::new(true);
        open.admit(2, "b", now);
        assert_eq!(open.admit(1, "a", now), Verdict::Stale);
    }
}
