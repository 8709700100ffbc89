//! Each filesystem's promises against random operations and syncs, and the cases that everybody knows.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    About, Act, Key, Log, Sync,
    tests::{PROFILES, by_others},
};
use crate::protocol::{CutProfile, Durability};

const REAL: [Durability; 3] = [Durability::Ext4, Durability::Xfs, Durability::Btrfs];
const ALL: [Durability; 4] =
    [Durability::PosixStrict, Durability::Ext4, Durability::Xfs, Durability::Btrfs];
const DIR: u64 = 1;

fn names(names: &[(u64, &str)]) -> Vec<Key> {
    names.iter().map(|(dir, name)| Key::Name(*dir, (*name).into())).collect()
}

fn create(dir: u64, name: &str, file: u64) -> About {
    About { keys: names(&[(dir, name)]), files: vec![file], act: Act::Makes }
}

fn rename(from: &str, to: &str, file: u64) -> About {
    About { keys: names(&[(DIR, from), (DIR, to)]), files: vec![file], act: Act::Other }
}

/// A write that makes the file longer.
fn append(file: u64, from: u64, to: u64) -> About {
    let keys = vec![Key::Bytes(file, from, to), Key::Size(file)];
    About { keys, act: Act::Grows, ..About::default() }
}

fn overwrite(file: u64, from: u64, to: u64) -> About {
    vec![Key::Bytes(file, from, to)].into()
}

fn is_name(about: &About) -> bool {
    about.keys.iter().any(|key| matches!(key, Key::Name(..)))
}

fn is_data(about: &About, file: u64) -> bool {
    about.keys.iter().any(|key| matches!(key, Key::Size(of) | Key::Bytes(of, ..) if *of == file))
}

fn grows(about: &About) -> bool {
    about.keys.iter().any(|key| matches!(key, Key::Size(_)))
}

/// Something that is done.
#[derive(Debug, Clone)]
enum Step {
    Do(About),
    SyncFile(u64),
    SyncDirectory(u64),
}

fn name() -> impl Strategy<Value = (u64, &'static str)> {
    (1..3_u64, prop::sample::select(&["a", "b", "c"][..]))
}

fn step() -> impl Strategy<Value = Step> {
    let file = 10..13_u64;
    let made = (name(), file.clone(), any::<bool>());
    let moved = (name(), name(), file.clone());
    let written = (file.clone(), 0..50_u64, 1..20_u64, any::<bool>());
    prop_oneof![
        3 => made.prop_map(|((dir, name), file, makes)| {
            let act = if makes { Act::Makes } else { Act::Other };
            Step::Do(About { act, ..create(dir, name, file) })
        }),
        3 => moved.prop_map(|(from, to, file)| {
            Step::Do(About { keys: names(&[from, to]), files: vec![file], act: Act::Other })
        }),
        4 => written.prop_map(|(file, from, length, grows)| {
            let to = from + length;
            Step::Do(if grows { append(file, from, to) } else { overwrite(file, from, to) })
        }),
        1 => file.prop_map(Step::SyncFile),
        1 => (1..3_u64).prop_map(Step::SyncDirectory),
    ]
}

/// Everything that was done, in order; what of it is there after the cut, and what syncs alone have
/// kept.
struct After {
    done: Vec<About>,
    there: BTreeSet<usize>,
    durable: BTreeSet<usize>,
    /// Each sync, with how much had been done by then.
    syncs: Vec<(u64, usize)>,
}

fn cut(durability: Durability, steps: &[Step], profile: CutProfile, seed: u64) -> After {
    let (mut log, mut done) = (Log::new(durability), Vec::new());
    let (mut durable, mut syncs) = (BTreeSet::new(), Vec::new());
    for step in steps {
        match step {
            Step::Do(about) => {
                log.add(about.clone(), false, done.len());
                done.push(about.clone());
            }
            Step::SyncFile(file) => {
                syncs.push((*file, done.len()));
                durable.extend(log.sync_file(*file, by_others(log.now())));
            }
            Step::SyncDirectory(dir) => {
                syncs.push((*dir, done.len()));
                durable.extend(log.sync_directory(*dir, by_others(log.now())));
            }
        }
    }
    let mut there = durable.clone();
    there.extend(log.cut(profile, seed).kept);
    After { done, there, durable, syncs }
}

impl After {
    fn names(&self) -> impl Iterator<Item = usize> {
        (0..self.done.len()).filter(|at| is_name(&self.done[*at]))
    }

    /// The last change of a file, or of a directory's names, that a journal has.
    fn last_change(&self, of: u64, before: usize) -> Option<usize> {
        (0..before).rfind(|at| {
            let about = &self.done[*at];
            let in_it = |key: &Key| matches!(key, Key::Name(dir, _) if *dir == of);
            about.files.contains(&of)
                || about.keys.iter().any(in_it)
                || is_data(about, of) && grows(about)
        })
    }

    /// Nothing of a kind is there that comes after one that is gone.
    fn is_prefix(&self, places: impl Iterator<Item = usize>) -> bool {
        let mut gone = false;
        places.into_iter().all(|at| {
            gone |= !self.there.contains(&at);
            !gone || !self.there.contains(&at)
        })
    }
}

proptest! {
    #[test]
    fn every_promise_is_kept(
        steps in prop::collection::vec(step(), 0..30),
        seed in any::<u64>(),
        profile in prop::sample::select(&PROFILES[..]),
        durability in prop::sample::select(&ALL[..]),
    ) {
        let after = cut(durability, &steps, profile, seed);
        for (of, before) in &after.syncs {
            let mut data = (0..*before).filter(|at| is_data(&after.done[*at], *of));
            prop_assert!(data.all(|at| after.there.contains(&at)), "bytes of {of}");
        }
        let one_log = matches!(durability, Durability::Ext4 | Durability::Xfs);
        for (of, before) in after.syncs.iter().filter(|_| one_log) {
            let until = after.last_change(*of, *before).map_or(0, |last| last + 1);
            let mut earlier = after.names().filter(|at| *at < until);
            prop_assert!(earlier.all(|at| after.there.contains(&at)), "names by {of}");
        }
        let by_itself = [Durability::PosixStrict, Durability::Btrfs].contains(&durability);
        for (of, before) in after.syncs.iter().filter(|_| by_itself) {
            let is_wanted = |about: &About| {
                let own = durability == Durability::Btrfs && about.files.contains(of);
                own || about.keys.iter().any(|key| matches!(key, Key::Name(dir, _) if dir == of))
            };
            let mut named = after.names().filter(|at| at < before && is_wanted(&after.done[*at]));
            prop_assert!(named.all(|at| after.there.contains(&at)), "names of {of}");
        }
    }

    #[test]
    fn no_state_breaks_the_order(
        steps in prop::collection::vec(step(), 0..30),
        seed in any::<u64>(),
        profile in prop::sample::select(&PROFILES[..]),
        durability in prop::sample::select(&REAL[..]),
    ) {
        let after = cut(durability, &steps, profile, seed);
        let by_itself = durability == Durability::Btrfs;
        let together = after.names().filter(|at| !by_itself || !after.durable.contains(at));
        prop_assert!(after.is_prefix(together), "names are there that came after one that is gone");
    }

    #[test]
    fn nothing_is_promised_that_no_sync_was_about(
        steps in prop::collection::vec(step(), 0..30),
        durability in prop::sample::select(&ALL[..]),
    ) {
        let after = cut(durability, &steps, CutProfile::Drop, 0);
        prop_assert_eq!(&after.there, &after.durable);
        for at in &after.there {
            let about = &after.done[*at];
            let later = || after.syncs.iter().filter(|(_, before)| at < before);
            let synced = later().any(|(of, _)| is_data(about, *of));
            let justified = match durability {
                _ if !is_name(about) => synced,
                Durability::Ext4 | Durability::Xfs => later()
                    .any(|(of, before)| after.last_change(*of, *before).is_some_and(|it| it >= *at)),
                Durability::PosixStrict => later().any(|(of, _)| *of < 10),
                Durability::Btrfs => later().next().is_some(),
            };
            prop_assert!(justified, "{durability:?}: {at} of {:?}", after.done);
        }
    }
}

/// Of everything that any profile leaves there, by the places of what was done.
fn states(durability: Durability, steps: &[Step]) -> BTreeSet<Vec<usize>> {
    let mut states = BTreeSet::new();
    for profile in PROFILES {
        for seed in 0..200 {
            states.insert(cut(durability, steps, profile, seed).there.into_iter().collect());
        }
    }
    states
}

fn all(states: &[&[usize]]) -> BTreeSet<Vec<usize>> {
    states.iter().map(|state| state.to_vec()).collect()
}

#[test]
fn a_synced_file_that_was_renamed_over_another_is_the_old_one_or_the_new_one() {
    let steps = [
        Step::Do(create(DIR, "tmp", 10)),
        Step::Do(append(10, 0, 5)),
        Step::SyncFile(10),
        Step::Do(rename("tmp", "a", 10)),
    ];
    for durability in REAL {
        assert_eq!(states(durability, &steps), all(&[&[0, 1], &[0, 1, 2]]), "{durability:?}");
    }
    let strict = states(Durability::PosixStrict, &steps);
    assert_eq!(strict, all(&[&[1], &[0, 1], &[0, 1, 2]]), "its first name may be gone");
}

#[test]
fn a_file_that_was_not_synced_before_it_was_renamed_over_another_may_be_empty() {
    let steps = [
        Step::Do(create(DIR, "tmp", 10)),
        Step::Do(append(10, 0, 5)),
        Step::Do(rename("tmp", "a", 10)),
    ];
    for durability in ALL {
        let after = cut(durability, &steps, CutProfile::MetadataFirst, 0);
        assert_eq!(after.there.into_iter().collect::<Vec<_>>(), [0, 2], "{durability:?}");
        assert!(states(durability, &steps).contains(&vec![0, 1, 2]), "{durability:?}");
    }
}

#[test]
fn a_file_that_was_made_and_not_synced_is_gone_or_empty_or_whole() {
    let steps = [Step::Do(create(DIR, "a", 10)), Step::Do(append(10, 0, 5))];
    for durability in ALL {
        assert_eq!(states(durability, &steps), all(&[&[], &[0], &[1], &[0, 1]]), "{durability:?}");
    }
}

#[test]
fn a_sync_of_one_file_brings_the_name_of_another_along_but_not_on_btrfs() {
    let steps = [
        Step::Do(create(DIR, "a", 10)),
        Step::Do(append(10, 0, 5)),
        Step::Do(create(2, "b", 11)),
        Step::Do(append(11, 0, 5)),
        Step::SyncFile(11),
    ];
    let dropped = |durability| {
        let after = cut(durability, &steps, CutProfile::Drop, 0);
        after.there.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(dropped(Durability::Ext4), [0, 2, 3], "the other one is there, and empty");
    assert_eq!(dropped(Durability::Xfs), [0, 2, 3]);
    assert_eq!(dropped(Durability::Btrfs), [2, 3]);
    assert_eq!(dropped(Durability::PosixStrict), [3]);
}

#[test]
fn a_sync_brings_no_name_along_that_was_changed_after_its_own_file() {
    for durability in [Durability::Ext4, Durability::Xfs] {
        let written_over = [
            Step::Do(append(11, 0, 5)),
            Step::SyncFile(11),
            Step::Do(create(DIR, "a", 10)),
            Step::Do(overwrite(11, 0, 5)),
            Step::SyncFile(11),
        ];
        let after = cut(durability, &written_over, CutProfile::Drop, 0);
        assert!(!after.there.contains(&1), "{durability:?}: nothing of it is in the log");
        let mut grown = written_over;
        grown[3] = Step::Do(append(11, 5, 9));
        assert!(cut(durability, &grown, CutProfile::Drop, 0).there.contains(&1));
    }
}

#[test]
fn btrfs_brings_the_new_directories_along_under_their_last_names() {
    let steps = [
        Step::Do(create(DIR, "x", 19)),
        Step::Do(create(DIR, "d", 20)),
        Step::Do(create(20, "e", 21)),
        Step::Do(create(21, "a", 10)),
        Step::Do(rename("d", "dir", 20)),
        Step::Do(append(10, 0, 5)),
        Step::SyncFile(10),
    ];
    let after = cut(Durability::Btrfs, &steps, CutProfile::Drop, 0);
    assert_eq!(after.there.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_sync_of_our_own_makes_nothing_of_others_durable() {
    for durability in ALL {
        let mut log = Log::new(durability);
        log.add(create(DIR, "a", 10), false, 0);
        log.add(create(2, "ours", 11), true, 1);
        log.add(append(11, 0, 5), true, 2);
        let own = Sync { own: true, ..by_others(log.now()) };
        let mut durable = log.sync_file(11, own);
        durable.extend(log.sync_directory(2, own));
        durable.sort_unstable();
        assert_eq!((durable, log.pending()), (vec![1, 2], 1), "{durability:?}");
    }
}

#[test]
fn on_ext4_a_sync_of_the_bytes_alone_knows_of_no_rename() {
    for durability in REAL {
        let durable = |data_alone, written: bool| {
            let mut log = Log::new(durability);
            log.add(rename("tmp", "a", 10), false, 0);
            if written {
                log.add(append(10, 5, 9), false, 1);
            }
            let sync = Sync { data_alone, ..by_others(log.now()) };
            log.sync_file(10, sync).contains(&0)
        };
        assert!(durable(false, false) && durable(true, true), "{durability:?}");
        assert_eq!(durable(true, false), durability != Durability::Ext4);
    }
}

#[test]
fn a_size_is_there_without_its_bytes_where_it_is_an_operation_of_its_own() {
    assert!(Log::<()>::new(Durability::Ext4).parts_sizes());
    assert!(!Log::<()>::new(Durability::Xfs).parts_sizes());
    let size = || Step::Do(vec![Key::Size(10)].into());
    let made = [
        Step::Do(create(DIR, "a", 10)),
        size(),
        Step::Do(overwrite(10, 0, 5)),
        size(),
        Step::Do(overwrite(10, 5, 9)),
    ];
    let found = states(Durability::Ext4, &made);
    let zeros = vec![0, 1, 3];
    for state in [zeros.clone(), vec![0, 1, 3, 4], vec![0, 1, 2], vec![0]] {
        assert!(found.contains(&state), "{state:?}");
    }
    assert!(!found.iter().any(|state| state.contains(&3) && !state.contains(&1)));
    let metadata = cut(Durability::Ext4, &made, CutProfile::MetadataFirst, 0);
    assert_eq!(metadata.there.into_iter().collect::<Vec<_>>(), zeros);
    let mut synced = made.to_vec();
    synced.push(Step::SyncFile(10));
    let after = cut(Durability::Ext4, &synced, CutProfile::Drop, 0);
    assert_eq!(after.there.len(), made.len(), "a sync keeps both");
}
