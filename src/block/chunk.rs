//! Some bytes of a disk, and what they are told by: in memory, or put away.

use std::{
    borrow::Cow,
    fmt::Debug,
    sync::{Arc, OnceLock},
};

use sha2::{Digest as _, Sha256};

/// Bytes of a chunk: also the disk's sector, which is written whole or not at all.
pub const CHUNK: usize = 4096;

/// SHA-256.
pub(super) type Print = [u8; 32];

/// A place for bytes that are seldom looked at.
pub trait Shelf: Send + Sync + Debug {
    /// Puts them there, and says where; none where there is no room.
    fn put(&self, bytes: &[u8; CHUNK]) -> Option<u64>;

    /// Gets them. What cannot be read is zeros, and whoever keeps the shelf knows of it.
    fn get(&self, at: u64, bytes: &mut [u8; CHUNK]);

    /// Nobody looks at them any more.
    fn give_back(&self, at: u64);
}

/// Bytes on a shelf, for as long as this is there.
#[derive(Debug)]
struct Away {
    shelf: Arc<dyn Shelf>,
    at: u64,
}

impl Drop for Away {
    fn drop(&mut self) {
        self.shelf.give_back(self.at);
    }
}

#[derive(Debug)]
enum Content {
    // boxed: what is away is to be small
    Here(Box<[u8; CHUNK]>),
    Away(Away),
}

/// Shared by every image that has it, and by the log; its print is made once.
#[derive(Debug)]
pub(super) struct Chunk {
    content: Content,
    print: OnceLock<Print>,
}

impl Chunk {
    /// These bytes.
    pub(super) fn of(bytes: &[u8; CHUNK]) -> Self {
        Self { content: Content::Here(Box::new(*bytes)), print: OnceLock::new() }
    }

    /// It takes memory.
    pub(super) fn is_here(&self) -> bool {
        matches!(self.content, Content::Here(_))
    }

    pub(super) fn bytes(&self) -> Cow<'_, [u8; CHUNK]> {
        match &self.content {
            Content::Here(bytes) => Cow::Borrowed(bytes),
            Content::Away(away) => {
                let mut bytes = [0; CHUNK];
                away.shelf.get(away.at, &mut bytes);
                Cow::Owned(bytes)
            }
        }
    }

    pub(super) fn print(&self) -> &Print {
        self.print.get_or_init(|| Sha256::digest(self.bytes().as_ref()).into())
    }

    /// The same, put away; none where there is no room.
    pub(super) fn put_away(&self, shelf: &Arc<dyn Shelf>) -> Option<Self> {
        let at = shelf.put(self.bytes().as_ref())?;
        let away = Away { shelf: Arc::clone(shelf), at };
        Some(Self { content: Content::Away(away), print: self.print.clone() })
    }
}
