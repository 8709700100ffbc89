//! Random sets of rules against an independent model: of a million operations the same ones are hit,
//! however many threads there are.
//!
//! A delay with an endless jitter tells which operation of its path was hit: it comes from the hash
//! of that. The model knows the hash too, written out once more, and so every single hit.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;

use super::{Call, RuleSet, Strike};
use crate::{
    protocol::{Caller, Delay, IoAction, IoOp, IoRule, Trigger},
    units::{Duration as Time, Percent, Size},
};

const PATHS: [&str; 10] =
    ["", "a.log", "a.db", "b.db", "wal/1.log", "wal/2.db", "wal/x/3.db", "wal", "tmp/a", "x.log"];
const GLOBS: [&str; 6] = ["**", "*.log", "wal/**", "**/*.db", "a.*", "nothing"];
const OPS: [IoOp; 4] = [IoOp::Read, IoOp::Write, IoOp::Fsync, IoOp::List];

/// Sets of rules, and operations that each of them meets: a million in all.
const SETS: u32 = 40;
const OPERATIONS: u64 = 25_000;
const THREADS: u64 = 8;
const SEED: u64 = 11;
/// Bytes of every read and write.
const BYTES: u64 = 100;
/// How long all of them come after the rules.
const SINCE: Duration = Duration::from_secs(5);
/// More than this no delay is longer: no two operations share one by chance.
const JITTER: u64 = (1 << 48) - 1;

/// What a glob of the list above matches, written out by hand.
fn model_matches(glob: &str, path: &str) -> bool {
    match glob {
        "**" => true,
        "*.log" => path == "a.log" || path == "x.log",
        "a.*" => path == "a.log" || path == "a.db",
        "wal/**" => path.starts_with("wal/"),
        "**/*.db" => ["a.db", "b.db", "wal/2.db", "wal/x/3.db"].contains(&path),
        _ => false,
    }
}

pub(super) fn when() -> impl Strategy<Value = Trigger> {
    let optional = |most: u64| prop::option::of(1..most);
    let share = prop::option::of(prop::sample::select(&[0.5, 10.0, 50.0, 99.0][..]));
    (optional(300), optional(7), optional(200), prop::option::of(0_u64..30_000), share).prop_map(
        |(nth, every, after, bytes, share)| Trigger {
            // most of the time not: it leaves one operation of each path
            nth: nth.filter(|nth| nth.is_multiple_of(4)),
            every,
            after,
            after_bytes: bytes.map(Size),
            probability: share.map(Percent),
            ..Trigger::default()
        },
    )
}

/// Rules, of which one is known by its delay; hits of the others are counted.
fn rules() -> impl Strategy<Value = Vec<IoRule>> {
    let ops = prop::collection::btree_set(prop::sample::select(&OPS[..]), 1..4);
    let (uid, window) = (prop::option::of(1..4_u32), 0..6);
    let rule = (prop::sample::select(&GLOBS[..]), ops, when(), uid, window);
    (prop::collection::vec(rule, 1..5), any::<prop::sample::Index>()).prop_map(|(rules, known)| {
        let known = known.index(rules.len());
        let rule = |(index, (glob, ops, when, uid, window)): (
            usize,
            (&str, BTreeSet<_>, Trigger, _, i32),
        )| {
            // now and then the time is over, or has not come
            let (from, until) = match window {
                0 => (Some(Time::from_secs(6)), None),
                1 => (Some(Time::from_secs(1)), Some(Time::from_secs(4))),
                2 => (Some(Time::from_secs(5)), Some(Time::from_secs(6))),
                _ => (None, None),
            };
            IoRule {
                paths: vec![glob.to_owned()],
                ops: ops.into_iter().collect(),
                by: Caller { uid, process: None },
                ranges: Vec::new(),
                at_least: None,
                when: Trigger { from, until, ..when },
                action: match index == known {
                    true => IoAction::Delay(Delay { jitter_us: JITTER, ..Delay::default() }),
                    // a time of its own for each says which of them hit
                    false => IoAction::Stall { us: 1 << index, errno: None },
                },
            }
        };
        rules.into_iter().enumerate().map(rule).collect()
    })
}

pub(super) fn call(path: &str, op: IoOp, uid: u32) -> Call<'_> {
    Call {
        op,
        path,
        span: op.moves_data().then_some((0, BYTES)),
        bytes: BYTES,
        open_for: None,
        sync: None,
        fresh: false,
        changed: None,
        uid,
        pid: 1,
        ours: false,
        trial: false,
    }
}

/// The n-th operation of all: which path, kind and user. Anything would do that is the same again.
fn operation(n: u64, salt: u64) -> (usize, usize, u32) {
    let bits = model_mix(n ^ salt.rotate_left(32));
    let below = |shift: u32, most: u64| usize::try_from((bits >> shift) % most).unwrap();
    let uid = u32::try_from(below(40, 3)).unwrap() + 1;
    (below(0, PATHS.len() as u64), below(20, OPS.len() as u64), uid)
}

/// splitmix64.
fn model_mix(n: u64) -> u64 {
    let z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a over all of these, mixed, as a number below a limit.
fn model_below(parts: &[&[u8]], limit: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    u64::try_from((u128::from(model_mix(hash)) * u128::from(limit)) >> 64).unwrap()
}

/// Whether the n-th operation is hit as far as it is counted, with so many bytes before it.
pub(super) fn model_fires(when: &Trigger, n: u64, bytes: u64) -> bool {
    let counted = n.saturating_sub(when.after.unwrap_or(0));
    counted > 0
        && when.nth.is_none_or(|nth| nth == counted)
        && when.every.is_none_or(|every| counted.is_multiple_of(every))
        && when.after_bytes.is_none_or(|after| bytes >= after.0)
}

/// Whether the n-th operation of a kind on a path is hit, and how late it is if a delay is.
fn model_hit(rule: (usize, &IoRule), path: &str, op: IoOp, n: u64) -> Option<u64> {
    let ((index, rule), when) = (rule, &rule.1.when);
    let since = SINCE.as_secs();
    let in_window = when.from.is_none_or(|from| since >= from.0.as_secs())
        && when.until.is_none_or(|until| since < until.0.as_secs());
    let bytes = if op.moves_data() { (n - 1) * BYTES } else { 0 };
    let (seed, rule_bytes, n_bytes) =
        (SEED.to_le_bytes(), (index as u64).to_le_bytes(), n.to_le_bytes());
    let hash: [&[u8]; 5] = [&seed, &rule_bytes, path.as_bytes(), op.name().as_bytes(), &n_bytes];
    let share = when.probability.is_none_or(|Percent(share)| {
        // in millionths of a percent
        (model_below(&hash, 100_000_000) as f64) < share * 1e6
    });
    let fires = in_window && share && model_fires(when, n, bytes);
    let late = [&hash[..], &[b"jitter"]].concat();
    fires.then(|| match rule.action {
        IoAction::Delay(_) => model_below(&late, JITTER + 1),
        _ => 0,
    })
}

/// What was hit, by rule, path and operation: how late each was, in order.
type Hits = BTreeMap<(usize, usize, usize), Vec<u64>>;

/// What is hit by the model: only how many come to a rule matters, and not in which order.
fn model(rules: &[IoRule], salt: u64) -> Hits {
    let mut came: BTreeMap<(usize, usize, usize), u64> = BTreeMap::new();
    for (path, op, uid) in (0..OPERATIONS).map(|n| operation(n, salt)) {
        for (index, rule) in rules.iter().enumerate() {
            let about = rule.ops.contains(&OPS[op])
                && model_matches(&rule.paths[0], PATHS[path])
                && rule.by.uid.is_none_or(|by| by == uid);
            *came.entry((index, path, op)).or_default() += u64::from(about);
        }
    }
    let hits = |(index, path, op): (usize, usize, usize), came| {
        let rule = (index, &rules[index]);
        let mut late: Vec<u64> =
            (1..=came).filter_map(|n| model_hit(rule, PATHS[path], OPS[op], n)).collect();
        late.sort_unstable();
        late
    };
    let all = came.into_iter().map(|(key, came)| (key, hits(key, came)));
    all.filter(|(_, late)| !late.is_empty()).collect()
}

/// Whether this rule is among those that hit: how late it is by its delay.
fn by(rule: &IoRule, strike: &Strike) -> Option<u64> {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap();
    match rule.action {
        IoAction::Delay(_) => Some(micros(strike.delay)).filter(|us| *us > 0),
        IoAction::Stall { us, .. } => {
            let hangs = strike.hang.map_or(0, |hang| micros(hang.at_most));
            (hangs & us != 0).then_some(0)
        }
        _ => None,
    }
}

/// Does the operations on several threads, which meet on every path.
fn run(rules: &[IoRule], salt: u64) -> (RuleSet, Hits) {
    let set = RuleSet::new(SEED, rules.to_vec()).unwrap();
    let work = |thread: u64| {
        let mut hits = Vec::new();
        for n in (thread..OPERATIONS).step_by(usize::try_from(THREADS).unwrap()) {
            let (path, op, uid) = operation(n, salt);
            let strike = set.strike(&call(PATHS[path], OPS[op], uid), SINCE, &|_| None);
            let struck = rules.iter().enumerate();
            let struck = struck.filter_map(|(index, rule)| Some((index, by(rule, &strike)?)));
            hits.extend(struck.map(|(index, late)| ((index, path, op), late)));
        }
        hits
    };
    let mut all = Hits::new();
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || work(n))).collect();
        for (key, late) in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            all.entry(key).or_default().push(late);
        }
    });
    all.values_mut().for_each(|late| late.sort_unstable());
    (set, all)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: SETS,
        // another try takes as long as the first
        max_shrink_iters: 50,
        ..ProptestConfig::default()
    })]
    #[test]
    fn of_a_million_operations_those_are_hit_that_the_model_says(
        rules in rules(),
        salt in any::<u64>(),
    ) {
        let ((set, found), expected) = (run(&rules, salt), model(&rules, salt));
        prop_assert!(!set.overflowed());
        prop_assert_eq!(found, expected);
    }
}
