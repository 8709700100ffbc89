//! The bytes of a write: whole chunks, which an image shares, or any others.

use std::{ops::Range, sync::Arc};

use super::{
    chunk::{CHUNK, Chunk, Shelf},
    image::Image,
};

/// What it takes to remember a chunk, beside its bytes.
const BESIDE: u64 = 128;

#[derive(Debug, Clone)]
pub(super) enum Data {
    /// Of no whole chunks, or not where one begins.
    Bytes(Arc<[u8]>),
    Chunks(Arc<[Arc<Chunk>]>),
}

/// One sector of it.
pub(super) enum Part<'a> {
    Bytes(&'a [u8]),
    Chunk(&'a Arc<Chunk>),
}

impl Part<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Chunk(_) => CHUNK,
        }
    }

    pub(super) fn apply(&self, offset: u64, image: &mut Image) {
        match self {
            Self::Bytes(bytes) => image.write(offset, bytes),
            Self::Chunk(chunk) => image.put(offset, chunk),
        }
    }
}

impl Data {
    /// To be written there.
    pub(super) fn new(offset: u64, bytes: &[u8]) -> Self {
        match bytes.as_chunks() {
            (chunks, []) if offset.is_multiple_of(CHUNK as u64) => {
                Self::Chunks(chunks.iter().map(|bytes| Arc::new(Chunk::of(bytes))).collect())
            }
            _ => Self::Bytes(bytes.into()),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Chunks(chunks) => chunks.len() * CHUNK,
        }
    }

    /// Its sectors, and how far from its beginning each begins.
    pub(super) fn parts(&self) -> impl Iterator<Item = (u64, Part<'_>)> {
        let (bytes, chunks) = match self {
            Self::Bytes(bytes) => (&**bytes, &[][..]),
            Self::Chunks(chunks) => (&[][..], &**chunks),
        };
        let parts = bytes.chunks(CHUNK).map(Part::Bytes).chain(chunks.iter().map(Part::Chunk));
        (0_u64..).map(|nth| nth * CHUNK as u64).zip(parts)
    }

    /// Does all of it.
    pub(super) fn apply(&self, offset: u64, image: &mut Image) {
        match self {
            Self::Bytes(bytes) => image.write(offset, bytes),
            Self::Chunks(_) => self.parts().for_each(|(at, part)| part.apply(offset + at, image)),
        }
    }

    /// All of its bytes.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.to_vec(),
            Self::Chunks(chunks) => chunks.iter().flat_map(|it| it.bytes().into_owned()).collect(),
        }
    }

    /// Some of them; none where it has not got them.
    pub(super) fn range(&self, range: Range<usize>) -> Vec<u8> {
        self.to_vec().get(range).unwrap_or_default().to_vec()
    }

    /// Bytes of memory that are free when nobody else has it.
    pub(super) fn takes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Chunks(chunks) => {
                let here = chunks.iter().filter(|chunk| chunk.is_here()).count() * CHUNK;
                here as u64 + chunks.len() as u64 * BESIDE
            }
        }
    }

    /// It is in memory, and need not be.
    pub(super) fn can_be_put_away(&self) -> bool {
        match self {
            Self::Bytes(_) => false,
            Self::Chunks(chunks) => chunks.iter().any(|chunk| chunk.is_here()),
        }
    }

    /// The same, put away; none where there is no room, or nothing can be.
    pub(super) fn put_away(&self, shelf: &Arc<dyn Shelf>) -> Option<Self> {
        match self {
            Self::Chunks(chunks) if self.can_be_put_away() => {
                let away = chunks.iter().map(|chunk| chunk.put_away(shelf).map(Arc::new));
                away.collect::<Option<Arc<[_]>>>().map(Self::Chunks)
            }
            _ => None,
        }
    }
}
