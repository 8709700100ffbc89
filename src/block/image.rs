//! The bytes of a disk: a tree over reference-counted chunks.
//!
//! A clone shares every chunk, so that a snapshot costs one pointer. What was never written, or was
//! discarded, reads as zeros and occupies nothing.

use std::{borrow::Cow, ops::Range, sync::Arc};

use sha2::{Digest as _, Sha256};

use super::{
    chunk::{CHUNK, Chunk, Print},
    tree::Tree,
};

/// The content of a disk.
#[derive(Debug, Clone)]
pub struct Image {
    size: u64,
    chunks: Tree<Chunk>,
    /// Chunks that are there.
    there: u64,
}

/// A piece of one chunk, and where it lies in the caller's bytes.
struct Piece {
    chunk: u64,
    within: Range<usize>,
    at: Range<usize>,
}

impl Image {
    /// Zeros.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { size, chunks: Tree::new(size.div_ceil(CHUNK as u64)), there: 0 }
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Chunks that are there; those shared with other images are counted in each.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.there
    }

    /// Every chunk that is not all zeros: where it begins, and its bytes up to the image's end.
    pub fn data(&self) -> impl Iterator<Item = (u64, Cow<'_, [u8]>)> {
        let there = self.chunks.iter().map(|(number, chunk)| (number, chunk.bytes()));
        let there = there.filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0));
        there.map(|(number, bytes)| {
            let offset = number * CHUNK as u64;
            let end = index(self.size - offset).min(CHUNK);
            (
                offset,
                match bytes {
                    Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[..end]),
                    Cow::Owned(bytes) => Cow::Owned(bytes[..end].to_vec()),
                },
            )
        })
    }

    /// Whether every chunk of a range is there.
    #[must_use]
    pub fn holds(&self, offset: u64, length: u64) -> bool {
        self.pieces(offset, length).all(|piece| self.chunks.get(piece.chunk).is_some())
    }

    /// SHA-256 of what is there: of the number and of the SHA-256 of every chunk that is not all
    /// zeros, in order. Two images of the same content have the same, however they came by it.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(self.size.to_le_bytes());
        let zeros: Print = Sha256::digest([0; CHUNK]).into();
        let there = self.chunks.iter().map(|(number, chunk)| (number, chunk.print()));
        for (number, print) in there.filter(|(_, print)| **print != zeros) {
            digest.update(number.to_le_bytes());
            digest.update(print);
        }
        digest.finalize().into()
    }

    /// Reads; beyond the end there is nothing, and the buffer is left as it was.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) {
        for piece in self.pieces(offset, buffer.len() as u64) {
            let into = &mut buffer[piece.at];
            match self.chunks.get(piece.chunk) {
                Some(chunk) => into.copy_from_slice(&chunk.bytes()[piece.within]),
                None => into.fill(0),
            }
        }
    }

    /// Writes; what reaches beyond the end is left out.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        for piece in self.pieces(offset, bytes.len() as u64) {
            let mut chunk = self.bytes(piece.chunk);
            chunk[piece.within].copy_from_slice(&bytes[piece.at]);
            self.set(piece.chunk, Some(Arc::new(Chunk::of(&chunk))));
        }
    }

    /// Shares a chunk; where none begins, or the image ends in it, its bytes are written.
    pub(super) fn put(&mut self, offset: u64, chunk: &Arc<Chunk>) {
        let fits = offset.checked_add(CHUNK as u64).is_some_and(|end| end <= self.size);
        if fits && offset.is_multiple_of(CHUNK as u64) {
            self.set(offset / CHUNK as u64, Some(Arc::clone(chunk)));
        } else {
            self.write(offset, chunk.bytes().as_ref());
        }
    }

    /// Makes zeros of bytes; whole chunks are given back. What is not there takes no time.
    pub fn zero(&mut self, offset: u64, length: u64) {
        let end = offset.saturating_add(length).min(self.size);
        let (first, last) = (offset.div_ceil(CHUNK as u64), end / CHUNK as u64);
        if first >= last {
            return self.zero_parts(offset, length);
        }
        self.there -= self.chunks.clear(&(first..last));
        let (from, to) = (first * CHUNK as u64, last * CHUNK as u64);
        self.zero_parts(offset, from - offset);
        self.zero_parts(to, end - to);
    }

    /// Likewise, of chunks that stay.
    fn zero_parts(&mut self, offset: u64, length: u64) {
        for piece in self.pieces(offset, length) {
            if self.chunks.get(piece.chunk).is_none() {
                continue;
            }
            let mut chunk = self.bytes(piece.chunk);
            chunk[piece.within].fill(0);
            self.set(piece.chunk, Some(Arc::new(Chunk::of(&chunk))));
        }
    }

    fn bytes(&self, number: u64) -> [u8; CHUNK] {
        self.chunks.get(number).map_or([0; CHUNK], |chunk| chunk.bytes().into_owned())
    }

    fn set(&mut self, number: u64, chunk: Option<Arc<Chunk>>) {
        let is = u64::from(chunk.is_some());
        let was = std::mem::replace(self.chunks.slot(number), chunk);
        self.there = self.there + is - u64::from(was.is_some());
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
            let chunk = at / CHUNK as u64;
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
    fn what_is_not_there_is_discarded_in_no_time() {
        let mut image = Image::new(128 << 30);
        let there = [0, 5 << 30, (128 << 30) - 4096];
        for at in there {
            image.write(at, &[7; 4096]);
        }
        // one by one these are hours
        for _ in 0..2000 {
            image.zero(4095, (128 << 30) - 4096);
        }
        assert_eq!(image.chunks(), 2);
        let mut bytes = [1; 4096];
        image.read(0, &mut bytes);
        assert_eq!((bytes[4094], bytes[4095]), (7, 0));
        image.zero(0, u64::MAX);
        assert_eq!((image.chunks(), image.data().count()), (0, 0));
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
