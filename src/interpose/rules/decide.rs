//! From a count to a decision. Pure.

use crate::{protocol::Trigger, units::Percent};

/// FNV-1a over what a decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash(u64);

impl Hash {
    pub(super) fn of(seed: u64) -> Self {
        Self(0xcbf2_9ce4_8422_2325).and(&seed.to_le_bytes())
    }

    #[must_use]
    pub(super) fn and(self, bytes: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Self(bytes.iter().fold(self.0, step))
    }

    /// The bits mixed once more, after splitmix64: neighbouring counts must not look alike.
    pub(super) fn bits(self) -> u64 {
        let z = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub(super) fn below(self, limit: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(limit);
        u64::try_from(product >> 64).unwrap_or_default()
    }
}

/// How far a path has come, for one rule and operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Operations, this one included.
    pub(super) n: u64,
    /// Bytes before this one.
    pub(super) bytes: u64,
}

/// Whether the n-th matching operation is hit.
pub(super) fn fires(when: &Trigger, count: Count, hash: Hash) -> bool {
    let Count { n, bytes } = count;
    let counted = n - when.after.unwrap_or_default().min(n);
    let late = counted > 0 && when.after_bytes.is_none_or(|after| bytes >= after.0);
    late && when.nth.is_none_or(|nth| counted == nth)
        && when.every.is_none_or(|every| counted.is_multiple_of(every))
        && when.probability.is_none_or(|share| chosen(share, hash))
}

/// Parts of a whole that a percentage is rounded to: a millionth of a percent.
pub(super) const PARTS: u64 = 100_000_000;

/// So many of them.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
pub(super) fn parts(Percent(share): Percent) -> u64 {
    (share * (PARTS / 100) as f64).round() as u64
}

fn chosen(share: Percent, hash: Hash) -> bool {
    hash.below(PARTS) < parts(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Size;

    fn hits(when: &Trigger, of: u64) -> Vec<u64> {
        let hash = |n: u64| Hash::of(7).and(&n.to_le_bytes());
        let count = |n| Count { n, bytes: (n - 1) * 100 };
        (1..=of).filter(|n| fires(when, count(*n), hash(*n))).collect()
    }

    #[test]
    fn triggers_count_what_matched_and_combine() {
        assert_eq!(hits(&Trigger::default(), 3), [1, 2, 3]);
        assert_eq!(hits(&Trigger { nth: Some(2), ..Trigger::default() }, 5), [2]);
        assert_eq!(hits(&Trigger { every: Some(2), ..Trigger::default() }, 5), [2, 4]);
        assert_eq!(hits(&Trigger { after: Some(3), ..Trigger::default() }, 5), [4, 5]);
        let both = Trigger { after: Some(3), every: Some(2), ..Trigger::default() };
        assert_eq!(hits(&both, 8), [5, 7]);
        let bytes = Trigger { after_bytes: Some(Size(250)), ..Trigger::default() };
        assert_eq!(hits(&bytes, 5), [4, 5]);
    }

    #[test]
    fn a_probability_hits_about_that_share_and_the_same_ones_again() {
        let when = |share| Trigger { probability: Some(Percent(share)), ..Trigger::default() };
        let some = hits(&when(10.0), 20_000);
        assert!((1_800..2_200).contains(&some.len()), "{}", some.len());
        assert_eq!(some, hits(&when(10.0), 20_000));
        assert!(hits(&when(0.0), 1000).is_empty());
        assert_eq!(hits(&when(100.0), 1000).len(), 1000);
    }
}
