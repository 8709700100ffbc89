//! Bits that have turned over on a disk: which, is a matter of the place alone, so that whoever reads
//! it again reads the same. Pure.

use super::decide::{Hash, PARTS, parts};
use crate::{block::CHUNK, units::Percent};

/// Rotten chunks among those that a request reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rot {
    hash: Hash,
    /// How many of the whole's parts are rotten.
    parts: u64,
}

impl Rot {
    /// Of so many bytes from there; none where none of them is rotten.
    pub(super) fn of(share: Percent, (offset, length): (u64, u64), hash: Hash) -> Option<Self> {
        let rot = Self { hash: hash.and(b"rot"), parts: parts(share) };
        let chunks = offset / CHUNK as u64..offset.saturating_add(length).div_ceil(CHUNK as u64);
        chunks.into_iter().any(|chunk| rot.of_chunk(chunk).is_some()).then_some(rot)
    }

    /// The bit of a chunk that has turned over; none in one that is sound.
    fn of_chunk(&self, chunk: u64) -> Option<u64> {
        let hash = self.hash.and(&chunk.to_le_bytes());
        let rotten = hash.below(PARTS) < self.parts;
        rotten.then(|| hash.and(b"bit").below(CHUNK as u64 * 8))
    }

    /// Turns over what is rotten of bytes that were read from there.
    pub fn apply(&self, offset: u64, data: &mut [u8]) {
        let end = offset.saturating_add(data.len() as u64);
        for chunk in offset / CHUNK as u64..end.div_ceil(CHUNK as u64) {
            let Some(bit) = self.of_chunk(chunk) else { continue };
            let at = (chunk * CHUNK as u64 + bit / 8).checked_sub(offset);
            let byte = at.and_then(|at| data.get_mut(usize::try_from(at).ok()?));
            if let Some(byte) = byte {
                *byte ^= 1 << (bit % 8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: fn() -> Hash = || Hash::of(7);

    fn read(share: f64, offset: u64, length: usize) -> Vec<u8> {
        let mut data = vec![0; length];
        let span = (offset, length as u64);
        Rot::of(Percent(share), span, HASH())
            .into_iter()
            .for_each(|rot| rot.apply(offset, &mut data));
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
        assert_eq!(Rot::of(Percent(0.0), (0, 1 << 20), HASH()), None);
    }
}
