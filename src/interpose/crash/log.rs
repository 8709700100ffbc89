//! Operations in the order in which they were done, until they are durable.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
};

use super::lost::Lost;
use crate::protocol::Durability;

/// What an operation is about. Of two that share a key the later one is built on the earlier.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// A name in a directory.
    Name(u64, OsString),
    /// The size of a file.
    Size(u64),
    /// Bytes of a file, from one up to another.
    Bytes(u64, u64, u64),
}

/// What an operation does, as far as a filesystem looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Act {
    /// It makes a file or a directory that was not there.
    Makes,
    /// It writes behind the end of a file.
    Grows,
    /// It cuts a file short.
    Shrinks,
    /// Something else.
    #[default]
    Other,
}

/// What an operation is about, and what it does.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The names, the size and the bytes.
    pub keys: Vec<Key>,
    /// The files that gain, lose or change these names; none for bytes.
    pub files: Vec<u64>,
    /// What is done.
    pub act: Act,
}

impl From<Vec<Key>> for About {
    fn from(keys: Vec<Key>) -> Self {
        Self { keys, ..Self::default() }
    }
}

/// A sync that has come to its end.
#[derive(Debug, Clone, Copy)]
pub struct Sync {
    /// What was done when it began has a lower number.
    pub before: u64,
    /// It is one of our own, and makes nothing of others durable: a look must not change what a cut
    /// takes.
    pub own: bool,
    /// It was asked for what is needed to read the bytes again, and for no more (`fdatasync`).
    pub data_alone: bool,
}

/// One operation.
#[derive(Debug)]
pub(super) struct Pending<U> {
    pub(super) number: u64,
    pub(super) about: About,
    pub(super) own: bool,
    pub(super) undo: U,
}

impl<U> Pending<U> {
    pub(super) fn keys(&self) -> &[Key] {
        &self.about.keys
    }

    /// It is about names, and not about data.
    pub(super) fn is_of_names(&self) -> bool {
        self.keys().iter().any(|key| matches!(key, Key::Name(..)))
    }

    /// The file whose bytes or size it changes.
    pub(super) fn file(&self) -> Option<u64> {
        self.keys().iter().find_map(|key| match key {
            Key::Size(of) | Key::Bytes(of, ..) => Some(*of),
            Key::Name(..) => None,
        })
    }

    pub(super) fn is_of_file(&self, file: u64) -> bool {
        self.file() == Some(file)
    }

    /// It is about a size, and about no bytes.
    pub(super) fn is_of_size_alone(&self) -> bool {
        self.keys().iter().all(|key| matches!(key, Key::Size(_)))
    }

    /// It brings bytes to the disk, which may fail: a new size alone, or one that cuts a file short, goes
    /// by the journal.
    fn writes_to(&self, file: u64) -> bool {
        self.is_of_file(file) && !self.is_of_size_alone() && self.about.act != Act::Shrinks
    }

    pub(super) fn resizes(&self) -> bool {
        self.keys().iter().any(|key| matches!(key, Key::Size(_)))
    }

    pub(super) fn is_of_directory(&self, directory: u64) -> bool {
        self.directories().any(|of| of == directory)
    }

    /// Those whose names it changes.
    pub(super) fn directories(&self) -> impl Iterator<Item = u64> {
        self.keys().iter().filter_map(|key| match key {
            Key::Name(of, _) => Some(*of),
            Key::Size(_) | Key::Bytes(..) => None,
        })
    }
}

/// Keys, to ask whether an operation shares one.
#[derive(Default)]
pub(super) struct Keys<'a> {
    plain: HashSet<&'a Key>,
    bytes: HashMap<u64, Vec<(u64, u64)>>,
}

impl<'a> Keys<'a> {
    pub(super) fn add(&mut self, keys: &'a [Key]) {
        for key in keys {
            match key {
                Key::Bytes(file, from, to) => {
                    self.bytes.entry(*file).or_default().push((*from, *to));
                }
                key => drop(self.plain.insert(key)),
            }
        }
    }

    pub(super) fn share(&self, keys: &[Key]) -> bool {
        keys.iter().any(|key| match key {
            Key::Bytes(file, from, to) => self
                .bytes
                .get(file)
                .is_some_and(|all| all.iter().any(|(start, end)| start < to && from < end)),
            key => self.plain.contains(key),
        })
    }
}

/// What is not durable.
#[derive(Debug)]
pub struct Log<U> {
    /// By their numbers.
    pub(super) entries: Vec<Pending<U>>,
    /// What was given up of operations; such a one is in `entries` too while its size is not durable.
    pub(super) lost: Vec<Lost<U>>,
    pub(super) durability: Durability,
    next: u64,
}

impl<U> Log<U> {
    /// Nothing is pending; syncs will make durable what they do on this filesystem.
    #[must_use]
    pub fn new(durability: Durability) -> Self {
        Self { entries: Vec::new(), lost: Vec::new(), durability, next: 0 }
    }

    /// A write behind the end of a file is two operations here: its size, and then its bytes.
    #[must_use]
    pub fn parts_sizes(&self) -> bool {
        self.durability == Durability::Ext4
    }

    /// Forgets every operation; those under way keep their numbers.
    pub fn clear(&mut self) -> Vec<U> {
        let lost = std::mem::take(&mut self.lost).into_iter().map(|lost| lost.of);
        let entries = std::mem::take(&mut self.entries).into_iter();
        entries.chain(lost).map(|entry| entry.undo).collect()
    }

    /// An operation was done; `own` is none of the subject's.
    pub fn add(&mut self, about: impl Into<About>, own: bool, undo: U) {
        let about = about.into();
        self.entries.push(Pending { number: self.next, about, own, undo });
        self.next += 1;
    }

    /// What a sync that begins now makes durable comes before this number.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.next
    }

    /// Operations, each once: of one that is in both lists the other half is not counted.
    fn operations(&self) -> impl Iterator<Item = &Pending<U>> {
        let is_here = |number| self.entries.binary_search_by_key(&number, |it| it.number).is_ok();
        let lost = self.lost.iter().map(|lost| &lost.of);
        self.entries.iter().chain(lost.filter(move |lost| !is_here(lost.number)))
    }

    /// Operations of others.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.operations().filter(|one| !one.own).count() as u64
    }

    /// All of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.operations().count()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.lost.is_empty()
    }

    /// A file is synced; hands out what is durable now.
    pub fn sync_file(&mut self, file: u64, sync: Sync) -> Vec<U> {
        let durable = self.durable_with_file(file, sync);
        self.take(&durable, sync.own)
    }

    /// A directory likewise.
    pub fn sync_directory(&mut self, directory: u64, sync: Sync) -> Vec<U> {
        let durable = self.durable_with_directory(directory, sync);
        self.take(&durable, sync.own)
    }

    /// Takes those with these numbers out.
    fn take(&mut self, numbers: &HashSet<u64>, own: bool) -> Vec<U> {
        let taken = |entry: &mut Pending<U>| numbers.contains(&entry.number) && (entry.own || !own);
        let taken: Vec<_> = self.entries.extract_if(.., taken).collect();
        let replaced = self.replace(&taken);
        taken.into_iter().map(|entry| entry.undo).chain(replaced).collect()
    }

    /// These are on the disk now: what was given up before is not to be undone where they are. Hands
    /// out that of which nothing is left.
    pub(super) fn replace(&mut self, by: &[Pending<U>]) -> Vec<U> {
        for lost in &mut self.lost {
            by.iter().for_each(|by| lost.give_way(by));
        }
        let replaced = self.lost.extract_if(.., |lost| lost.left.is_empty());
        replaced.map(|lost| lost.of.undo).collect()
    }

    /// What was written to a file is given up: it is on no disk, and no sync makes it durable. The
    /// size that it came to is not: the next sync writes that, whatever is in the bytes. `part` takes
    /// the two apart. Nor is that it was cut short.
    pub fn give_up(&mut self, file: u64, part: impl Fn(About, U) -> Vec<(About, U)>) {
        for entry in std::mem::take(&mut self.entries) {
            if !entry.writes_to(file) {
                self.entries.push(entry);
                continue;
            }
            let (own, number) = (entry.own, entry.number);
            for (about, undo) in part(entry.about, entry.undo) {
                let one = Pending { number, about, own, undo };
                if one.is_of_size_alone() {
                    self.entries.push(one);
                } else {
                    self.lost.push(Lost::new(one));
                }
            }
        }
    }

    /// Takes out what was written to a file, last first; what an earlier sync has given up stays so.
    pub fn take_back(&mut self, file: u64) -> Vec<U> {
        let taken = self.entries.extract_if(.., |entry| entry.is_of_file(file));
        let mut taken: Vec<U> = taken.map(|entry| entry.undo).collect();
        taken.reverse();
        taken
    }
}
