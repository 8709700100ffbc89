//! A set of rules with its counts: shared by every thread that serves operations.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    Astray, BadGlob, Call, Hang, Late, Rot, Strike,
    bytes::{Harm, kept},
    compiled::Compiled,
    decide::{Count, Hash, fires},
    delay::delay,
    packed::{Again, Hit, Packed, Room},
};
use crate::{
    protocol::{AllStruck, IoAction, IoOp, IoRule, LISTED, Series, Struck},
    units::Percent,
};

/// What is counted for each rule and operation.
type Counts = HashMap<(usize, IoOp, Of), Count>;

/// Of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    /// A path.
    Path(u64),
    /// All paths that came too late to be counted each for itself.
    Rest {
        /// Looks of our own, and not what the service does.
        ours: bool,
    },
}

/// Parts that the counts are kept in, so that threads rarely wait for each other.
const SHARDS: usize = 16;

/// Entries of a part: about 50 MiB in all of them. A service that makes ever new names must not use
/// up the memory of who serves its volume.
const MOST: usize = if cfg!(test) { 64 } else { 50_000 };

/// Rules that were armed together.
#[derive(Debug)]
pub struct RuleSet {
    seed: u64,
    rules: Vec<Compiled>,
    /// Just these are hit; none where the triggers decide.
    again: Option<Again>,
    counts: [Mutex<Counts>; SHARDS],
    done: Arc<Done>,
}

/// What a set has done. What is left of the set when it is out of force has it too: calls in progress
/// still add to it.
#[derive(Debug, Default)]
struct Done {
    matched: AtomicU64,
    overflowed: AtomicBool,
    hits: Mutex<Hits>,
    packed: Mutex<Packed>,
}

/// Operations that were hit; those of trials are not among them.
#[derive(Debug, Default, Clone)]
pub struct Hits {
    /// How many.
    pub number: u64,
    /// The first of them.
    pub struck: Vec<Struck>,
}

impl RuleSet {
    /// Compiles rules.
    ///
    /// # Errors
    /// When a path is no glob.
    pub fn new(seed: u64, rules: Vec<IoRule>) -> Result<Self, BadGlob> {
        let rules: Result<_, _> = rules.into_iter().map(Compiled::new).collect();
        let counts = std::array::from_fn(|_| Mutex::default());
        Ok(Self { seed, rules: rules?, again: None, counts, done: Arc::default() })
    }

    /// These, hitting of all but trials and looks of our own just what is named, where something is.
    #[must_use]
    pub fn striking(self, again: Option<Vec<Series>>) -> Self {
        Self { again: again.map(Again::new), ..self }
    }

    /// These, keeping the numbers of what they hit in this room; in none, where it is never asked for them.
    /// What comes late by the clock is never hit again by its number either.
    #[must_use]
    pub fn within(self, room: Option<Arc<Room>>) -> Self {
        let late = |rule: &Compiled| matches!(rule.rule.action, IoAction::Late { .. });
        let room = room.filter(|_| !self.rules.iter().any(late));
        let packed = Mutex::new(Packed::within(room));
        Self { done: Arc::new(Done { packed, ..Done::default() }), ..self }
    }

    /// Gives up the room that the numbers of what was hit take.
    pub fn forget_numbers(&self) {
        self.done.packed.lock().unwrap_or_else(PoisonError::into_inner).forget();
    }

    /// No rules, and what these have counted and listed.
    #[must_use]
    pub fn remembered(&self) -> Self {
        let counts = std::array::from_fn(|_| Mutex::default());
        Self { seed: 0, rules: Vec::new(), again: None, counts, done: Arc::clone(&self.done) }
    }

    /// Whether some rule may ever be about the bytes of the file that is opened by this path.
    #[must_use]
    pub fn may_move_data(&self, path: &str) -> bool {
        self.rules.iter().any(|rule| rule.may_move_data(path))
    }

    /// For how long changes of this path are hidden from somebody; none where they never are.
    #[must_use]
    pub fn hides(&self, path: &str) -> Option<Duration> {
        self.rules.iter().filter_map(|rule| rule.hides(|globs| globs.matches(path))).max()
    }

    /// Likewise, of any path.
    #[must_use]
    pub fn hides_any(&self) -> Option<Duration> {
        self.rules.iter().filter_map(|rule| rule.hides(|_| true)).max()
    }

    /// Whether some rule is about this operation at all.
    #[must_use]
    pub fn has(&self, op: IoOp) -> bool {
        self.rules.iter().any(|rule| rule.rule.ops.contains(&op))
    }

    /// Whether some rule is about the bytes of an operation, and not of it as a whole.
    #[must_use]
    pub fn touches_bytes(&self) -> bool {
        self.rules.iter().any(|rule| rule.rule.action.touches_bytes())
    }

    /// Operations that matched; those of trials are not among them.
    #[must_use]
    pub fn matched(&self) -> u64 {
        self.done.matched.load(Ordering::Relaxed)
    }

    /// Whether there were more paths than are counted each for itself.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.done.overflowed.load(Ordering::Relaxed)
    }

    /// Those of them that were hit.
    #[must_use]
    pub fn hits(&self) -> Hits {
        self.done.hits.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of them, by their numbers.
    #[must_use]
    pub fn all_hits(&self) -> AllStruck {
        self.done.packed.lock().unwrap_or_else(PoisonError::into_inner).all()
    }

    /// What happens to an operation, `since` the set was armed. Counts it.
    pub fn strike(
        &self,
        call: &Call<'_>,
        since: Duration,
        name_of: &dyn Fn(u32) -> Option<String>,
    ) -> Strike {
        let mut strike = Strike::default();
        let (mut matched, mut first) = (false, None);
        for (index, rule) in self.rules.iter().enumerate() {
            if !rule.reaches(call, since) || !rule.matches(call, name_of) {
                continue;
            }
            matched = true;
            let when = &rule.rule.when;
            let in_window = when.from.is_none_or(|from| since >= from.0)
                && when.until.is_none_or(|until| since < until.0);
            if rule.is_due(call) && in_window {
                let act = act(rule, call, since, (self.seed, Hash::of(self.seed)));
                first = first.or((!act.is_none()).then_some((index, None)));
                strike.add(act);
                continue;
            }
            let (count, number) = self.count(index, call);
            let hash = self.hash(index, call, count);
            let named = self.names(index, call, number);
            if named.unwrap_or_else(|| in_window && fires(when, count, hash)) {
                let act = act(rule, call, since, (self.seed, hash));
                // one that does nothing has struck nothing, whatever comes behind it
                first = first.or((!act.is_none()).then_some((index, number)));
                strike.add(act);
            }
        }
        if matched && !call.trial && !call.ours {
            self.done.matched.fetch_add(1, Ordering::Relaxed);
            if !strike.is_none() {
                self.list(call, since, first.unwrap_or_default(), &strike);
            }
        }
        strike
    }

    /// Counts a hit, and lists it where it is one of the first; of all others the number is kept.
    fn list(
        &self,
        call: &Call<'_>,
        since: Duration,
        (rule, number): (usize, Option<u64>),
        strike: &Strike,
    ) {
        let rule = u32::try_from(rule).unwrap_or(u32::MAX);
        let packed = &self.done.packed;
        let mut packed = packed.lock().unwrap_or_else(PoisonError::into_inner);
        packed.add((rule, call.op), call.path, Hit { number, span: call.span });
        drop(packed);
        let mut hits = self.done.hits.lock().unwrap_or_else(PoisonError::into_inner);
        hits.number += 1;
        if hits.number > LISTED {
            return;
        }
        let (offset, bytes) = call.span.unzip();
        let struck = Struck {
            at_us: u64::try_from(since.as_micros()).unwrap_or(u64::MAX),
            rule,
            op: call.op,
            path: call.path.to_owned(),
            offset,
            bytes,
            number,
            pid: call.pid,
            what: strike.to_string(),
        };
        hits.struck.push(struck);
    }

    /// Whether it is named as one to be hit; none where the triggers decide. What has no number is
    /// none that was named.
    fn names(&self, rule: usize, call: &Call<'_>, number: Option<u64>) -> Option<bool> {
        let again = self.again.as_ref().filter(|_| !call.trial && !call.ours)?;
        let rule = u32::try_from(rule).ok()?;
        Some(number.is_some_and(|number| again.has((rule, call.op), call.path, number)))
    }

    /// Looks of our own are counted for themselves: how often we look must not decide which of the
    /// service's operations are hit. The second is its number on its path, where that is counted for
    /// itself: trials, which are few, always are.
    fn count(&self, rule: usize, call: &Call<'_>) -> (Count, Option<u64>) {
        let path = Hash::of(u64::from(call.ours)).and(call.path.as_bytes()).bits();
        let shard = &self.counts[usize::try_from(path % SHARDS as u64).unwrap_or_default()];
        let mut counts = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let (own, rest) = (Of::Path(path), Of::Rest { ours: call.ours });
        let is_counted =
            call.trial || counts.len() < MOST || counts.contains_key(&(rule, call.op, own));
        if !is_counted {
            self.done.overflowed.store(true, Ordering::Relaxed);
        }
        let key = (rule, call.op, if is_counted { own } else { rest });
        let count = counts.entry(key).or_default();
        count.n += 1;
        let now = *count;
        count.bytes += call.span.map_or(0, |(_, length)| length);
        (now, is_counted.then_some(now.n))
    }

    fn hash(&self, rule: usize, call: &Call<'_>, count: Count) -> Hash {
        let hash = Hash::of(self.seed).and(&(rule as u64).to_le_bytes());
        let hash = hash.and(call.path.as_bytes()).and(call.op.name().as_bytes());
        hash.and(&count.n.to_le_bytes())
    }
}

/// What an action does to an operation: nothing, where it is about bytes and finds none to do it to.
fn act(rule: &Compiled, call: &Call<'_>, since: Duration, (seed, hash): (u64, Hash)) -> Strike {
    let (none, cover) = (Strike::default(), || rule.cover_of(call));
    match rule.rule.action {
        IoAction::Error { errno } | IoAction::NoRoom { errno } => {
            Strike { errno: Some(errno), ..none }
        }
        IoAction::Delay(how) => Strike { delay: delay(how, since, hash), ..none },
        IoAction::Tear { keep, errno } => match kept(keep, call.bytes, hash) {
            Some(keep) => Strike { errno: Some(errno), keep: Some(keep), ..none },
            None => none,
        },
        IoAction::Shorten { keep } => Strike { keep: kept(keep, call.bytes, hash), ..none },
        IoAction::Corrupt { damage, bytes: most } => {
            Strike { harm: Harm::of(damage, most, call.bytes, hash), ..none }
        }
        IoAction::Rot { share } => {
            // a trial reads one chunk, and must not be the one that is sound
            let share = if call.trial { Percent(100.0) } else { share };
            let rot = call.span.and_then(|span| Rot::of(share, cover(), span, Hash::of(seed)));
            Strike { rot, ..none }
        }
        IoAction::FailSync { errno, retry, read_back, .. } => {
            Strike { errno: Some(errno), fails_sync: Some((retry, read_back)), ..none }
        }
        IoAction::LoseWrite => Strike { loses_write: Some(cover()), ..none },
        IoAction::Misdirect { distance } => {
            Strike { astray: Some(Astray::of(distance, cover(), call.trial, seed)), ..none }
        }
        IoAction::LoseSync => Strike { loses_sync: true, ..none },
        IoAction::Remember => none,
        IoAction::TellAttributes(told) => Strike { attributes: Some(told), ..none },
        IoAction::TellRoom(told) => Strike { room: Some(told), ..none },
        IoAction::Late { us, .. } => Strike { late: Late::of(us, call), ..none },
        IoAction::Stale => Strike { errno: Some(libc::ESTALE), ..none },
        IoAction::Stall { us, errno } => Strike { hang: Some(Hang::of(us, errno, call)), ..none },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Caller, Places, Trigger};

    fn every_second_write() -> RuleSet {
        let rule = IoRule {
            paths: vec!["**".to_owned()],
            ops: vec![IoOp::Write],
            by: Caller { uid: None, process: None },
            ranges: Vec::new(),
            at_least: None,
            when: Trigger { every: Some(2), ..Trigger::default() },
            action: IoAction::Error { errno: libc::EIO },
        };
        RuleSet::new(7, vec![rule]).unwrap()
    }

    fn write_to(set: &RuleSet, path: &str, offset: u64, trial: bool) -> Strike {
        let span = Some((offset, 10));
        let call = Call {
            op: IoOp::Write,
            path,
            span,
            bytes: 10,
            open_for: None,
            sync: None,
            fresh: false,
            changed: None,
            uid: 0,
            pid: 9,
            ours: false,
            trial,
        };
        set.strike(&call, Duration::from_millis(3), &|_| None)
    }

    fn write_at(set: &RuleSet, offset: u64, trial: bool) -> Strike {
        write_to(set, "a", offset, trial)
    }

    #[test]
    fn what_was_struck_is_listed_with_its_number_and_trials_are_not() {
        let set = every_second_write();
        assert!(write_at(&set, 0, false).is_none());
        assert!(!write_at(&set, 10, false).is_none());
        assert!(write_at(&set, 20, true).is_none());
        assert!(!write_at(&set, 30, true).is_none(), "a trial is struck, and not listed");
        let hits = set.hits();
        let [one] = &hits.struck[..] else { panic!("{hits:?}") };
        assert_eq!((one.number, one.offset, one.at_us), (Some(2), Some(10), 3000));
        assert_eq!(one.to_string(), "write of `a`, 10 bytes at 10: EIO (input/output error)");
        let left = set.remembered();
        assert_eq!(left.hits().struck.len(), 1, "it outlives its rules");
        assert!(write_at(&left, 30, false).is_none());
        // calls that were let in before
        assert!(write_at(&set, 40, false).is_none());
        assert!(!write_at(&set, 50, false).is_none());
        let hits = left.hits();
        assert_eq!((hits.number, hits.struck.len()), (2, 2), "what comes late is told too");
    }

    #[test]
    fn too_many_paths_are_counted_together_and_what_was_counted_before_goes_on() {
        let set = every_second_write();
        assert!(write_at(&set, 0, false).is_none() && !set.overflowed());
        let paths = |set: &RuleSet| -> usize {
            set.counts.iter().map(|shard| shard.lock().unwrap().len()).sum()
        };
        for n in 0..8 * SHARDS * MOST {
            write_to(&set, &n.to_string(), 0, false);
        }
        assert!(set.overflowed() && set.remembered().overflowed());
        // in each part one more for those that share it
        assert_eq!(paths(&set), SHARDS * (MOST + 1));
        let hits = set.hits();
        assert!(hits.number > 0, "every second of those that are counted together");
        assert!(hits.struck.iter().all(|one| one.number.is_none()), "{:?}", hits.struck[0]);
        assert!(!write_at(&set, 10, false).is_none(), "its second one, as without the others");
        assert!(write_to(&set, "trial", 0, true).is_none());
        assert!(!write_to(&set, "trial", 0, true).is_none(), "trials are counted for themselves");
        // 3 of a path that shares its count are nobody's third
        let numbers = [3].into_iter().collect();
        let places = Places::default();
        let third = Series { rule: 0, op: IoOp::Write, path: "new".into(), numbers, places };
        let again = every_second_write().striking(Some(vec![third]));
        let struck = |set: &RuleSet| [0; 3].map(|at| !write_to(set, "new", at, false).is_none());
        assert_eq!(struck(&again), [false, false, true]);
        let again = RuleSet { counts: set.counts, ..again };
        assert_eq!(struck(&again), [false; 3]);
    }

    #[test]
    fn only_the_first_are_listed_and_all_are_counted() {
        let set = every_second_write();
        for n in 0..4 * LISTED {
            write_at(&set, n, false);
        }
        let hits = set.hits();
        assert_eq!((set.matched(), hits.number), (4 * LISTED, 2 * LISTED));
        assert_eq!(hits.struck.len() as u64, LISTED);
    }
}
