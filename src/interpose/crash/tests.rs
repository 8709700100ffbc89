//! Random operations, syncs and cuts against what must hold of every state.

use proptest::prelude::*;

use super::{Cut, Key, Log, Sync};
use crate::protocol::{CutProfile, Durability};

pub(super) const PROFILES: [CutProfile; 10] = [
    CutProfile::Drop,
    CutProfile::KeepAll,
    CutProfile::Prefix,
    CutProfile::Omit1,
    CutProfile::Omit2,
    CutProfile::Keep1,
    CutProfile::Keep2,
    CutProfile::Subset,
    CutProfile::MetadataFirst,
    CutProfile::DataFirst,
];

fn name(directory: u64, name: &str) -> Key {
    Key::Name(directory, name.into())
}

fn key() -> impl Strategy<Value = Key> {
    let names = (1..3_u64, prop::sample::select(&["a", "b", "c"][..]));
    prop_oneof![
        names.prop_map(|(directory, of)| name(directory, of)),
        (10..13_u64).prop_map(Key::Size),
        (10..13_u64, 0..50_u64, 1..20_u64).prop_map(|(file, from, length)| Key::Bytes(
            file,
            from,
            from + length
        )),
    ]
}

fn log(operations: &[Vec<Key>]) -> Log<usize> {
    let mut log = Log::new(Durability::PosixStrict);
    for (at, keys) in operations.iter().enumerate() {
        log.add(keys.clone(), false, at);
    }
    log
}

/// What is gone, in the order in which it is undone.
fn gone(cut: &Cut<usize>) -> Vec<usize> {
    cut.gone.iter().map(|gone| gone.undo).collect()
}

/// A sync that began when so much had been done.
pub(super) fn by_others(before: u64) -> Sync {
    Sync { before, own: false, data_alone: false }
}

fn share(one: &[Key], other: &[Key]) -> bool {
    one.iter().any(|one| {
        other.iter().any(|other| match (one, other) {
            (Key::Bytes(file, from, to), Key::Bytes(of, start, end)) => {
                file == of && from < end && start < to
            }
            _ => one == other,
        })
    })
}

proptest! {
    #[test]
    fn what_is_there_has_all_that_it_is_built_on(
        keys in prop::collection::vec(key(), 0..25),
        seed in any::<u64>(),
        profile in prop::sample::select(&PROFILES[..]),
    ) {
        let operations: Vec<_> = keys.into_iter().map(|key| vec![key]).collect();
        let mut log = log(&operations);
        let cut = log.cut(profile, seed);
        let gone = gone(&cut);
        prop_assert!(log.is_empty());
        prop_assert_eq!(gone.len() + cut.kept.len(), operations.len());
        prop_assert_eq!(cut.undone, gone.len() as u64);
        prop_assert!(gone.windows(2).all(|two| two[0] > two[1]), "the last goes first");
        for kept in &cut.kept {
            for gone in &gone {
                let built_on = gone < kept && share(&operations[*gone], &operations[*kept]);
                prop_assert!(!built_on, "{profile:?}: {gone} is gone, and {kept} is there");
            }
        }
        let some = !operations.is_empty();
        match profile {
            CutProfile::KeepAll => prop_assert!(gone.is_empty()),
            CutProfile::Drop => prop_assert!(cut.kept.is_empty()),
            CutProfile::Prefix | CutProfile::Omit1 | CutProfile::Omit2 => {
                prop_assert_eq!(!gone.is_empty(), some);
            }
            CutProfile::Keep1 | CutProfile::Keep2 => {
                prop_assert_eq!(!cut.kept.is_empty(), some);
            }
            _ => {}
        }
    }

    #[test]
    fn the_same_seed_cuts_the_same(
        keys in prop::collection::vec(key(), 0..25),
        seed in any::<u64>(),
    ) {
        let operations: Vec<_> = keys.into_iter().map(|key| vec![key]).collect();
        let gone = || gone(&log(&operations).cut(CutProfile::Subset, seed));
        prop_assert_eq!(gone(), gone());
    }
}

#[test]
fn a_file_is_durable_without_its_name_and_a_name_without_its_file() {
    let create = vec![name(1, "a")];
    let write = vec![Key::Bytes(10, 0, 5), Key::Size(10)];
    let mut synced_file = log(&[create.clone(), write.clone()]);
    assert_eq!(synced_file.sync_file(10, by_others(synced_file.now())), [1]);
    assert_eq!(gone(&synced_file.cut(CutProfile::Drop, 0)), [0]);
    let mut synced_name = log(&[create, write]);
    assert_eq!(synced_name.sync_directory(1, by_others(synced_name.now())), [0]);
    assert_eq!(gone(&synced_name.cut(CutProfile::Drop, 0)), [1]);
}

#[test]
fn a_rename_is_one_step_and_takes_what_it_is_built_on_along() {
    let operations = [vec![name(1, "tmp")], vec![name(1, "tmp"), name(2, "a")], vec![name(3, "x")]];
    let mut log = log(&operations);
    assert_eq!(
        log.sync_directory(2, by_others(log.now())),
        [0, 1],
        "it was made before it was renamed"
    );
    assert_eq!(log.pending(), 1);
}

#[test]
fn what_a_sync_has_not_seen_or_has_given_up_stays_pending() {
    let write = vec![Key::Bytes(10, 0, 5)];
    let mut log = log(std::slice::from_ref(&write));
    let began = log.now();
    log.add(write, true, 1);
    assert_eq!(log.sync_file(10, by_others(began)), [0]);
    assert_eq!((log.len(), log.pending()), (1, 0), "our own is not counted");
    log.give_up(10, |about, undo| vec![(about, undo)]);
    assert_eq!(log.sync_file(10, by_others(log.now())), [] as [usize; 0]);
    assert_eq!(gone(&log.cut(CutProfile::Drop, 0)), [1]);
}

/// A scenario that was cut once is cut again in the same way, in later versions too.
#[test]
fn the_same_seed_cuts_the_same_as_ever() {
    let write = |file, from, to| vec![Key::Bytes(file, from, to)];
    let append = |file, from, to| vec![Key::Bytes(file, from, to), Key::Size(file)];
    let operations = [
        vec![name(1, "tmp")],
        append(10, 0, 9),
        vec![name(1, "b")],
        append(11, 0, 4),
        write(10, 4, 6),
        vec![name(1, "tmp"), name(1, "a")],
        vec![name(2, "c")],
        append(11, 4, 8),
        vec![name(2, "c")],
        write(10, 0, 2),
    ];
    let expected: [&[usize]; 10] = [
        &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
        &[],
        &[9, 8],
        &[7],
        &[8, 7],
        &[9, 8, 6, 5, 4, 2, 1, 0],
        &[9, 5, 4, 2, 1, 0],
        &[9, 8, 7, 6, 5, 4, 2, 0],
        &[9, 7, 4, 3, 1],
        &[8, 6, 5, 2, 0],
    ];
    for (profile, expected) in PROFILES.into_iter().zip(expected) {
        assert_eq!(gone(&log(&operations).cut(profile, 2026)), expected, "{profile:?}");
    }
}
