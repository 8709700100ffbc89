//! Random writes, failed syncs and good ones, and the bytes that a cut leaves of them.

use proptest::prelude::*;

use super::{
    About, Act, Cut, Key, Log,
    tests::{PROFILES, by_others},
};
use crate::protocol::{CutProfile, Durability};

const FILE: u64 = 10;
const LENGTH: usize = 24;

#[derive(Debug, Clone)]
enum Step {
    /// Over what is there, from one place up to another.
    Write(usize, usize),
    Fails,
    Syncs,
}

fn step() -> impl Strategy<Value = Step> {
    let write = (0..LENGTH, 1..9_usize);
    prop_oneof![
        4 => write.prop_map(|(from, length)| Step::Write(from, LENGTH.min(from + length))),
        1 => Just(Step::Fails),
        1 => Just(Step::Syncs),
    ]
}

/// What was in these places before.
type Undo = (usize, Vec<usize>);

/// A file whose bytes are the numbers of the writes that they are from, and what is known of these.
struct Written {
    log: Log<Undo>,
    bytes: [usize; LENGTH],
    /// What a write is about, and whether it was given up or is durable.
    writes: Vec<(usize, usize, bool, bool)>,
}

fn done(steps: &[Step]) -> Written {
    let (log, bytes) = (Log::new(Durability::PosixStrict), [0; LENGTH]);
    let mut it = Written { log, bytes, writes: Vec::new() };
    for step in steps {
        match step {
            Step::Write(from, to) => {
                let undo = (*from, it.bytes[*from..*to].to_vec());
                it.log.add(vec![Key::Bytes(FILE, *from as u64, *to as u64)], false, undo);
                it.writes.push((*from, *to, false, false));
                it.bytes[*from..*to].fill(it.writes.len());
            }
            Step::Fails => {
                it.log.give_up(FILE, |about, undo| vec![(about, undo)]);
                it.writes.iter_mut().for_each(|(.., lost, durable)| *lost |= !*durable);
            }
            Step::Syncs => {
                let _ = it.log.sync_file(FILE, by_others(it.log.now()));
                it.writes.iter_mut().for_each(|(.., lost, durable)| *durable |= !*lost);
            }
        }
    }
    it
}

impl Written {
    fn undo(&mut self, cut: Cut<Undo>) {
        for gone in cut.gone {
            let (at, old) = gone.undo;
            for (place, old) in (at..).zip(old) {
                let is_in = |(from, to): &(u64, u64)| (*from..*to).contains(&(place as u64));
                if gone.within.as_ref().is_none_or(|within| within.iter().any(is_in)) {
                    self.bytes[place] = old;
                }
            }
        }
    }

    /// The last of these writes at every place.
    fn last_of(&self, is: impl Fn(bool, bool) -> bool) -> [usize; LENGTH] {
        let mut bytes = [0; LENGTH];
        for (at, (from, to, lost, durable)) in self.writes.iter().enumerate() {
            if is(*lost, *durable) {
                bytes[*from..*to].fill(at + 1);
            }
        }
        bytes
    }
}

proptest! {
    #[test]
    fn what_was_given_up_is_never_there_and_what_is_durable_always_is(
        steps in prop::collection::vec(step(), 0..30),
        seed in any::<u64>(),
        profile in prop::sample::select(&PROFILES[..]),
    ) {
        let mut it = done(&steps);
        let open = it.writes.iter().filter(|(.., durable)| !durable).count() as u64;
        prop_assert!(it.log.pending() <= open, "each is counted once");
        let cut = it.log.cut(profile, seed);
        it.undo(cut);
        let durable = it.last_of(|_, durable| durable);
        for (byte, durable) in it.bytes.iter().zip(durable) {
            let lost = *byte > 0 && it.writes[byte - 1].2;
            prop_assert!(!lost, "{byte} was given up, and is there");
            prop_assert!(*byte >= durable, "{byte} is there, and {durable} was synced");
        }
        let all = match profile {
            CutProfile::Drop => Some(durable),
            CutProfile::KeepAll => Some(it.last_of(|lost, _| !lost)),
            _ => None,
        };
        prop_assert!(all.is_none_or(|all| all == it.bytes), "{:?}", it.bytes);
    }
}

/// One write behind the end whose size and bytes are told apart when it is given up.
fn grown() -> Log<&'static str> {
    let mut log = Log::new(Durability::Xfs);
    let keys = vec![Key::Bytes(FILE, 0, 4), Key::Size(FILE)];
    log.add(About { act: Act::Grows, ..keys.into() }, false, "whole");
    log.give_up(FILE, |about, _| {
        let (size, bytes) = (vec![about.keys[1].clone()], vec![about.keys[0].clone()]);
        vec![(size.into(), "size"), (bytes.into(), "bytes")]
    });
    log
}

#[test]
fn an_operation_of_which_the_bytes_are_given_up_is_still_one() {
    let mut log = grown();
    assert_eq!((log.len(), log.pending(), log.now()), (1, 1, 1));
    let cut = log.cut(CutProfile::Drop, 0);
    let gone: Vec<_> = cut.gone.iter().map(|gone| gone.undo).collect();
    assert_eq!((gone, cut.undone), (vec!["bytes", "size"], 1), "last first");
    assert_eq!(grown().cut(CutProfile::KeepAll, 0).undone, 1, "its bytes are");
    let mut synced = grown();
    assert_eq!(synced.sync_file(FILE, by_others(synced.now())), ["size"]);
    assert_eq!((synced.len(), synced.pending()), (1, 1));
}

#[test]
fn that_a_file_was_cut_short_is_not_given_up_and_leaves_nothing_to_undo_behind_it() {
    let cut_short = || {
        let keys = vec![Key::Bytes(FILE, 1, u64::MAX), Key::Size(FILE)];
        About { act: Act::Shrinks, ..keys.into() }
    };
    let mut log = grown();
    log.add(cut_short(), false, "short");
    log.give_up(FILE, |about, undo| vec![(about, undo)]);
    assert_eq!(log.sync_file(FILE, by_others(log.now())), ["size", "short"]);
    let cut = log.cut(CutProfile::Drop, 0);
    assert_eq!(cut.gone.len(), 1);
    assert_eq!(cut.gone[0].within, Some(vec![(0, 1)]));
}
