//! What was there before every change that is not durable, and the way back to it.
//!
//! Only where a fault of the scenario asks for it. Changes go to the filesystem beneath at once, one
//! after the other, and what undoes them is kept here until a sync makes them durable; a file whose
//! name goes is kept under a name of our own. Owners, modes, times and extended attributes are not
//! remembered. Once fenced, no change is taken and no sync is acknowledged.

mod changes;

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex, MutexGuard},
};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, OFlags, RenameFlags, Stat, Uid, chownat, fstat, ftruncate, mkdirat,
        open, openat, renameat_with, unlinkat,
    },
    io::Errno,
};

use super::{
    attr::path_of,
    data,
    table::{Node, OURS, Table, lock},
};
use crate::{
    interpose::crash::{About, Act, Key, Log, Sync},
    protocol::{CutProfile, Durability, PendingFacts},
};

/// Bytes that are remembered at most.
const MOST_BYTES: u64 = 128 << 20;
/// Operations that are remembered at most.
const MOST: usize = 20_000;
/// A name in a directory.
type Place = (Arc<Node>, OsString);

/// What a sync is about.
#[derive(Clone, Copy)]
pub(super) enum Synced<'a> {
    /// A file; of `fdatasync`, as far as its bytes need it.
    File(&'a Node, bool),
    Directory(&'a Node),
    /// It only says that it is done.
    Nothing,
}

/// A change as it is remembered.
type Change = Option<(About, Undo)>;

/// What undoes an operation.
enum Undo {
    /// These bytes were here, and so many zeros behind them as far as the file reaches; it was so
    /// long where that has changed.
    Bytes { node: Arc<Node>, offset: u64, old: Vec<u8>, zeros: u64, size: Option<u64> },
    /// The file was so long.
    Size { node: Arc<Node>, size: u64 },
    /// There was no such name.
    Made(Place),
    /// A file had this name, and has one of ours.
    Removed(Place, String),
    /// An empty directory was here.
    RemovedDirectory(Place, Box<Stat>),
    /// It was there, and what was here in its place is kept.
    Renamed { from: Place, to: Place, flags: RenameFlags, over: Option<Box<Undo>> },
}

impl Undo {
    fn bytes(&self) -> u64 {
        match self {
            Self::Bytes { old, .. } => old.len() as u64,
            _ => 0,
        }
    }

    /// The same for these bytes alone, from offsets up to others; none says for all.
    fn within(self, ranges: Option<Vec<(u64, u64)>>) -> Vec<Self> {
        let (Some(ranges), Self::Bytes { node, offset, old, zeros, .. }) = (ranges, &self) else {
            return vec![self];
        };
        let end = offset + old.len() as u64;
        let place = |at: u64| usize::try_from(at.clamp(*offset, end) - offset).unwrap_or(old.len());
        let of_one = |(from, to): (u64, u64)| Self::Bytes {
            node: Arc::clone(node),
            offset: from,
            old: old[place(from)..place(to)].to_vec(),
            zeros: to.min(end.saturating_add(*zeros)).saturating_sub(from.max(end)),
            size: None,
        };
        ranges.into_iter().map(of_one).collect()
    }
}

/// Whether changes are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fence {
    Open,
    /// After so many more.
    After(u64),
    Closed,
}

struct State {
    log: Log<Undo>,
    bytes: u64,
    kept: u64,
    fence: Fence,
    overflowed: bool,
}

/// What is not durable.
pub(super) struct History {
    state: Mutex<State>,
    /// Where files are kept whose names are gone.
    aside: OwnedFd,
}

/// What is done to it is none of the subject's doing.
fn is_own(node: &Node) -> bool {
    node.own.is_some() || node.path().starts_with(OURS)
}

/// A write behind the end of a file as two: its size first, and then its bytes. Anything else is one.
fn parted(mut about: About, undo: Undo) -> Vec<(About, Undo)> {
    let (Act::Grows, Undo::Bytes { node, offset, old, size: Some(size), .. }) = (about.act, &undo)
    else {
        return vec![(about, undo)];
    };
    let is_size = |key: &Key| matches!(key, Key::Size(_));
    let (sizes, bytes): (Vec<Key>, Vec<Key>) = about.keys.into_iter().partition(is_size);
    about.keys = bytes;
    let written = about.keys.iter().find_map(|key| match key {
        Key::Bytes(_, from, to) => Some(to - from),
        _ => None,
    });
    let zeros = written.unwrap_or_default().saturating_sub(old.len() as u64);
    let (node, offset, old) = (Arc::clone(node), *offset, old.clone());
    let size = Undo::Size { node: Arc::clone(&node), size: *size };
    vec![(sizes.into(), size), (about, Undo::Bytes { node, offset, old, zeros, size: None })]
}

impl State {
    /// Returns what is to be forgotten: everything, once there is too much.
    #[must_use]
    fn remember(&mut self, about: About, own: bool, undo: Undo) -> Vec<Undo> {
        self.bytes += undo.bytes();
        if self.log.parts_sizes() {
            parted(about, undo)
                .into_iter()
                .for_each(|(about, undo)| self.log.add(about, own, undo));
        } else {
            self.log.add(about, own, undo);
        }
        self.overflowed |= self.bytes > MOST_BYTES || self.log.len() > MOST;
        if !self.overflowed {
            return Vec::new();
        }
        self.bytes = 0;
        self.log.clear()
    }

    fn facts(&self) -> PendingFacts {
        PendingFacts {
            fenced: self.fence == Fence::Closed,
            pending: self.log.pending(),
            own: self.log.len() as u64 - self.log.pending(),
            undone: 0,
            overflowed: self.overflowed,
        }
    }

    /// A name for a file that loses its own.
    fn name(&mut self) -> String {
        self.kept += 1;
        format!("kept-{}", self.kept)
    }
}

impl History {
    /// Remembers from now on; `name` is where files are kept, in this root.
    pub(super) fn begin(root: &OwnedFd, name: &str, durability: Durability) -> Result<Self, Errno> {
        match mkdirat(root, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let aside = openat(root, name, flags, Mode::empty())?;
        let (log, fence) = (Log::new(durability), Fence::Open);
        let state = Mutex::new(State { log, bytes: 0, kept: 0, fence, overflowed: false });
        Ok(Self { state, aside })
    }

    /// Does a change, and remembers what it says. One at a time.
    fn change<T>(
        &self,
        node: &Node,
        act: impl FnOnce(&mut State) -> Result<(T, Change), Errno>,
    ) -> Result<T, Errno> {
        let mut state = lock(&self.state);
        if state.fence == Fence::Closed {
            return Err(Errno::IO);
        }
        let (done, change) = act(&mut state)?;
        let Some((about, undo)) = change else { return Ok(done) };
        let own = is_own(node);
        state.remember(about, own, undo).into_iter().for_each(|undo| self.forget(undo));
        if let Fence::After(left) = state.fence
            && !own
        {
            state.fence = if left <= 1 { Fence::Closed } else { Fence::After(left - 1) };
        }
        Ok(done)
    }

    /// Does a sync between two looks at the fence; then `durable` says what it was about.
    pub(super) fn sync(
        &self,
        sync: impl FnOnce() -> Result<(), Errno>,
        what: Synced<'_>,
    ) -> Result<(), Errno> {
        let before = self.open_state()?.log.now();
        sync()?;
        let mut state = self.open_state()?;
        let durable = match what {
            Synced::File(file, data_alone) => {
                state.log.sync_file(file.ino, Sync { before, own: is_own(file), data_alone })
            }
            Synced::Nothing => Vec::new(),
            Synced::Directory(dir) => {
                let sync = Sync { before, own: is_own(dir), data_alone: false };
                state.log.sync_directory(dir.ino, sync)
            }
        };
        for undo in durable {
            state.bytes = state.bytes.saturating_sub(undo.bytes());
            self.forget(undo);
        }
        Ok(())
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>, Errno> {
        let state = lock(&self.state);
        if state.fence == Fence::Closed { Err(Errno::IO) } else { Ok(state) }
    }

    /// No sync makes durable what was written to this file.
    pub(super) fn give_up(&self, file: u64) {
        lock(&self.state).log.give_up(file, parted);
    }

    /// What was written to this file since its last sync never was.
    pub(super) fn take_back(&self, table: &Table, file: u64) -> Result<(), Errno> {
        let mut state = lock(&self.state);
        let undone = state.log.take_back(file);
        state.bytes = state.bytes.saturating_sub(undone.iter().map(Undo::bytes).sum());
        let mut made_anew = MadeAnew::new();
        undone.into_iter().try_for_each(|undo| self.undo(table, &mut made_anew, undo))
    }

    /// Closes the fence after so many changes by others; opens it.
    pub(super) fn fence(&self, after: Option<u64>) -> PendingFacts {
        let mut state = lock(&self.state);
        state.fence = match after {
            None => Fence::Open,
            Some(0) => Fence::Closed,
            Some(after) if state.fence != Fence::Closed => Fence::After(after),
            Some(_) => Fence::Closed,
        };
        state.facts()
    }

    pub(super) fn facts(&self) -> PendingFacts {
        lock(&self.state).facts()
    }

    /// Undoes what a cut takes, and opens the fence.
    pub(super) fn settle(
        &self,
        table: &Table,
        profile: CutProfile,
        seed: u64,
    ) -> Result<PendingFacts, Errno> {
        let mut state = lock(&self.state);
        let mut facts = state.facts();
        let mut settled = Ok(());
        if !facts.overflowed {
            let cut = state.log.cut(profile, seed);
            facts.undone = cut.undone;
            let mut made_anew = MadeAnew::new();
            for undo in cut.gone.into_iter().flat_map(|gone| gone.undo.within(gone.within)) {
                // one that cannot be undone is no reason to leave the others half-way
                settled = settled.and(self.undo(table, &mut made_anew, undo));
            }
            cut.kept.into_iter().for_each(|undo| self.forget(undo));
        }
        (state.bytes, state.fence, state.overflowed) = (0, Fence::Open, false);
        settled.map(|()| facts)
    }

    /// What is durable needs no way back.
    fn forget(&self, undo: Undo) {
        match undo {
            Undo::Removed(_, kept) => {
                let _ = unlinkat(&self.aside, kept, AtFlags::empty());
            }
            Undo::Renamed { over: Some(over), .. } => self.forget(*over),
            _ => {}
        }
    }

    fn undo(&self, table: &Table, made_anew: &mut MadeAnew, undo: Undo) -> Result<(), Errno> {
        let fd = |made_anew: &MadeAnew, dir: &Arc<Node>| {
            made_anew.get(&dir.ino).map_or_else(|| table.fd(dir), |dir| Ok(Arc::clone(dir)))
        };
        match undo {
            Undo::Bytes { node, offset, old, zeros, size } => {
                let Some(file) = written(table, &node)? else { return Ok(()) };
                data::put_back(&file, &old, offset)?;
                let (from, there) = (offset + old.len() as u64, fstat(&file)?.st_size);
                let there = u64::try_from(there).unwrap_or_default().saturating_sub(from);
                let zeros = vec![0; usize::try_from(zeros.min(there)).unwrap_or_default()];
                data::put_back(&file, &zeros, from)?;
                size.map_or(Ok(()), |size| ftruncate(&file, size))
            }
            Undo::Size { node, size } => {
                let file = written(table, &node)?;
                file.map_or(Ok(()), |file| ftruncate(&file, size))
            }
            Undo::Made((dir, name)) => {
                let dir = fd(made_anew, &dir)?;
                self.discard(&dir, &name)
            }
            Undo::Removed((dir, name), kept) => {
                let dir = fd(made_anew, &dir)?;
                renameat_with(&self.aside, kept, &dir, &name, RenameFlags::empty())
            }
            Undo::RemovedDirectory((dir, name), stat) => {
                let dir = fd(made_anew, &dir)?;
                made_anew.insert(stat.st_ino, Arc::new(made_again(&dir, &name, &stat)?));
                Ok(())
            }
            Undo::Renamed { from, to, flags, over } => {
                let (old, new) = (fd(made_anew, &from.0)?, fd(made_anew, &to.0)?);
                let flags = flags & RenameFlags::EXCHANGE;
                renameat_with(&new, &to.1, &old, &from.1, flags)?;
                over.map_or(Ok(()), |over| self.undo(table, made_anew, *over))
            }
        }
    }

    /// Takes a name away; a directory with all that is in it.
    fn discard(&self, dir: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
        match unlinkat(dir, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                let mut number = 0_u64;
                loop {
                    let gone = format!("gone-{number}");
                    let flags = RenameFlags::NOREPLACE;
                    match renameat_with(dir, name, &self.aside, gone, flags) {
                        Err(Errno::EXIST) => number += 1,
                        done => return done,
                    }
                }
            }
            done => done,
        }
    }
}

/// A file, to be written to; none where it has no name any more, and that is durable.
fn written(table: &Table, node: &Arc<Node>) -> Result<Option<OwnedFd>, Errno> {
    let fd = match table.fd(node) {
        Err(Errno::STALE) => return Ok(None),
        fd => fd?,
    };
    open(path_of(fd.as_fd()), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map(Some)
}

/// Directories that were removed and are there again, by the numbers that they had: what was in them
/// before goes into these.
type MadeAnew = HashMap<u64, Arc<OwnedFd>>;

/// A directory as it was, but empty.
fn made_again(dir: &OwnedFd, name: &OsStr, stat: &Stat) -> Result<OwnedFd, Errno> {
    mkdirat(dir, name, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}
