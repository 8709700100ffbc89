//! What was there before changes that not everybody sees yet. Pure: no clock, no system call.
//!
//! Whoever makes a change sees it at once, and with it all that others changed at that place before.
//! Everybody else sees it when it is old enough. What is seen so is always a state that once was:
//! changes of one name, or of one file's length, are seen in the order in which they were made.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, VecDeque, vec_deque::Iter},
    ffi::{OsStr, OsString},
    time::{Duration, SystemTime},
};

/// Changes that are remembered at most.
pub(super) const MOST: usize = 50_000;
/// Files that are kept at most because a name led to them.
pub(super) const MOST_KEPT: usize = 1_000;

/// Whoever makes changes and looks: a mount namespace; none where it is not known.
pub(super) type Who = Option<u64>;
/// A name in a directory.
pub(super) type Name = (u64, OsString);
/// A file: its number, and what tells it from others that had this number.
pub(super) type File = (u64, u64);

/// Somebody who looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) who: Who,
    /// Changes of others are not seen before they are so old.
    pub(super) late: Duration,
    pub(super) now: Duration,
}

/// What somebody sees of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen<K> {
    /// What is there.
    Now,
    /// Nothing: it was not there.
    Nothing,
    /// What was there.
    Before(K),
}

/// How long a file was, and when it was changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length {
    pub(super) size: u64,
    pub(super) modified: SystemTime,
    pub(super) changed: SystemTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Name(Name),
    File(File),
}

/// One that is being made: it may come to nothing.
#[derive(Debug)]
pub(super) struct Ticket {
    id: u64,
    place: Place,
}

#[derive(Debug)]
struct Change<B> {
    id: u64,
    at: Duration,
    by: Who,
    before: B,
}

impl<B> Change<B> {
    fn is_by(&self, who: Who) -> bool {
        who.is_some() && self.by == who
    }
}

/// What had a name, and whether something has it since.
#[derive(Debug)]
struct Named<K> {
    before: Option<K>,
    leaves: bool,
}

/// Changes at one place, the oldest first.
type Changes<B> = VecDeque<Change<B>>;

/// Takes one out of them: what was there before it.
fn without<B>(changes: &mut Changes<B>, id: u64) -> Option<B> {
    let at = changes.iter().position(|change| change.id == id)?;
    changes.remove(at).map(|change| change.before)
}

/// The changes that somebody does not see.
fn unseen<B>(changes: &Changes<B>, look: Look) -> Iter<'_, Change<B>> {
    let old = |change: &Change<B>| look.now.saturating_sub(change.at) >= look.late;
    let seen = changes.iter().rposition(|change| change.is_by(look.who) || old(change));
    changes.range(seen.map_or(0, |last| last + 1)..)
}

/// The changes that others made since somebody's own last one.
fn by_others<B>(changes: &Changes<B>, who: Who) -> Iter<'_, Change<B>> {
    let own = changes.iter().rposition(|change| change.is_by(who));
    changes.range(own.map_or(0, |last| last + 1)..)
}

/// Changes, and what was there before them.
#[derive(Debug)]
pub(super) struct Veil<K> {
    names: BTreeMap<Name, Changes<Named<K>>>,
    files: HashMap<File, Changes<Length>>,
    /// All of them, the oldest first.
    order: VecDeque<(Duration, Ticket)>,
    kept: usize,
    last: u64,
    forgotten: u64,
}

impl<K> Default for Veil<K> {
    fn default() -> Self {
        let (names, files, order) = Default::default();
        Self { names, files, order, kept: 0, last: 0, forgotten: 0 }
    }
}

impl<K: Clone> Veil<K> {
    fn note(&mut self, now: Duration, place: Place) -> (u64, Ticket) {
        self.last += 1;
        let id = self.last;
        self.order.push_back((now, Ticket { id, place: place.clone() }));
        (id, Ticket { id, place })
    }

    /// Somebody changes what a name leads to: what it led to before, and whether it still leads to
    /// something.
    pub(super) fn change_name(
        &mut self,
        name: &Name,
        (by, now): (Who, Duration),
        (before, leaves): (Option<K>, bool),
    ) -> Ticket {
        self.kept += usize::from(before.is_some());
        let (id, ticket) = self.note(now, Place::Name(name.clone()));
        let change = Change { id, at: now, by, before: Named { before, leaves } };
        self.names.entry(name.clone()).or_default().push_back(change);
        ticket
    }

    /// Somebody makes a file longer.
    pub(super) fn change_file(
        &mut self,
        file: File,
        (by, now): (Who, Duration),
        before: Length,
    ) -> Ticket {
        let (id, ticket) = self.note(now, Place::File(file));
        let change = Change { id, at: now, by, before };
        self.files.entry(file).or_default().push_back(change);
        ticket
    }

    /// A change that was not made after all. What it kept is to be let go.
    #[must_use]
    pub(super) fn take_back(&mut self, ticket: &Ticket) -> Option<K> {
        // one that was begun a moment ago is near the end; left there, it would push out real ones
        if let Some(at) = self.order.iter().rposition(|(_, other)| other.id == ticket.id) {
            self.order.remove(at);
        }
        self.drop_change(ticket)
    }

    fn drop_change(&mut self, ticket: &Ticket) -> Option<K> {
        match &ticket.place {
            Place::Name(name) => {
                let changes = self.names.get_mut(name)?;
                let gone = without(changes, ticket.id)?.before;
                if changes.is_empty() {
                    self.names.remove(name);
                }
                self.kept -= usize::from(gone.is_some());
                gone
            }
            Place::File(file) => {
                let changes = self.files.get_mut(file)?;
                without(changes, ticket.id)?;
                if changes.is_empty() {
                    self.files.remove(file);
                }
                None
            }
        }
    }

    /// Forgets what is so old that everybody sees it, and the oldest of what is too much. What was
    /// kept is to be let go.
    #[must_use]
    pub(super) fn forget(&mut self, now: Duration, oldest: Duration) -> Vec<K> {
        let mut gone = Vec::new();
        while let Some((at, _)) = self.order.front() {
            let old = now.saturating_sub(*at) >= oldest;
            if !old && self.order.len() <= MOST && self.kept <= MOST_KEPT {
                break;
            }
            let Some((_, ticket)) = self.order.pop_front() else { break };
            self.forgotten += u64::from(!old);
            gone.extend(self.drop_change(&ticket));
        }
        gone
    }

    /// Changes that were forgotten although they were young, since the beginning.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether a change of this name is remembered.
    pub(super) fn knows(&self, name: &Name) -> bool {
        self.names.contains_key(name)
    }

    /// How long ago others changed this name, since somebody did so himself.
    pub(super) fn name_changed(&self, name: &Name, who: Who, now: Duration) -> Option<Duration> {
        let last = by_others(self.names.get(name)?, who).next_back()?;
        Some(now.saturating_sub(last.at))
    }

    /// Likewise, how long ago they made a file longer that ended before `end` then.
    pub(super) fn file_changed(
        &self,
        file: File,
        end: u64,
        (who, now): (Who, Duration),
    ) -> Option<Duration> {
        let mut others = by_others(self.files.get(&file)?, who).rev();
        let last = others.find(|change| change.before.size < end)?;
        Some(now.saturating_sub(last.at))
    }

    /// What somebody sees of a name.
    pub(super) fn name(&self, name: &Name, look: Look) -> Seen<K> {
        let Some(changes) = self.names.get(name) else { return Seen::Now };
        match unseen(changes, look).next().map(|change| &change.before.before) {
            None => Seen::Now,
            Some(None) => Seen::Nothing,
            Some(Some(before)) => Seen::Before(before.clone()),
        }
    }

    /// How long a file is for somebody; none where that is as it is. What it was cut to meanwhile is
    /// seen at once.
    pub(super) fn length(&self, file: File, look: Look) -> Option<Length> {
        let unseen = unseen(self.files.get(&file)?, look).map(|change| change.before);
        let size = unseen.clone().map(|before| before.size).min()?;
        unseen.clone().next().map(|before| Length { size, ..before })
    }

    /// Names in a directory of which changes are remembered, and whether there is something now.
    pub(super) fn names_in(&self, directory: u64) -> Vec<(OsString, bool)> {
        let from = (directory, OsString::new());
        let within = self.names.range(from..).take_while(|((of, _), _)| *of == directory);
        let there = |changes: &Changes<_>| {
            changes.back().is_some_and(|last: &Change<Named<K>>| last.before.leaves)
        };
        within.map(|((_, name), changes)| (name.clone(), there(changes))).collect()
    }
}

/// A name as a key.
pub(super) fn name(directory: u64, name: &OsStr) -> Name {
    (directory, name.to_owned())
}
