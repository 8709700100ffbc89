//! The bytes of a disk: a page table of two levels over reference-counted chunks.
//!
//! A clone shares every chunk, so that a snapshot costs one pointer per 2 MiB. What was never
//! written, or was discarded, reads as zeros and occupies nothing.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

use sha2::{Digest as _, Sha256};

/// Bytes of a chunk: also the disk's sector, which is written whole or not at all.
pub const CHUNK: usize = 4096;
/// Chunks of a leaf.
const FAN: usize = 512;

/// SHA-256.
type Print = [u8; 32];
type Leaf = Vec<Option<Arc<Chunk>>>;

/// Some bytes, and what they are told by: shared by every image that has them, and made once.
#[derive(Debug)]
struct Chunk {
    bytes: [u8; CHUNK],
    print: OnceLock<Print>,
}

impl Chunk {
    fn zeros() -> Arc<Self> {
        Arc::new(Self { bytes: [0; CHUNK], print: OnceLock::new() })
    }

    fn print(&self) -> &Print {
        self.print.get_or_init(|| Sha256::digest(self.bytes).into())
    }
}

impl Clone for Chunk {
    /// A clone is made to be written to.
    fn clone(&self) -> Self {
        Self { bytes: self.bytes, print: OnceLock::new() }
    }
}

/// The content of a disk.
#[derive(Debug, Clone)]
pub struct Image {
    size: u64,
    top: Vec<Option<Arc<Leaf>>>,
}

/// A piece of one chunk, and where it lies in the caller's bytes.
struct Piece {
    chunk: usize,
    within: Range<usize>,
    at: Range<usize>,
}

impl Image {
    /// Zeros.
    #[must_use]
    pub fn new(size: u64) -> Self {
        let leaves = size.div_ceil((CHUNK * FAN) as u64);
        Self { size, top: vec![None; usize::try_from(leaves).unwrap_or_default()] }
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Chunks that are there; those shared with other images are counted in each.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        let leaves = self.top.iter().flatten();
        leaves.map(|leaf| leaf.iter().flatten().count() as u64).sum()
    }

    /// Every chunk that is not all zeros: where it begins, and its bytes up to the image's end.
    pub fn data(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let leaves = (0_u64..).zip(&self.top);
        let leaves = leaves.filter_map(|(number, leaf)| Some((number, leaf.as_ref()?)));
        let chunks = leaves.flat_map(|(number, leaf)| {
            let numbers = number * FAN as u64..;
            numbers.zip(leaf.iter()).filter_map(|(at, chunk)| Some((at, chunk.as_ref()?)))
        });
        let there = chunks.filter(|(_, chunk)| chunk.bytes.iter().any(|byte| *byte != 0));
        there.map(|(number, chunk)| {
            let offset = number * CHUNK as u64;
            (offset, &chunk.bytes[..index(self.size - offset).min(CHUNK)])
        })
    }

    /// Whether every chunk of a range is there.
    #[must_use]
    pub fn holds(&self, offset: u64, length: u64) -> bool {
        self.pieces(offset, length).all(|piece| self.chunk(piece.chunk).is_some())
    }

    /// SHA-256 of what is there: of the number and of the SHA-256 of every chunk that is not all
    /// zeros, in order. Two images of the same content have the same, however they came by it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(self.size.to_le_bytes());
        let zeros: Print = Sha256::digest([0; CHUNK]).into();
        for (number, leaf) in (0_u64..).zip(&self.top) {
            let chunks = leaf.iter().flat_map(|leaf| (0_u64..).zip(leaf.iter()));
            let there = chunks.filter_map(|(at, chunk)| Some((at, chunk.as_ref()?.print())));
            for (at, print) in there.filter(|(_, print)| **print != zeros) {
                digest.update((number * FAN as u64 + at).to_le_bytes());
                digest.update(print);
            }
        }
        digest.finalize().into()
    }

    /// Reads; beyond the end there is nothing, and the buffer is left as it was.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) {
        for piece in self.pieces(offset, buffer.len() as u64) {
            let into = &mut buffer[piece.at];
            match self.chunk(piece.chunk) {
                Some(chunk) => into.copy_from_slice(&chunk.bytes[piece.within]),
                None => into.fill(0),
            }
        }
    }

    /// Writes; what reaches beyond the end is left out.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        for piece in self.pieces(offset, bytes.len() as u64) {
            let slot = self.slot(piece.chunk);
            let chunk = Arc::make_mut(slot.get_or_insert_with(Chunk::zeros));
            chunk.print = OnceLock::new();
            chunk.bytes[piece.within].copy_from_slice(&bytes[piece.at]);
        }
    }

    /// Makes zeros of bytes; whole chunks are given back.
    pub fn zero(&mut self, offset: u64, length: u64) {
        for piece in self.pieces(offset, length) {
            if self.chunk(piece.chunk).is_none() {
                continue;
            }
            let slot = self.slot(piece.chunk);
            if piece.within.len() == CHUNK {
                *slot = None;
            } else if let Some(chunk) = slot {
                let chunk = Arc::make_mut(chunk);
                chunk.print = OnceLock::new();
                chunk.bytes[piece.within].fill(0);
            }
        }
    }

    fn chunk(&self, number: usize) -> Option<&Chunk> {
        self.top.get(number / FAN)?.as_ref()?[number % FAN].as_deref()
    }

    fn slot(&mut self, number: usize) -> &mut Option<Arc<Chunk>> {
        let leaf = self.top[number / FAN].get_or_insert_with(|| Arc::new(vec![None; FAN]));
        &mut Arc::make_mut(leaf)[number % FAN]
    }

    fn pieces(&self, offset: u64, length: u64) -> impl Iterator<Item = Piece> + use<> {
        let end = offset.saturating_add(length).min(self.size);
        let mut at = offset.min(end);
        std::iter::from_fn(move || {
            let next = (at / CHUNK as u64 + 1).saturating_mul(CHUNK as u64).min(end);
            let here = index(at % CHUNK as u64);
            let (from, taken) = (index(at - offset.min(at)), index(next - at.min(next)));
            if at >= end {
                return None;
            }
            let chunk = index(at / CHUNK as u64);
            at = next;
            Some(Piece { chunk, within: here..here + taken, at: from..from + taken })
        })
    }
}

/// An offset in memory: an image that is in memory has no larger ones.
fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_clone_keeps_what_it_was_and_a_discard_gives_back() {
        let mut image = Image::new(64 << 20);
        image.write(4000, &[7; 200]);
        assert_eq!(image.chunks(), 2);
        assert!(image.holds(0, 8192) && !image.holds(0, 8193) && !image.holds(1 << 20, 1));
        let before = image.clone();
        image.write(4096, &[9; 4096]);
        image.zero(0, 4096);
        assert_eq!((image.chunks(), before.chunks()), (1, 2));
        let mut bytes = [1; 200];
        before.read(4000, &mut bytes);
        assert_eq!(bytes, [7; 200]);
        image.read(4000, &mut bytes);
        assert_eq!((bytes[0], bytes[95], bytes[96], bytes[199]), (0, 0, 9, 9));
    }

    #[test]
    fn nothing_is_beyond_the_end() {
        let mut image = Image::new(4096 * 3 + 512);
        image.write(4096 * 3, &[5; 4096]);
        image.write(u64::MAX - 1, &[5; 2]);
        image.zero(4096 * 3 + 500, u64::MAX);
        let mut bytes = [1; 1024];
        image.read(4096 * 3, &mut bytes);
        assert_eq!((bytes[499], bytes[500], bytes[511], bytes[512]), (5, 0, 0, 1));
    }

    #[test]
    fn the_digest_is_of_the_content_and_of_nothing_else() {
        let (mut one, mut other) = (Image::new(64 << 20), Image::new(64 << 20));
        one.write(0, &[1; 8192]);
        other.write(4096, &[1; 4096]);
        assert_ne!(one.digest(), other.digest());
        other.write(0, &[7; 4096]);
        let before = other.digest();
        other.write(0, &[1; 4096]);
        other.write(8192, &[0; 4096]);
        assert!(one.digest() == other.digest() && before != other.digest());
        one.zero(0, 5);
        assert_ne!(one.digest(), other.digest());
        assert_ne!(Image::new(4096).digest(), Image::new(8192).digest());
    }

    proptest! {
        #[test]
        fn it_is_an_array_of_bytes(
            acts in prop::collection::vec((any::<bool>(), 0..40_000_u64, 0..9_000_usize, any::<u8>()), 1..20),
        ) {
            let (mut image, mut plain) = (Image::new(40_000), vec![0; 40_000]);
            for (write, offset, length, byte) in acts {
                let at = usize::try_from(offset).unwrap();
                let end = (at + length).min(plain.len());
                if write {
                    image.write(offset, &vec![byte; length]);
                    plain[at..end].fill(byte);
                } else {
                    image.zero(offset, length as u64);
                    plain[at..end].fill(0);
                }
                let mut found = vec![0; 40_000];
                image.read(0, &mut found);
                prop_assert_eq!(&found, &plain);
            }
        }
    }
}
