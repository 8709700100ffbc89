//! Random rules about bytes against an independent model, and what another seed changes.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use proptest::prelude::*;

use super::{
    Call, RuleSet,
    model_tests::{call, model_fires, when},
};
use crate::{
    protocol::{Caller, Damage, IoAction, IoOp, IoRule, Keep, Trigger},
    units::{Percent, Size},
};

const PATH: &str = "wal/1.log";

fn write_to(path: &str) -> Call<'_> {
    call(path, IoOp::Write, 1)
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
            let call = Call { span: Some((0, *length)), bytes: *length, ..write_to(PATH) };
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
                            let strike = set.strike(&write_to(PATH), Duration::ZERO, &|_| None);
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
fn pattern(seed: u64, path: &str) -> BTreeSet<usize> {
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
    let hit = |_: &usize| set.strike(&write_to(path), Duration::ZERO, &|_| None).errno == Some(5);
    (0..200).filter(hit).collect()
}

#[test]
fn another_seed_or_path_hits_others() {
    assert_eq!(pattern(1, "a"), pattern(1, "a"));
    assert_ne!(pattern(1, "a"), pattern(2, "a"));
    assert_ne!(pattern(1, "a"), pattern(1, "b"));
}
