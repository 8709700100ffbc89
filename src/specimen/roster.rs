//! The agents that a controller hears of: who beats, who missed too many beats. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::health::State;

/// An agent is OFFLINE after so many missed beats in a row: two may be a slow network.
const MISSES: u128 = 3;

/// One agent.
#[derive(Debug, Clone)]
struct Agent {
    last: Instant,
    state: State,
    times_offline: u64,
}

/// One agent, as `GET /agents` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Seen {
    state: State,
    /// Beats missed since the last one that came.
    missed: u128,
    times_offline: u64,
}

/// Every agent that has ever beaten.
#[derive(Debug)]
pub(super) struct Roster {
    every: Duration,
    marks: bool,
    agents: BTreeMap<String, Agent>,
    looked: Option<Instant>,
}

impl Roster {
    /// Agents that beat once per `every`; none is marked unless `marks`.
    pub(super) fn new(every: Duration, marks: bool) -> Self {
        Self { every, marks, agents: BTreeMap::new(), looked: None }
    }

    /// A beat came; says what it changed.
    pub(super) fn beat(&mut self, name: &str, now: Instant) -> Option<String> {
        let new = Agent { last: now, state: State::Init, times_offline: 0 };
        let agent = self.agents.entry(name.to_owned()).or_insert(new);
        agent.last = now;
        let before = std::mem::replace(&mut agent.state, State::Running);
        (before != State::Running).then(|| format!("agent {name}: {} -> RUNNING", before.name()))
    }

    /// Marks whoever missed too many beats; says whom.
    pub(super) fn look(&mut self, now: Instant) -> Vec<String> {
        self.forgive(now);
        let (every, marks) = (self.every, self.marks);
        let late = self.agents.iter_mut().filter(|(_, agent)| {
            marks && agent.state == State::Running && missed(agent, every, now) >= MISSES
        });
        late.map(|(name, agent)| {
            agent.state = State::Offline;
            agent.times_offline += 1;
            format!("agent {name}: {MISSES} beats missed: RUNNING -> OFFLINE")
        })
        .collect()
    }

    /// Beats that came while we did not look ourselves were not missed by the agents.
    fn forgive(&mut self, now: Instant) {
        let asleep = self.looked.map_or(Duration::ZERO, |looked| now.duration_since(looked));
        self.looked = Some(now);
        if asleep > self.every {
            self.agents.values_mut().for_each(|agent| agent.last += asleep);
        }
    }

    pub(super) fn seen(&self, now: Instant) -> BTreeMap<String, Seen> {
        let seen = |agent: &Agent| Seen {
            state: agent.state,
            missed: missed(agent, self.every, now),
            times_offline: agent.times_offline,
        };
        self.agents.iter().map(|(name, agent)| (name.clone(), seen(agent))).collect()
    }
}

fn missed(agent: &Agent, every: Duration, now: Instant) -> u128 {
    now.saturating_duration_since(agent.last).as_nanos() / every.as_nanos().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    fn looks(roster: &mut Roster, start: Instant, seconds: std::ops::Range<u64>) -> Vec<String> {
        seconds.flat_map(|at| roster.look(start + Duration::from_secs(at))).collect()
    }

    #[test]
    fn two_missed_beats_are_forgiven_and_three_are_not() {
        let start = Instant::now();
        let mut roster = Roster::new(EVERY, true);
        assert_eq!(roster.beat("a", start).unwrap(), "agent a: INIT -> RUNNING");
        assert_eq!(looks(&mut roster, start, 0..15), Vec::<String>::new());
        assert_eq!(roster.seen(start + Duration::from_secs(14))["a"].missed, 2);
        assert_eq!(
            looks(&mut roster, start, 15..60),
            ["agent a: 3 beats missed: RUNNING -> OFFLINE"]
        );
        let again = roster.beat("a", start + Duration::from_secs(60)).unwrap();
        assert_eq!(again, "agent a: OFFLINE -> RUNNING");
        assert_eq!(looks(&mut roster, start, 60..75), Vec::<String>::new());
        assert_eq!(roster.seen(start)["a"].times_offline, 1);
    }

    #[test]
    fn a_controller_that_slept_blames_nobody() {
        let start = Instant::now();
        let mut roster = Roster::new(EVERY, true);
        roster.beat("a", start);
        looks(&mut roster, start, 0..3);
        assert_eq!(looks(&mut roster, start, 60..70), Vec::<String>::new());
        assert_eq!(looks(&mut roster, start, 70..90).len(), 1, "still silent");
    }

    #[test]
    fn without_marking_nobody_is_ever_offline() {
        let start = Instant::now();
        let mut roster = Roster::new(EVERY, false);
        roster.beat("a", start);
        assert_eq!(looks(&mut roster, start, 0..100), Vec::<String>::new());
    }
}
