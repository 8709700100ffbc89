//! From a profile and a seed to what survives of each write. Pure: a decision is a hash of the seed
//! and of which write it is about.

use serde::{Deserialize, Serialize};

use super::{Profile, image::CHUNK};

/// A write that may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Where it is.
    pub offset: u64,
    /// Bytes of data; none where it makes zeros of a range, which happens whole or not at all.
    pub data: Option<usize>,
    /// Its place among those that were completed; none while it is on its way.
    pub completed: Option<u64>,
}

/// What survives of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Nothing.
    Nothing,
    /// All of it.
    Whole,
    /// These of its sectors.
    Sectors(Vec<bool>),
}

impl Kept {
    pub(super) fn if_so(kept: bool) -> Self {
        if kept { Self::Whole } else { Self::Nothing }
    }

    /// Nothing of it is lost.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Whole => true,
            Self::Sectors(sectors) => sectors.iter().all(|kept| *kept),
        }
    }

    /// The same, said in one way only: sectors that are all there, or all gone, are the write.
    pub(super) fn plain(self) -> Self {
        match self {
            Self::Sectors(sectors) if sectors.iter().all(|kept| *kept) => Self::Whole,
            Self::Sectors(sectors) if !sectors.contains(&true) => Self::Nothing,
            other => other,
        }
    }
}

/// What survives of each, in the order given, which is that of their submission.
#[must_use]
pub fn choose(profile: Profile, seed: u64, writes: &[Candidate]) -> Vec<Kept> {
    let dice = Dice(seed);
    let picked = |count: usize, kept: bool| {
        let few = smallest(writes, count, &dice);
        (0..writes.len()).map(|at| Kept::if_so(few.contains(&at) == kept)).collect()
    };
    match profile {
        Profile::Drop => vec![Kept::Nothing; writes.len()],
        Profile::KeepAll => vec![Kept::Whole; writes.len()],
        Profile::Keep1 => picked(1, true),
        Profile::Keep2 => picked(2, true),
        Profile::Omit1 => picked(1, false),
        Profile::Omit2 => picked(2, false),
        Profile::Prefix => prefix(writes, &dice),
        Profile::Subset => {
            let toss = |(at, write): (usize, &Candidate)| Kept::if_so(dice.coin(at, write, 0));
            writes.iter().enumerate().map(toss).collect()
        }
        Profile::Torn => {
            let tear = |(at, write): (usize, &Candidate)| torn(at, write, &dice);
            writes.iter().enumerate().map(tear).collect()
        }
    }
}

/// The first so many in the order of completion; those on their way come last.
fn prefix(writes: &[Candidate], dice: &Dice) -> Vec<Kept> {
    let most = writes.len() as u64 + 1;
    let kept = usize::try_from(dice.roll(&[writes.len() as u64]) % most).unwrap_or_default();
    ranks(writes).into_iter().map(|rank| Kept::if_so(rank < kept)).collect()
}

/// The place of each in the order of completion; those on their way come last.
pub(super) fn ranks(writes: &[Candidate]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..writes.len()).collect();
    order.sort_by_key(|at| (writes[*at].completed.unwrap_or(u64::MAX), *at));
    let mut ranks = vec![0; writes.len()];
    for (rank, at) in order.into_iter().enumerate() {
        ranks[at] = rank;
    }
    ranks
}

fn torn(at: usize, write: &Candidate, dice: &Dice) -> Kept {
    match write.data {
        None => Kept::if_so(dice.coin(at, write, 0)),
        Some(length) => {
            let sectors = length.div_ceil(CHUNK) as u64;
            Kept::Sectors((0..sectors).map(|sector| dice.coin(at, write, sector)).collect())
        }
    }
}

/// Those with the smallest hashes.
fn smallest(writes: &[Candidate], count: usize, dice: &Dice) -> Vec<usize> {
    let mut order: Vec<usize> = (0..writes.len()).collect();
    order.sort_by_key(|at| dice.roll(&[*at as u64, writes[*at].offset]));
    order.truncate(count);
    order
}

/// Hashes of a seed and of circumstances.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// FNV-1a over the words, mixed once more after splitmix64: neighbours must not look alike.
    pub(super) fn roll(&self, words: &[u64]) -> u64 {
        let bytes = [self.0].into_iter().chain(words.iter().copied()).flat_map(u64::to_le_bytes);
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }

    fn coin(&self, at: usize, write: &Candidate, sector: u64) -> bool {
        self.roll(&[at as u64, write.offset, sector]) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(count: u64) -> Vec<Candidate> {
        let one = |at| Candidate { offset: at << 12, data: Some(8192), completed: Some(100 - at) };
        (0..count).map(one).collect()
    }

    fn kept(profile: Profile, seed: u64, count: u64) -> Vec<bool> {
        let chosen = choose(profile, seed, &writes(count));
        chosen.iter().map(|kept| *kept == Kept::Whole).collect()
    }

    #[test]
    fn counts_are_kept_and_every_member_has_its_turn() {
        let cases = [
            (Profile::Drop, 0..=0),
            (Profile::KeepAll, 7..=7),
            (Profile::Keep1, 1..=1),
            (Profile::Keep2, 2..=2),
            (Profile::Omit1, 6..=6),
            (Profile::Omit2, 5..=5),
            (Profile::Prefix, 0..=7),
            (Profile::Subset, 0..=7),
        ];
        for (profile, range) in cases {
            let mut ever = [false; 7];
            let mut never = [false; 7];
            for seed in 0..200 {
                let kept = kept(profile, seed, 7);
                assert!(range.contains(&kept.iter().filter(|kept| **kept).count()), "{profile:?}");
                for at in 0..7 {
                    ever[at] |= kept[at];
                    never[at] |= !kept[at];
                }
            }
            assert!(profile == Profile::Drop || ever == [true; 7], "{profile:?}");
            assert!(profile == Profile::KeepAll || never == [true; 7], "{profile:?}");
        }
    }

    #[test]
    fn a_prefix_goes_by_completion() {
        for seed in 0..50 {
            let kept = kept(Profile::Prefix, seed, 9);
            // the last submitted was the first completed
            assert!(kept.windows(2).all(|pair| pair[0] <= pair[1]), "{kept:?}");
        }
        let on_its_way = Candidate { offset: 0, data: None, completed: None };
        let both = [on_its_way, Candidate { completed: Some(9), ..on_its_way }];
        let states: Vec<_> = (0..50).map(|seed| choose(Profile::Prefix, seed, &both)).collect();
        assert!(!states.contains(&vec![Kept::Whole, Kept::Nothing]));
        assert!(states.contains(&vec![Kept::Nothing, Kept::Whole]));
    }

    #[test]
    fn what_is_torn_is_torn_at_sectors_and_the_same_seed_tears_the_same() {
        let all: Vec<_> = (0..50).map(|seed| choose(Profile::Torn, seed, &writes(3))).collect();
        let half = |kept: &Kept| matches!(kept, Kept::Sectors(it) if *it == [true, false]);
        assert!(all.iter().flatten().any(half));
        assert!(all.iter().flatten().all(|it| matches!(it, Kept::Sectors(it) if it.len() == 2)));
        assert_eq!(all[7], choose(Profile::Torn, 7, &writes(3)));
    }

    #[test]
    fn fewer_than_asked_for_are_all_there_are() {
        assert_eq!(kept(Profile::Keep2, 1, 1), [true]);
        assert_eq!(kept(Profile::Omit2, 1, 1), [false]);
        assert!(kept(Profile::Prefix, 1, 0).is_empty());
    }
}
