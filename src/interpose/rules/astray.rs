//! Writes that land at another place of a disk: where, is a matter of the place alone, so that whoever
//! writes there again hits the same one. Pure.

use super::{
    cover::{Cover, Span},
    decide::Hash,
};
use crate::{block::CHUNK, protocol::TrialChunk, units::Size};

/// Where writes land that go astray.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Astray {
    hash: Hash,
    /// Chunks on either side of a place that are not too far away from it.
    reach: u64,
    /// What lies elsewhere lands where it should.
    cover: Cover,
    /// It is a trial's, which must not land on another trial.
    trial: bool,
}

impl Astray {
    /// Up to so far away.
    pub(super) fn of(distance: Size, cover: Cover, trial: bool, seed: u64) -> Self {
        let (hash, reach) = (Hash::of(seed).and(b"astray"), distance.0 / CHUNK as u64);
        Self { hash, reach, cover, trial }
    }

    /// The parts of a write, each with the place where it lands, on a disk that ends there. The last
    /// ones may land on those before.
    #[must_use]
    pub fn landing(&self, span: Span, end: u64) -> Vec<(Span, u64)> {
        let right = self.cover.outside(span).into_iter().map(|part| (part, part.0));
        let wrong = self.cover.inside(span).map(|part| (part, self.place(part, end)));
        right.chain(wrong).collect()
    }

    /// Another place for these bytes, of which none is theirs: whole chunks away. Their own where the
    /// disk has no other that is large enough.
    fn place(&self, (offset, length): Span, end: u64) -> u64 {
        let chunk = CHUNK as u64;
        if self.trial {
            return offset.saturating_sub(TrialChunk::ASTRAY);
        }
        let step = length.next_multiple_of(chunk);
        let places = |room: Option<u64>| room.map_or(0, |room| (room / chunk + 1).min(self.reach));
        let before = places(offset.checked_sub(step));
        let behind = places(end.checked_sub(offset + step + length));
        let nth = self.hash.and(&(offset / chunk).to_le_bytes()).below(before + behind);
        match (before + behind, nth.checked_sub(before)) {
            (0, _) => offset,
            (_, None) => offset - step - nth * chunk,
            (_, Some(nth)) => offset + step + nth * chunk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ByteRange;

    const C: u64 = CHUNK as u64;

    fn astray(distance: u64, ranges: &[(u64, u64)], seed: u64) -> Astray {
        let range = |(from, to): &(u64, u64)| ByteRange { from: Size(*from), to: Size(*to) };
        let cover = Cover::new(&ranges.iter().map(range).collect::<Vec<_>>());
        Astray::of(Size(distance), cover, false, seed)
    }

    #[test]
    fn the_same_place_leads_to_the_same_other_one_and_another_seed_elsewhere() {
        let land = |seed| astray(64 * C, &[], seed).landing((100 * C, C), 1000 * C);
        let places: std::collections::BTreeSet<u64> = (0..50).map(|seed| land(seed)[0].1).collect();
        assert!(places.len() > 20, "{places:?}");
        assert_eq!(land(7), land(7));
    }

    #[test]
    fn what_lies_beside_the_range_lands_where_it_should() {
        let astray = astray(C, &[(2 * C, 3 * C)], 7);
        let parts = astray.landing((0, 8 * C), 100 * C);
        assert_eq!(parts[..2], [((0, 2 * C), 0), ((3 * C, 5 * C), 3 * C)]);
        let ((from, length), place) = parts[2];
        assert_eq!((from, length), (2 * C, C));
        assert!([C, 3 * C].contains(&place), "{place}");
    }

    #[test]
    fn a_trial_lands_on_no_other() {
        let trial = Astray::of(Size(64 * C), Cover::default(), true, 7);
        assert_eq!(trial.landing((9 * C, C), C), [((9 * C, C), 9 * C - TrialChunk::ASTRAY)]);
    }

    #[test]
    fn a_disk_without_another_place_keeps_it_where_it_is() {
        assert_eq!(astray(C, &[], 7).landing((C, 3 * C), 5 * C), [((C, 3 * C), C)]);
    }

    proptest::proptest! {
        #[test]
        fn it_lands_beside_its_place_on_the_disk_and_not_too_far_away(
            distance in 1_u64..40,
            offset in 0_u64..400_000,
            length in 1_u64..50_000,
            seed in proptest::prelude::any::<u64>(),
        ) {
            let end = 500_000;
            let parts = astray(distance * C, &[], seed).landing((offset, length), end);
            let [((from, bytes), place)] = parts[..] else { panic!("{parts:?}") };
            proptest::prop_assert_eq!((from, bytes), (offset, length));
            proptest::prop_assert!(place + length <= offset || offset + length <= place);
            proptest::prop_assert!(place + length <= end && place.abs_diff(offset).is_multiple_of(C));
            let between = place.abs_diff(offset) - length.next_multiple_of(C);
            proptest::prop_assert!(between < distance * C);
        }
    }
}
