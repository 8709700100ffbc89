//! Bits that have turned over on a disk: which, is a matter of the place alone, so that whoever reads
//! it again reads the same. Pure.

use super::{
    cover::{Cover, Span},
    decide::{Hash, PARTS, parts},
};
use crate::{block::CHUNK, units::Percent};

/// Rotten chunks among those that a request reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rot {
    hash: Hash,
    /// How many of the whole's parts are rotten.
    parts: u64,
    /// Elsewhere nothing is.
    cover: Cover,
}

impl Rot {
    /// Of these bytes; none where none of them is rotten.
    pub(super) fn of(share: Percent, cover: Cover, span: Span, hash: Hash) -> Option<Self> {
        let rot = Self { hash: hash.and(b"rot"), parts: parts(share), cover };
        let rotten = rot.bits(span).next().is_some();
        rotten.then_some(rot)
    }

    /// The bit of a chunk that has turned over; none in one that is sound.
    fn of_chunk(&self, chunk: u64) -> Option<u64> {
        let hash = self.hash.and(&chunk.to_le_bytes());
        let rotten = hash.below(PARTS) < self.parts;
        rotten.then(|| hash.and(b"bit").below(CHUNK as u64 * 8))
    }

    /// Bytes among these that have a wrong bit, and which of the eight it is.
    fn bits(&self, span: Span) -> impl Iterator<Item = (u64, u64)> {
        self.cover.inside(span).flat_map(move |(offset, length)| {
            let end = offset.saturating_add(length);
            let chunks = offset / CHUNK as u64..end.div_ceil(CHUNK as u64);
            chunks.filter_map(move |chunk| {
                let bit = self.of_chunk(chunk)?;
                let byte = chunk * CHUNK as u64 + bit / 8;
                (offset..end).contains(&byte).then_some((byte, bit % 8))
            })
        })
    }

    /// Turns over what is rotten of bytes that were read from there.
    pub fn apply(&self, offset: u64, data: &mut [u8]) {
        for (byte, bit) in self.bits((offset, data.len() as u64)) {
            let at = usize::try_from(byte - offset).ok();
            if let Some(byte) = at.and_then(|at| data.get_mut(at)) {
                *byte ^= 1 << bit;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{protocol::ByteRange, units::Size};

    const HASH: fn() -> Hash = || Hash::of(7);

    fn read(share: f64, offset: u64, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        let span = (offset, length as u64);
        let rot = Rot::of(Percent(share), Cover::default(), span, HASH());
        rot.into_iter().for_each(|rot| rot.apply(offset, &mut data));
        data
    }

    fn bits(data: &[u8]) -> u32 {
        data.iter().map(|byte| byte.count_ones()).sum()
    }

    #[test]
    fn one_bit_of_each_rotten_chunk_is_wrong_and_the_same_one_again() {
        let whole = read(100.0, 0, 64 * CHUNK);
        assert!(whole.chunks(CHUNK).all(|chunk| bits(chunk) == 1));
        assert_eq!(read(100.0, 5 * CHUNK as u64, CHUNK), whole[5 * CHUNK..6 * CHUNK]);
        assert_eq!(
            read(100.0, 5 * CHUNK as u64 + 512, CHUNK),
            whole[5 * CHUNK + 512..6 * CHUNK + 512]
        );
    }

    #[test]
    fn about_that_share_is_rotten() {
        let some = bits(&read(10.0, 0, 4000 * CHUNK));
        assert!((300..500).contains(&some), "{some}");
        assert_eq!(bits(&read(0.0, 0, 4000 * CHUNK)), 0);
        assert_eq!(Rot::of(Percent(0.0), Cover::default(), (0, 1 << 20), HASH()), None);
    }

    #[test]
    fn a_request_that_reaches_further_than_the_range_rots_in_the_range_alone() {
        let chunk = CHUNK as u64;
        let range = ByteRange { from: Size(2 * chunk), to: Size(4 * chunk) };
        let rot = |span| Rot::of(Percent(100.0), Cover::new(&[range]), span, HASH());
        let mut data = vec![0; 8 * CHUNK];
        rot((0, 8 * chunk)).unwrap().apply(0, &mut data);
        let rotten: Vec<_> = data.chunks(CHUNK).map(bits).collect();
        assert_eq!(rotten, [0, 0, 1, 1, 0, 0, 0, 0]);
        assert_eq!(rot((4 * chunk, chunk)), None);
    }
}
