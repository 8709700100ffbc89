//! What is not there without what, and what a sync makes durable, on each filesystem.
//!
//! Where sources differ, the weaker promise is taken; what none of them promises may be lost.

use std::collections::HashSet;

use super::log::{Act, Keys, Log, Pending, Sync};
use crate::protocol::Durability;

impl<U> Log<U> {
    /// For each operation the place of an earlier one that it is not there without, those with which
    /// it shares a key aside: where names are in order, that of the name before.
    pub(super) fn needs(&self) -> Vec<Option<usize>> {
        let in_order = self.durability != Durability::PosixStrict;
        let mut last = None;
        let of_names = self.entries.iter().map(|entry| entry.is_of_names() && in_order);
        of_names.enumerate().map(|(at, is)| if is { last.replace(at) } else { None }).collect()
    }

    /// Numbers of what is durable once this file is synced.
    pub(super) fn durable_with_file(&self, file: u64, sync: Sync) -> HashSet<u64> {
        let mut durable = match self.durability {
            Durability::PosixStrict => HashSet::new(),
            Durability::Ext4 | Durability::Xfs => self.in_the_log(file, sync),
            Durability::Btrfs => self.logged_by_itself(file, sync.before, |_| false),
        };
        let written = self.before(sync.before).filter(|entry| entry.is_of_file(file));
        durable.extend(written.map(|entry| entry.number));
        durable
    }

    /// Numbers of what is durable once this directory is synced.
    pub(super) fn durable_with_directory(&self, directory: u64, sync: Sync) -> HashSet<u64> {
        let is_in_it = |entry: &Pending<U>| entry.is_of_directory(directory);
        match self.durability {
            Durability::PosixStrict => self.names(sync.before, is_in_it),
            Durability::Ext4 | Durability::Xfs => self.in_the_log(directory, sync),
            Durability::Btrfs => self.logged_by_itself(directory, sync.before, is_in_it),
        }
    }

    fn before(&self, number: u64) -> impl DoubleEndedIterator<Item = &Pending<U>> {
        self.entries.iter().filter(move |entry| entry.number < number)
    }

    /// Changes of names that are wanted, with all that they are built on.
    fn names(&self, before: u64, wanted: impl Fn(&Pending<U>) -> bool) -> HashSet<u64> {
        let mut numbers = HashSet::new();
        let mut keys = Keys::default();
        for entry in self.before(before).rev().filter(|entry| entry.is_of_names()) {
            if wanted(entry) || keys.share(entry.keys()) {
                numbers.insert(entry.number);
                keys.add(entry.keys());
            }
        }
        numbers
    }

    /// One log for all: it is written out up to the last change in it of this file, and with it all
    /// names that were changed before. A write changes it where it changes the size: in place it
    /// changes at most times, which may be in the log already. So does on ext4 whatever gives it
    /// another name, and `fdatasync` waits for no times.
    fn in_the_log(&self, file: u64, sync: Sync) -> HashSet<u64> {
        let times_alone = sync.data_alone && self.durability == Durability::Ext4;
        let is_its_change = |entry: &Pending<U>| {
            let named = entry.about.files.contains(&file)
                && (!times_alone || entry.about.act == Act::Makes)
                || entry.is_of_directory(file);
            named || entry.is_of_file(file) && entry.resizes()
        };
        let until = self.before(sync.before).rfind(|entry| is_its_change(entry));
        let until = until.map_or(0, |entry| entry.number + 1);
        let names = self.before(until).filter(|entry| entry.is_of_names());
        names.map(|entry| entry.number).collect()
    }

    /// A log that a sync writes for its file alone: all names of it, the new directories that they
    /// lead through, and what is wanted besides.
    fn logged_by_itself(
        &self,
        file: u64,
        before: u64,
        wanted: impl Fn(&Pending<U>) -> bool,
    ) -> HashSet<u64> {
        let made = self.before(before).filter(|entry| entry.about.act == Act::Makes);
        let made: HashSet<u64> = made.flat_map(|entry| entry.about.files.iter().copied()).collect();
        let mut files = HashSet::from([file]);
        loop {
            let is_of_them =
                |entry: &Pending<U>| entry.about.files.iter().any(|of| files.contains(of));
            let numbers = self.names(before, |entry| is_of_them(entry) || wanted(entry));
            let named = self.before(before).filter(|entry| numbers.contains(&entry.number));
            let above: HashSet<u64> = named.flat_map(Pending::directories).collect();
            let known = files.len();
            files.extend(above.intersection(&made));
            if files.len() == known {
                return numbers;
            }
        }
    }
}
