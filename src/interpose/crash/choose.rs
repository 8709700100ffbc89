//! Which operations a cut takes. Decided by hashes of the seed and the operation's place.

use std::collections::HashSet;

use super::log::{Keys, Log, Pending};
use crate::protocol::CutProfile;

/// An operation that a cut takes.
#[derive(Debug)]
pub struct Gone<U> {
    number: u64,
    own: bool,
    /// What undoes it.
    pub undo: U,
    /// Where it is to be undone, from offsets up to others, where not all of it is.
    pub within: Option<Vec<(u64, u64)>>,
}

impl<U> Gone<U> {
    fn new(of: Pending<U>, within: Option<Vec<(u64, u64)>>) -> Self {
        Self { number: of.number, own: of.own, undo: of.undo, within }
    }
}

/// What a cut takes and what it leaves.
#[derive(Debug)]
pub struct Cut<U> {
    /// To be undone, in this order.
    pub gone: Vec<Gone<U>>,
    /// Durable from now on.
    pub kept: Vec<U>,
    /// How many of those that are gone were not our own.
    pub undone: u64,
}

impl<U> Log<U> {
    /// Cuts: nothing is pending afterwards. What was given up is undone whatever the profile, where
    /// nothing that is kept stands in its place.
    pub fn cut(&mut self, profile: CutProfile, seed: u64) -> Cut<U> {
        let places = self.places(profile, seed);
        let (mut gone, mut kept) = (Vec::new(), Vec::new());
        for (at, entry) in std::mem::take(&mut self.entries).into_iter().enumerate() {
            if places.contains(&at) {
                gone.push(Gone::new(entry, None));
            } else {
                kept.push(entry);
            }
        }
        let replaced = self.replace(&kept);
        let lost = std::mem::take(&mut self.lost).into_iter();
        gone.extend(lost.map(|lost| Gone::new(lost.of, Some(lost.left))));
        // those of one number are a size and its bytes, which go first
        gone.sort_by_key(|gone| (gone.number, gone.within.is_some()));
        gone.reverse();
        let others = gone.iter().filter(|gone| !gone.own).map(|gone| gone.number);
        let undone = others.collect::<HashSet<_>>().len() as u64;
        let kept = kept.into_iter().map(|entry| entry.undo).chain(replaced).collect();
        Cut { gone, kept, undone }
    }

    /// The places of those that are gone, with all that is built on them.
    fn places(&self, profile: CutProfile, seed: u64) -> HashSet<usize> {
        let count = self.entries.len();
        let all = 0..count;
        let drawn = |most| draw(seed, count, most);
        match profile {
            CutProfile::Drop => all.collect(),
            // those that only a disk leaves are refused before
            CutProfile::KeepAll
            | CutProfile::Torn
            | CutProfile::Shorn
            | CutProfile::Zeroed
            | CutProfile::Garbage
            | CutProfile::Unserializable
            | CutProfile::EraseBlock => HashSet::new(),
            CutProfile::Prefix => {
                let kept = usize::try_from(hash(seed, 0) % (count.max(1) as u64));
                (kept.unwrap_or_default()..count).collect()
            }
            CutProfile::Omit1 => self.and_later(&drawn(1)),
            CutProfile::Omit2 => self.and_later(&drawn(2)),
            CutProfile::Keep1 => &all.collect() - &self.and_earlier(&drawn(1)),
            CutProfile::Keep2 => &all.collect() - &self.and_earlier(&drawn(2)),
            CutProfile::Subset => {
                let first = all.filter(|at| hash(seed, *at as u64).is_multiple_of(2)).collect();
                self.and_later(&first)
            }
            CutProfile::MetadataFirst => &all.collect() - &self.and_earlier(&self.of_no_bytes()),
            CutProfile::DataFirst => self.of_names(),
        }
    }

    fn of_names(&self) -> HashSet<usize> {
        self.that(Pending::is_of_names)
    }

    fn of_no_bytes(&self) -> HashSet<usize> {
        self.that(|entry| entry.is_of_names() || entry.is_of_size_alone())
    }

    fn that(&self, is: impl Fn(&Pending<U>) -> bool) -> HashSet<usize> {
        let entries = self.entries.iter().enumerate();
        entries.filter(|(_, entry)| is(entry)).map(|(at, _)| at).collect()
    }

    /// These and what is not there without one of them.
    fn and_later(&self, first: &HashSet<usize>) -> HashSet<usize> {
        let needs = self.needs();
        let mut keys = Keys::default();
        let mut closed = HashSet::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let needed = || needs[at].is_some_and(|need| closed.contains(&need));
            if first.contains(&at) || keys.share(entry.keys()) || needed() {
                closed.insert(at);
                keys.add(entry.keys());
            }
        }
        closed
    }

    /// These and what they are not there without.
    fn and_earlier(&self, last: &HashSet<usize>) -> HashSet<usize> {
        let needs = self.needs();
        let mut keys = Keys::default();
        let mut closed = last.clone();
        for (at, entry) in self.entries.iter().enumerate().rev() {
            if closed.contains(&at) || keys.share(entry.keys()) {
                closed.insert(at);
                closed.extend(needs[at]);
                keys.add(entry.keys());
            }
        }
        closed
    }
}

/// So many places out of `count`.
fn draw(seed: u64, count: usize, most: usize) -> HashSet<usize> {
    let mut ranked: Vec<usize> = (0..count).collect();
    ranked.sort_by_key(|at| hash(seed, *at as u64));
    ranked.into_iter().take(most).collect()
}

/// splitmix64 of both.
fn hash(seed: u64, place: u64) -> u64 {
    let z = seed ^ place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
