//! What rules do to the bytes that an operation moves: where it is cut off, which of them are made
//! wrong. Pure; decided by the hash of the operation, like all else.

use super::decide::Hash;
use crate::{
    protocol::{Damage, Keep},
    units::{Percent, Size},
};

/// How many of so many bytes are moved; none where it cannot be cut off there.
pub(super) fn kept(keep: Keep, of: u64, hash: Hash) -> Option<u64> {
    let most = of.checked_sub(1).filter(|most| *most > 0)?;
    match keep {
        Keep::Seeded => Some(1 + hash.and(b"keep").below(most)),
        Keep::Bytes(Size(bytes)) => (1..=most).contains(&bytes).then_some(bytes),
        Keep::Share(share) => Some(part(share, of).clamp(1, most)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a part of what one operation moves"
)]
fn part(Percent(share): Percent, of: u64) -> u64 {
    (of as f64 * share / 100.0) as u64
}

/// Bytes that are made wrong, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Harm {
    damage: Damage,
    at: u64,
    bytes: u64,
    hash: Hash,
}

impl Harm {
    /// What is done to so many bytes; none where there are none.
    pub(super) fn of(damage: Damage, bytes: u32, of: u64, hash: Hash) -> Option<Self> {
        let bytes = u64::from(bytes).min(of);
        let at = hash.and(b"at").below((of - bytes).saturating_add(1));
        (bytes > 0).then_some(Self { damage, at, bytes, hash })
    }

    /// Does it to what was moved in the end, which may be less than was asked for.
    pub fn apply(&self, data: &mut [u8]) {
        let length = data.len() as u64;
        let bytes = self.bytes.min(length);
        let at = self.at.min(length - bytes);
        for offset in 0..bytes {
            let Ok(index) = usize::try_from(at + offset) else { return };
            let mut chance = self.hash.and(&offset.to_le_bytes());
            data[index] = match self.damage {
                Damage::Zero => 0,
                Damage::BitFlip => data[index] ^ 1 << chance.below(8),
                // every byte but the one that it was
                Damage::Garbage => {
                    chance = chance.and(b"garbage");
                    let by = u8::try_from(1 + chance.below(255)).unwrap_or(u8::MAX);
                    data[index] ^ by
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keep() -> impl Strategy<Value = Keep> {
        prop_oneof![
            Just(Keep::Seeded),
            (0_u64..5000).prop_map(|bytes| Keep::Bytes(Size(bytes))),
            (0.0..=100.0_f64).prop_map(|share| Keep::Share(Percent(share))),
        ]
    }

    fn damage() -> impl Strategy<Value = Damage> {
        prop::sample::select(&[Damage::BitFlip, Damage::Garbage, Damage::Zero][..])
    }

    proptest! {
        #[test]
        fn what_is_cut_off_is_neither_all_nor_nothing(
            keep in keep(),
            of in 0_u64..5000,
            seed in any::<u64>(),
        ) {
            let found = kept(keep, of, Hash::of(seed));
            prop_assert_eq!(found, kept(keep, of, Hash::of(seed)), "the same seed");
            match keep {
                Keep::Bytes(Size(bytes)) => {
                    prop_assert_eq!(found, (bytes > 0 && bytes < of).then_some(bytes));
                }
                _ => prop_assert_eq!(found.is_some(), of > 1),
            }
            prop_assert!(found.is_none_or(|bytes| bytes > 0 && bytes < of));
        }

        #[test]
        fn so_many_bytes_are_made_wrong_and_no_other(
            damage in damage(),
            bytes in 1_u32..200,
            mut data in prop::collection::vec(1_u8.., 0..300),
            asked in 1_u64..400,
            seed in any::<u64>(),
        ) {
            let before = data.clone();
            let harm = Harm::of(damage, bytes, asked, Hash::of(seed)).unwrap();
            harm.apply(&mut data);
            let changed: Vec<usize> = (0..data.len()).filter(|at| data[*at] != before[*at]).collect();
            let expected = u64::from(bytes).min(asked).min(data.len() as u64);
            prop_assert_eq!(changed.len() as u64, expected);
            prop_assert!(changed.windows(2).all(|two| two[1] == two[0] + 1), "one after the other");
            for at in changed {
                let turned = (data[at] ^ before[at]).count_ones();
                prop_assert!(damage != Damage::Zero || data[at] == 0);
                prop_assert!(damage != Damage::BitFlip || turned == 1);
            }
        }
    }

    #[test]
    fn nothing_is_done_to_nothing() {
        assert_eq!(Harm::of(Damage::Zero, 4, 0, Hash::of(1)), None);
        assert_eq!(Harm::of(Damage::Zero, 0, 4, Hash::of(1)), None);
    }

    #[test]
    fn another_seed_cuts_and_harms_elsewhere() {
        let cuts: std::collections::BTreeSet<_> =
            (0..50).map(|seed| kept(Keep::Seeded, 4096, Hash::of(seed))).collect();
        let harms: std::collections::BTreeSet<_> = (0..50)
            .filter_map(|s| Harm::of(Damage::Zero, 1, 4096, Hash::of(s)))
            .map(|h| h.at)
            .collect();
        assert!(cuts.len() > 40 && harms.len() > 40, "{} {}", cuts.len(), harms.len());
    }
}
