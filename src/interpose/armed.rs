//! Which sets of rules are in force, and since when. The engine is pure; the clock is here.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::rules::{BadGlob, Call, Hits, Room, RuleSet, Sets, Strike};
use crate::protocol::{AllStruck, IoOp, IoRule, RuleFacts, is_of_set};

/// A set, and whether it is in force.
struct One {
    name: Arc<str>,
    set: RuleSet,
    since: Instant,
    armed: bool,
    /// As which of the sets what it lets wait waits.
    waits: Sets,
}

/// Every set of an interposer.
pub(super) struct Armed {
    /// Rules that may come: they decide which files are left to the kernel.
    expected: RuleSet,
    expects: bool,
    sets: RwLock<BTreeMap<String, Arc<One>>>,
    /// For the numbers of what all of them hit; none where nobody asks for those.
    room: Option<Arc<Room>>,
    /// Operations that some set in force is about, a bit each.
    about: AtomicU32,
    /// Some set in force is about the bytes that operations move.
    touches_bytes: AtomicBool,
    /// For how many microseconds some set in force hides changes; 0 where none does.
    hides: AtomicU64,
}

fn bit(op: IoOp) -> u32 {
    1 << op as u32
}

impl Armed {
    pub(super) fn new(expected: Vec<IoRule>) -> Result<Self, BadGlob> {
        let expects = !expected.is_empty();
        let expected = RuleSet::new(0, expected)?;
        let (sets, about, touches_bytes, hides) = Default::default();
        let room = Some(Arc::default());
        Ok(Self { expected, expects, sets, room, about, touches_bytes, hides })
    }

    /// The same, keeping no numbers of what is hit: it is not to be hit again by those.
    pub(super) fn without_numbers(self) -> Self {
        Self { room: None, ..self }
    }

    /// Puts a set in force, in place of one of the same name: who waits for that.
    pub(super) fn arm(&self, name: &str, set: RuleSet, waits: Sets) -> Option<Sets> {
        let set = set.within(self.room.clone());
        let one = One { name: name.into(), set, since: Instant::now(), armed: true, waits };
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        self.make_room(&sets);
        let before = sets.insert(name.to_owned(), Arc::new(one));
        self.recount(&sets);
        before.filter(|one| one.armed).map(|one| one.waits)
    }

    /// Puts a set out of force: who waits for it; none where there was none. What it has done is
    /// remembered.
    pub(super) fn disarm(&self, name: &str) -> Option<Sets> {
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        let one = sets.get(name).filter(|one| one.armed).cloned()?;
        // calls in progress still hold the old one, and count in what both share
        let set = one.set.remembered();
        let known = Arc::clone(&one.name);
        let over = One { name: known, set, since: one.since, armed: false, waits: one.waits };
        sets.insert(name.to_owned(), Arc::new(over));
        self.recount(&sets);
        Some(one.waits)
    }

    /// What is over gives its numbers up, the oldest first, where what is to come needs the room: it was
    /// asked for them when it was over.
    fn make_room(&self, sets: &BTreeMap<String, Arc<One>>) {
        let Some(room) = self.room.as_ref().filter(|room| room.is_short()) else { return };
        let mut over: Vec<_> = sets.values().filter(|one| !one.armed).collect();
        over.sort_by_key(|one| one.since);
        for one in over.into_iter().take_while(|_| room.is_short()) {
            one.set.forget_numbers();
        }
    }

    fn recount(&self, sets: &BTreeMap<String, Arc<One>>) {
        let armed = || sets.values().filter(|one| one.armed);
        let ops = IoOp::ALL.iter().filter(|op| armed().any(|one| one.set.has(**op)));
        self.about.store(ops.fold(0, |about, op| about | bit(*op)), Ordering::Release);
        let touches_bytes = armed().any(|one| one.set.touches_bytes());
        self.touches_bytes.store(touches_bytes, Ordering::Release);
        let longest = armed().filter_map(|one| one.set.hides_any()).max().unwrap_or_default();
        let longest = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
        self.hides.store(longest, Ordering::Release);
    }

    /// Whether a set in force is about this operation at all.
    pub(super) fn is_about(&self, op: IoOp) -> bool {
        self.about.load(Ordering::Acquire) & bit(op) != 0
    }

    /// Whether a set in force is about the bytes that operations move.
    pub(super) fn touches_bytes(&self) -> bool {
        self.touches_bytes.load(Ordering::Acquire)
    }

    /// For how long some set in force hides changes from somebody; none where none does.
    pub(super) fn hides_any(&self) -> Option<Duration> {
        let us = self.hides.load(Ordering::Acquire);
        (us > 0).then(|| Duration::from_micros(us))
    }

    /// Whether a set in force hides changes of this path from somebody.
    pub(super) fn hides(&self, path: &str) -> bool {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.values().any(|one| one.armed && one.set.hides(path).is_some())
    }

    /// Whether some rule may ever look at paths.
    pub(super) fn looks_at_paths(&self) -> bool {
        self.expects || self.about.load(Ordering::Acquire) != 0
    }

    /// Whether a rule that is expected or in force may be about the bytes of this file.
    pub(super) fn may_move_data(&self, path: &str) -> bool {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        self.expected.may_move_data(path)
            || sets.values().any(|one| one.armed && one.set.may_move_data(path))
    }

    /// Whether looks at attributes may be hit: then the kernel must not remember them.
    pub(super) fn may_hit_looks(&self) -> bool {
        self.expected.has(IoOp::Stat) || self.is_about(IoOp::Stat)
    }

    /// What happens to an operation.
    pub(super) fn strike(&self, call: &Call<'_>, opened: Option<Instant>) -> Strike {
        // one clock for both: what was open first has been for longer, whoever is held up here
        let now = Instant::now();
        let call = &Call { open_for: opened.map(|opened| now.duration_since(opened)), ..*call };
        let sets: Vec<Arc<One>> = {
            let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
            let about = |name: &str| !call.trial || is_of_set(call.path, name);
            let armed = sets.iter().filter(|(name, one)| one.armed && about(name));
            armed.map(|(_, one)| Arc::clone(one)).collect()
        };
        let mut strike = Strike::default();
        for one in sets {
            let struck = one.set.strike(call, now.duration_since(one.since), &name_of);
            if !struck.is_none() {
                let rules = vec![one.name.to_string()];
                strike.add(Strike { by: one.waits, rules, ..struck });
            }
        }
        strike
    }

    /// The first set in force whose name is such.
    pub(super) fn in_force(&self, is_such: impl Fn(&str) -> bool) -> Option<String> {
        let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
        sets.iter().find(|(name, one)| one.armed && is_such(name)).map(|(name, _)| name.clone())
    }

    /// Names of all sets, in force or not.
    pub(super) fn names(&self) -> Vec<String> {
        self.sets.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// All that a set has struck; none where there never was one.
    pub(super) fn all_struck(&self, name: &str) -> Option<AllStruck> {
        let one = {
            let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sets.get(name)?)
        };
        Some(one.set.all_hits())
    }

    /// What a set has done, beside so many `open` files; `reach` says how many open files a set cannot reach.
    pub(super) fn facts(
        &self,
        name: &str,
        open: u64,
        reach: impl Fn(&RuleSet) -> u64,
    ) -> Option<RuleFacts> {
        let one = {
            let sets = self.sets.read().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sets.get(name)?)
        };
        let (matched, Hits { number: hit, struck }) = (one.set.matched(), one.set.hits());
        let since_ms = u64::try_from(one.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        Some(RuleFacts {
            armed: one.armed,
            since_ms,
            matched,
            hit,
            out_of_reach: reach(&one.set),
            open,
            forgotten: 0,
            overflowed: one.set.overflowed(),
            struck,
        })
    }
}

/// Command name of a process.
pub(super) fn name_of(pid: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        interpose::timer::Timer,
        protocol::{Caller, IoAction, Trigger},
    };

    fn every_write() -> RuleSet {
        let rule = IoRule {
            paths: vec!["**".to_owned()],
            ops: vec![IoOp::Write],
            by: Caller::default(),
            ranges: Vec::new(),
            at_least: None,
            when: Trigger::default(),
            action: IoAction::Error { errno: libc::EIO },
        };
        RuleSet::new(7, vec![rule]).unwrap()
    }

    /// Writes to so many files.
    fn write(armed: &Armed, files: usize) {
        for path in (0..files).map(|n| n.to_string()) {
            let call = Call {
                op: IoOp::Write,
                path: &path,
                span: Some((0, 10)),
                bytes: 10,
                open_for: None,
                sync: None,
                fresh: false,
                changed: None,
                uid: 0,
                pid: 9,
                ours: false,
                trial: false,
            };
            assert!(!armed.strike(&call, None).is_none());
        }
    }

    #[test]
    fn what_is_over_gives_its_room_up_when_what_comes_needs_it() {
        let (armed, timer) = (Armed::new(Vec::new()).unwrap(), Timer::start().unwrap());
        let arm = |name: &str| armed.arm(name, every_write(), timer.begin());
        let known = |name: &str| {
            let all = armed.all_struck(name).unwrap();
            (all.numbered(), all.left_out)
        };
        for (name, files) in [("small", 3), ("large", 100), ("next", 3)] {
            assert!(arm(name).is_none());
            write(&armed, files);
            armed.disarm(name);
            if name == "large" {
                let (numbered, left_out) = known(name);
                assert!(numbered > 10 && left_out > 10, "it has filled the room");
            }
        }
        assert_eq!((known("small"), known("large"), known("next")), ((0, 3), (0, 100), (3, 0)));
        let disk = Armed::new(Vec::new()).unwrap().without_numbers();
        assert!(disk.arm("one", every_write(), timer.begin()).is_none());
        write(&disk, 3);
        let all = disk.all_struck("one").unwrap();
        assert_eq!((all.numbered(), all.left_out), (0, 3));
        assert_eq!(disk.facts("one", 0, |_| 0).unwrap().struck.len(), 3, "the first are listed");
    }
}
