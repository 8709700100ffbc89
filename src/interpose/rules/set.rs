//! A set of rules with its counts: shared by every thread that serves operations.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    BadGlob, Call, Hang, Strike,
    bytes::{Harm, kept},
    compiled::Compiled,
    decide::{Count, Hash, fires},
};
use crate::protocol::{IoAction, IoOp, IoRule};

/// What is counted for each rule, operation and path.
type Counts = HashMap<(usize, IoOp, u64), Count>;

/// Parts that the counts are kept in, so that threads rarely wait for each other.
const SHARDS: usize = 16;

/// Rules that were armed together.
#[derive(Debug)]
pub struct RuleSet {
    seed: u64,
    rules: Vec<Compiled>,
    counts: [Mutex<Counts>; SHARDS],
    matched: AtomicU64,
    hit: AtomicU64,
}

impl RuleSet {
    /// Compiles rules.
    ///
    /// # Errors
    /// When a path is no glob.
    pub fn new(seed: u64, rules: Vec<IoRule>) -> Result<Self, BadGlob> {
        let rules: Result<_, _> = rules.into_iter().map(Compiled::new).collect();
        let counts = std::array::from_fn(|_| Mutex::default());
        let (matched, hit) = (AtomicU64::default(), AtomicU64::default());
        Ok(Self { seed, rules: rules?, counts, matched, hit })
    }

    /// No rules, and what others have counted.
    #[must_use]
    pub fn remembering(matched: u64, hit: u64) -> Self {
        let counts = std::array::from_fn(|_| Mutex::default());
        let (matched, hit) = (AtomicU64::new(matched), AtomicU64::new(hit));
        Self { seed: 0, rules: Vec::new(), counts, matched, hit }
    }

    /// Whether some rule may ever be about the bytes of the file that is opened by this path.
    #[must_use]
    pub fn may_move_data(&self, path: &str) -> bool {
        self.rules.iter().any(|rule| rule.may_move_data(path))
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

    /// Operations that matched and that were hit; those of trials are not among them.
    #[must_use]
    pub fn counted(&self) -> (u64, u64) {
        (self.matched.load(Ordering::Relaxed), self.hit.load(Ordering::Relaxed))
    }

    /// What happens to an operation, `since` the set was armed. Counts it.
    pub fn strike(
        &self,
        call: &Call<'_>,
        since: Duration,
        name_of: &dyn Fn(u32) -> Option<String>,
    ) -> Strike {
        let mut strike = Strike::default();
        let mut matched = false;
        for (index, rule) in self.rules.iter().enumerate() {
            if !rule.reaches(call, since) || !rule.matches(call, name_of) {
                continue;
            }
            matched = true;
            let when = &rule.rule.when;
            let in_window = when.from.is_none_or(|from| since >= from.0)
                && when.until.is_none_or(|until| since < until.0);
            if rule.is_due(call) && in_window {
                strike.add(act(rule.rule.action, call, Hash::of(self.seed)));
                continue;
            }
            let count = self.count(index, call);
            let hash = self.hash(index, call, count);
            if in_window && fires(when, count, hash) {
                strike.add(act(rule.rule.action, call, hash));
            }
        }
        if matched && !call.trial {
            self.matched.fetch_add(1, Ordering::Relaxed);
            self.hit.fetch_add(u64::from(!strike.is_none()), Ordering::Relaxed);
        }
        strike
    }

    fn count(&self, rule: usize, call: &Call<'_>) -> Count {
        let path = Hash::of(0).and(call.path.as_bytes()).bits();
        let shard = &self.counts[usize::try_from(path % SHARDS as u64).unwrap_or_default()];
        let mut counts = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry((rule, call.op, path)).or_default();
        count.n += 1;
        let now = *count;
        count.bytes += call.span.map_or(0, |(_, length)| length);
        now
    }

    fn hash(&self, rule: usize, call: &Call<'_>, count: Count) -> Hash {
        let hash = Hash::of(self.seed).and(&(rule as u64).to_le_bytes());
        let hash = hash.and(call.path.as_bytes()).and(call.op.name().as_bytes());
        hash.and(&count.n.to_le_bytes())
    }
}

/// What an action does to an operation: nothing, where it is about bytes and finds none to do it to.
fn act(action: IoAction, call: &Call<'_>, hash: Hash) -> Strike {
    let none = Strike::default();
    match action {
        IoAction::Error { errno } => Strike { errno: Some(errno), ..none },
        IoAction::Delay { us, jitter_us } => {
            let more = hash.and(b"jitter").below(jitter_us.saturating_add(1));
            Strike { delay: Duration::from_micros(us.saturating_add(more)), ..none }
        }
        IoAction::Tear { keep, errno } => match kept(keep, call.bytes, hash) {
            Some(keep) => Strike { errno: Some(errno), keep: Some(keep), ..none },
            None => none,
        },
        IoAction::Shorten { keep } => Strike { keep: kept(keep, call.bytes, hash), ..none },
        IoAction::Corrupt { damage, bytes: most } => {
            Strike { harm: Harm::of(damage, most, call.bytes, hash), ..none }
        }
        IoAction::FailSync { errno, retry, read_back, .. } => {
            Strike { errno: Some(errno), fails_sync: Some((retry, read_back)), ..none }
        }
        IoAction::LoseSync => Strike { loses_sync: true, ..none },
        IoAction::Remember => none,
        IoAction::TellAttributes(told) => Strike { attributes: Some(told), ..none },
        IoAction::TellRoom(told) => Strike { room: Some(told), ..none },
        IoAction::Stale => Strike { errno: Some(libc::ESTALE), ..none },
        IoAction::Stall { us, errno } => {
            let hang = Hang { at_most: Duration::from_micros(us), errno, task: call.pid };
            Strike { hang: Some(hang), ..none }
        }
    }
}
