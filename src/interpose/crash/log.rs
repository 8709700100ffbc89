//! Operations in the order in which they were done, until they are durable.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
};

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

/// One operation.
#[derive(Debug)]
pub(super) struct Pending<U> {
    number: u64,
    pub(super) keys: Vec<Key>,
    own: bool,
    /// A sync has given it up: no later one makes it durable.
    lost: bool,
    undo: U,
}

impl<U> Pending<U> {
    /// It is about names, and not about data.
    pub(super) fn is_of_names(&self) -> bool {
        self.keys.iter().any(|key| matches!(key, Key::Name(..)))
    }

    fn is_of_file(&self, file: u64) -> bool {
        self.keys.iter().any(|key| match key {
            Key::Size(of) | Key::Bytes(of, ..) => *of == file,
            Key::Name(..) => false,
        })
    }

    fn is_of_directory(&self, directory: u64) -> bool {
        self.keys.iter().any(|key| matches!(key, Key::Name(of, _) if *of == directory))
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
    pub(super) entries: Vec<Pending<U>>,
    next: u64,
}

impl<U> Default for Log<U> {
    fn default() -> Self {
        Self { entries: Vec::new(), next: 0 }
    }
}

impl<U> Log<U> {
    /// Forgets every operation; those under way keep their numbers.
    pub fn clear(&mut self) -> Vec<U> {
        std::mem::take(&mut self.entries).into_iter().map(|entry| entry.undo).collect()
    }

    /// An operation was done; `own` is none of the subject's.
    pub fn add(&mut self, keys: Vec<Key>, own: bool, undo: U) {
        self.entries.push(Pending { number: self.next, keys, own, lost: false, undo });
        self.next += 1;
    }

    /// What a sync that begins now makes durable comes before this number.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.next
    }

    /// Operations of others.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.entries.iter().filter(|entry| !entry.own).count() as u64
    }

    /// All of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A sync of a file that began then has come to its end; hands out what is durable now.
    pub fn sync_file(&mut self, file: u64, before: u64) -> Vec<U> {
        let durable =
            |entry: &mut Pending<U>| entry.number < before && !entry.lost && entry.is_of_file(file);
        self.entries.extract_if(.., durable).map(|entry| entry.undo).collect()
    }

    /// A sync of a directory likewise, with all that its names are built on.
    pub fn sync_directory(&mut self, directory: u64, before: u64) -> Vec<U> {
        let mut durable = HashSet::new();
        let mut keys = Keys::default();
        for entry in self.entries.iter().rev().filter(|entry| entry.number < before) {
            if entry.is_of_directory(directory) || entry.is_of_names() && keys.share(&entry.keys) {
                durable.insert(entry.number);
                keys.add(&entry.keys);
            }
        }
        let entries = self.entries.extract_if(.., |entry| durable.contains(&entry.number));
        entries.map(|entry| entry.undo).collect()
    }

    /// What was written to a file is given up: no sync makes it durable.
    pub fn give_up(&mut self, file: u64) {
        let of_file = self.entries.iter_mut().filter(|entry| entry.is_of_file(file));
        of_file.for_each(|entry| entry.lost = true);
    }

    /// Takes out what was written to a file, last first.
    pub fn take_back(&mut self, file: u64) -> Vec<U> {
        let taken = self.entries.extract_if(.., |entry| entry.is_of_file(file));
        let mut taken: Vec<U> = taken.map(|entry| entry.undo).collect();
        taken.reverse();
        taken
    }

    /// Takes all out: those at these places to be undone, last first, and the others; and how many
    /// of the former are of others.
    pub(super) fn part(&mut self, undone: &HashSet<usize>) -> (Vec<U>, Vec<U>, u64) {
        let (mut gone, mut kept, mut others) = (Vec::new(), Vec::new(), 0);
        for (at, entry) in std::mem::take(&mut self.entries).into_iter().enumerate() {
            if undone.contains(&at) {
                others += u64::from(!entry.own);
                gone.push(entry.undo);
            } else {
                kept.push(entry.undo);
            }
        }
        gone.reverse();
        (gone, kept, others)
    }
}
