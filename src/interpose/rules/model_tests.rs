//! Random sets of rules against an independent model: the same operations are hit, however many
//! threads there are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

use proptest::prelude::*;

use super::{Call, RuleSet, Strike};
use crate::{
    protocol::{Caller, Damage, Delay, IoAction, IoOp, IoRule, Keep, Trigger},
    units::{Percent, Size},
};

const PATHS: [&str; 5] = ["", "a.log", "wal/1.log", "wal/2.db", "b.db"];
const GLOBS: [&str; 6] = ["**", "*.log", "wal/**", "**/*.db", "a.*", "nothing"];
const OPS: [IoOp; 4] = [IoOp::Read, IoOp::Write, IoOp::Fsync, IoOp::Open];

/// What a glob of the list above matches, written out by hand.
fn model_matches(glob: &str, path: &str) -> bool {
    match glob {
        "**" => true,
        "*.log" | "a.*" => path == "a.log",
        "wal/**" => path.starts_with("wal/"),
        "**/*.db" => path == "wal/2.db" || path == "b.db",
        _ => false,
    }
}

fn when() -> impl Strategy<Value = Trigger> {
    let optional = |most: u64| prop::option::of(1..most);
    (optional(40), optional(7), optional(20), prop::option::of(0_u64..9000), prop::bool::ANY)
        .prop_map(|(nth, every, after, bytes, half)| Trigger {
            nth,
            every,
            after,
            after_bytes: bytes.map(Size),
            probability: half.then_some(Percent(50.0)),
            ..Trigger::default()
        })
}

fn rules() -> impl Strategy<Value = Vec<IoRule>> {
    let ops = prop::collection::btree_set(prop::sample::select(&OPS[..]), 1..4);
    let (uid, stalls) = (prop::option::of(1..3_u32), prop::bool::ANY);
    let rule = (prop::sample::select(&GLOBS[..]), ops, when(), uid, stalls);
    prop::collection::vec(rule, 1..5).prop_map(|rules| {
        let rules = rules.into_iter().enumerate();
        rules
            .map(|(index, (glob, ops, when, uid, stalls))| IoRule {
                paths: vec![glob.to_owned()],
                ops: ops.into_iter().collect(),
                by: Caller { uid, process: None },
                ranges: Vec::new(),
                at_least: None,
                when,
                // a time of its own for each rule says which of them hit
                action: match stalls {
                    false => IoAction::Delay(Delay::of(1 << index)),
                    true => IoAction::Stall { us: 1 << index, errno: None },
                },
            })
            .collect()
    })
}

/// One caller's operations: a path, an operation and how often.
type Plan = Vec<(usize, usize, u32, u16)>;

fn call(path: usize, op: usize, uid: u32) -> Call<'static> {
    let (path, op) = (PATHS[path], OPS[op]);
    let span = op.moves_data().then_some((0, 100));
    Call {
        op,
        path,
        span,
        bytes: 100,
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

/// Whether the n-th operation is hit, with so many bytes before it.
fn model_fires(when: &Trigger, n: u64, bytes: u64) -> bool {
    let counted = n.saturating_sub(when.after.unwrap_or(0));
    counted > 0
        && when.nth.is_none_or(|nth| nth == counted)
        && when.every.is_none_or(|every| counted.is_multiple_of(every))
        && when.after_bytes.is_none_or(|after| bytes >= after.0)
}

/// How often each rule hits on each path and operation, by the model. Only where the outcome does
/// not hang on a hash.
fn model(rules: &[IoRule], plan: &Plan) -> BTreeMap<(usize, usize, usize), u64> {
    let mut hits = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate().filter(|(_, r)| r.when.probability.is_none()) {
        let mut counts: BTreeMap<(usize, usize), u64> = BTreeMap::new();
        for &(path, op, uid, times) in plan {
            let about = rule.ops.contains(&OPS[op])
                && model_matches(&rule.paths[0], PATHS[path])
                && rule.by.uid.is_none_or(|by| by == uid);
            if !about {
                continue;
            }
            for _ in 0..times {
                let n = counts.entry((path, op)).or_default();
                let bytes = if OPS[op].moves_data() { *n * 100 } else { 0 };
                *n += 1;
                let fires = model_fires(&rule.when, *n, bytes);
                *hits.entry((index, path, op)).or_default() += u64::from(fires);
            }
        }
    }
    hits
}

/// Whether this rule is among those that hit: its time is part of what they do together.
fn by(rule: &IoRule, strike: &Strike) -> bool {
    let hang = strike.hang.map_or(Duration::ZERO, |hang| hang.at_most);
    let has = |time: Duration, us: u64| time.as_micros() & u128::from(us) != 0;
    match rule.action {
        IoAction::Delay(Delay { us, .. }) => has(strike.delay, us),
        IoAction::Stall { us, .. } => has(hang, us),
        _ => false,
    }
}

/// Runs a plan on several threads; hits by rule, path and operation.
fn run(rules: &[IoRule], plan: &Plan, threads: u16) -> BTreeMap<(usize, usize, usize), u64> {
    let set = RuleSet::new(11, rules.to_vec()).unwrap();
    let hits = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (set, hits) = (&set, &hits);
            scope.spawn(move || {
                for &(path, op, uid, times) in plan {
                    // each thread does its share of every line, so that they meet on every path
                    let share = times / threads + u16::from(thread < times % threads);
                    for _ in 0..share {
                        let call = call(path, op, uid);
                        let strike = set.strike(&call, Duration::ZERO, &|_| None);
                        let mut hits = hits.lock().unwrap();
                        for index in (0..rules.len()).filter(|index| by(&rules[*index], &strike)) {
                            *hits.entry((index, path, op)).or_insert(0_u64) += 1;
                        }
                    }
                }
            });
        }
    });
    hits.into_inner().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn what_is_hit_is_what_the_model_says_whatever_the_threads_do(
        rules in rules(),
        plan in prop::collection::vec((0..PATHS.len(), 0..OPS.len(), 1..3_u32, 1..120_u16), 1..12),
    ) {
        let alone = run(&rules, &plan, 1);
        let together = run(&rules, &plan, 4);
        prop_assert_eq!(&alone, &together);
        let certain: BTreeMap<_, _> = alone
            .into_iter()
            .filter(|((index, _, _), _)| rules[*index].when.probability.is_none())
            .collect();
        let model: BTreeMap<_, _> =
            model(&rules, &plan).into_iter().filter(|(_, hits)| *hits > 0).collect();
        prop_assert_eq!(certain, model);
    }
}

/// Actions about bytes, where no hash decides how many are kept.
fn action() -> impl Strategy<Value = IoAction> {
    (0_u32..250, 0..3).prop_map(|(bytes, kind)| {
        let keep = Keep::Bytes(Size(u64::from(bytes)));
        match kind {
            0 => IoAction::Tear { keep, errno: 5 },
            1 => IoAction::Shorten { keep },
            _ => IoAction::Corrupt { damage: Damage::Garbage, bytes },
        }
    })
}

/// What an action does to so many bytes: its error, what is kept, and whether some are made wrong.
fn model_act(action: IoAction, of: u64) -> (Option<i32>, Option<u64>, bool) {
    let cut = |keep| match keep {
        Keep::Bytes(Size(bytes)) => Some(bytes).filter(|bytes| (1..of).contains(bytes)),
        _ => None,
    };
    match action {
        IoAction::Tear { keep, errno } => (cut(keep).map(|_| errno), cut(keep), false),
        IoAction::Shorten { keep } => (None, cut(keep), false),
        IoAction::Corrupt { bytes, .. } => (None, None, bytes > 0 && of > 0),
        _ => (None, None, false),
    }
}

fn about_bytes(action: IoAction, when: Trigger) -> RuleSet {
    let rule = IoRule {
        paths: vec!["**".into()],
        ops: vec![IoOp::Write],
        by: Caller::default(),
        ranges: Vec::new(),
        at_least: None,
        when,
        action,
    };
    RuleSet::new(3, vec![rule]).unwrap()
}

proptest! {
    #[test]
    fn bytes_are_struck_where_there_are_enough_of_them_and_counted_only_then(
        action in action(),
        when in when(),
        lengths in prop::collection::vec(0_u64..300, 1..60),
    ) {
        let when = Trigger { probability: None, ..when };
        let set = about_bytes(action, when.clone());
        let (mut before, mut hit) = (0, 0);
        for (n, length) in (1..).zip(&lengths) {
            let call = Call { span: Some((0, *length)), bytes: *length, ..call(1, 1, 1) };
            let strike = set.strike(&call, Duration::ZERO, &|_| None);
            let expected = match model_fires(&when, n, before) {
                true => model_act(action, *length),
                false => (None, None, false),
            };
            prop_assert_eq!((strike.errno, strike.keep, strike.harm.is_some()), expected);
            hit += u64::from(expected != (None, None, false));
            before += length;
        }
        prop_assert_eq!((set.matched(), set.hits().number), (lengths.len() as u64, hit));
    }

    #[test]
    fn where_writes_are_cut_does_not_hang_on_threads(count in 1_usize..200) {
        let cuts = |threads: usize| {
            let set = about_bytes(IoAction::Shorten { keep: Keep::Seeded }, Trigger::default());
            let cuts = Mutex::new(Vec::new());
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let (set, cuts) = (&set, &cuts);
                    scope.spawn(move || {
                        for _ in (thread..count).step_by(threads) {
                            let strike = set.strike(&call(1, 1, 1), Duration::ZERO, &|_| None);
                            cuts.lock().unwrap().extend(strike.keep);
                        }
                    });
                }
            });
            let mut cuts = cuts.into_inner().unwrap();
            cuts.sort_unstable();
            cuts
        };
        let alone = cuts(1);
        prop_assert_eq!(alone.len(), count);
        prop_assert_eq!(alone, cuts(4));
    }
}

/// Which of the first operations on a path are hit.
fn pattern(seed: u64, path: usize) -> BTreeSet<usize> {
    let rule = IoRule {
        paths: vec!["**".into()],
        ops: vec![IoOp::Write],
        by: Caller::default(),
        ranges: Vec::new(),
        at_least: None,
        when: Trigger { probability: Some(Percent(30.0)), ..Trigger::default() },
        action: IoAction::Error { errno: 5 },
    };
    let set = RuleSet::new(seed, vec![rule]).unwrap();
    let hit = |_: &usize| set.strike(&call(path, 1, 1), Duration::ZERO, &|_| None).errno == Some(5);
    (0..200).filter(hit).collect()
}

#[test]
fn another_seed_or_path_hits_others() {
    assert_eq!(pattern(1, 1), pattern(1, 1));
    assert_ne!(pattern(1, 1), pattern(2, 1));
    assert_ne!(pattern(1, 1), pattern(1, 2));
}
