//! From a profile and a seed to what survives of each write. Pure: a decision is a hash of the seed
//! and of which write it is about.

use serde::{Deserialize, Serialize};

use super::{
    Profile,
    chunk::CHUNK,
    kept::{Fill, Kept, LARGEST_BLOCK, SMALLEST_BLOCK},
};

/// Bytes at which a write is cut within a sector: the sector of older disks.
const UNIT: usize = 512;

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
        Profile::Shorn => each(writes, |at, write| shorn(at, write, &dice)),
        Profile::Zeroed => each(writes, |_, write| filled(write, Fill::Zeros)),
        Profile::Garbage => each(writes, |at, write| {
            filled(write, Fill::Garbage(dice.roll(&[at as u64, write.offset])))
        }),
        Profile::Unserializable => but_one(writes, &dice, &Kept::Overtakes(dice.roll(&[0]))),
        Profile::EraseBlock => {
            let sizes = u64::from(LARGEST_BLOCK.ilog2() - SMALLEST_BLOCK.ilog2()) + 1;
            let block = SMALLEST_BLOCK << (dice.roll(&[0]) % sizes);
            but_one(writes, &dice, &Kept::Erased { block, flush: dice.roll(&[1]) })
        }
    }
}

/// As a profile leaves them when not all of them are harmed: each write, or of one that is filled each
/// sector, by the toss of a coin.
pub(super) fn in_part(profile: Profile, seed: u64, writes: &[Candidate]) -> Vec<Kept> {
    let dice = Dice(!seed);
    let part = |(at, kept): (usize, Kept)| match kept {
        Kept::Filled(sectors, fill) => {
            let toss = |sector| dice.coin(at, &writes[at], sector);
            Kept::Filled((0..sectors.len() as u64).map(toss).collect(), fill)
        }
        _ if dice.coin(at, &writes[at], 0) => Kept::Whole,
        harmed => harmed,
    };
    choose(profile, seed, writes).into_iter().enumerate().map(part).collect()
}

fn each(writes: &[Candidate], kept: impl Fn(usize, &Candidate) -> Kept) -> Vec<Kept> {
    writes.iter().enumerate().map(|(at, write)| kept(at, write)).collect()
}

/// All of them, and one with this.
fn but_one(writes: &[Candidate], dice: &Dice, with: &Kept) -> Vec<Kept> {
    let one = smallest(writes, 1, dice);
    let kept = |at, _: &Candidate| if one.contains(&at) { with.clone() } else { Kept::Whole };
    each(writes, kept)
}

/// Nothing of it, and something else where it was to go.
fn filled(write: &Candidate, fill: Fill) -> Kept {
    let sectors = write.data.map(|length| vec![false; length.div_ceil(CHUNK)]);
    sectors.map_or(Kept::Nothing, |sectors| Kept::Filled(sectors, fill))
}

/// Its beginning or its end, cut within a sector; of what is no longer than the unit, all or nothing.
fn shorn(at: usize, write: &Candidate, dice: &Dice) -> Kept {
    let units = write.data.unwrap_or_default() / UNIT;
    if units < 2 {
        return Kept::if_so(dice.coin(at, write, 0));
    }
    let roll = |nth| dice.roll(&[at as u64, write.offset, nth]);
    let within = |roll: u64, most: usize| usize::try_from(roll % most as u64).unwrap_or_default();
    let sector = within(roll(1), units.div_ceil(CHUNK / UNIT));
    let unit = sector * (CHUNK / UNIT) + 1 + within(roll(2), CHUNK / UNIT - 1);
    let cut = unit.min(units - 1) * UNIT;
    if roll(3) & 1 == 1 { Kept::Bytes(0, cut) } else { Kept::Bytes(cut, units * UNIT) }
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
    fn what_is_harmed_in_part_is_whole_elsewhere() {
        for profile in [Profile::Shorn, Profile::Zeroed, Profile::Garbage] {
            let some: Vec<_> = (0..50).map(|seed| in_part(profile, seed, &writes(3))).collect();
            let all = || some.iter().flatten();
            assert!(all().any(Kept::is_whole) && all().any(Kept::is_beyond), "{profile:?}");
            assert!(all().all(|kept| kept.fits(Some(8192))), "{profile:?}");
            assert_eq!(some[7], in_part(profile, 7, &writes(3)));
        }
        let filled = |kept: &Kept| matches!(kept, Kept::Filled(it, _) if *it == [true, false]);
        assert!(
            (0..50)
                .flat_map(|seed| in_part(Profile::Zeroed, seed, &writes(3)))
                .any(|it| filled(&it))
        );
    }

    #[test]
    fn fewer_than_asked_for_are_all_there_are() {
        assert_eq!(kept(Profile::Keep2, 1, 1), [true]);
        assert_eq!(kept(Profile::Omit2, 1, 1), [false]);
        assert!(kept(Profile::Prefix, 1, 0).is_empty());
    }
}
