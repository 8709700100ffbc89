//! What was there before every change that is not durable, and the way back to it.
//!
//! Only where a fault of the scenario asks for it. Changes go to the filesystem beneath at once, one
//! after the other, and what undoes them is kept here until a sync makes them durable; a file whose
//! name goes is kept under a name of our own. Owners, modes, times and extended attributes are not
//! remembered. Once fenced, no change is taken and no sync is acknowledged.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, MutexGuard},
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Uid, chownat, fstat, ftruncate,
        linkat, mkdirat, open, openat, renameat_with, statat, unlinkat,
    },
    io::Errno,
};

use super::{
    Fs,
    attr::path_of,
    data,
    open::Open,
    table::{Node, OURS, Table, is_ours, lock},
};
use crate::{
    interpose::crash::{Key, Log},
    protocol::{CutProfile, PendingFacts},
};

/// Bytes that are remembered at most.
const MOST_BYTES: u64 = 128 << 20;
/// Operations that are remembered at most.
const MOST: usize = 20_000;
/// A name in a directory.
type Place = (Arc<Node>, OsString);

/// What a sync is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Synced {
    File(u64),
    Directory(u64),
}

/// A change as it is remembered.
type Change = Option<(Vec<Key>, Undo)>;

/// What undoes an operation.
enum Undo {
    /// These bytes were here, and the file was so long where that has changed.
    Bytes { node: Arc<Node>, offset: u64, old: Vec<u8>, size: Option<u64> },
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

impl State {
    /// Returns what is to be forgotten: everything, once there is too much.
    #[must_use]
    fn remember(&mut self, keys: Vec<Key>, own: bool, undo: Undo) -> Vec<Undo> {
        self.bytes += undo.bytes();
        self.log.add(keys, own, undo);
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
    pub(super) fn begin(root: &OwnedFd, name: &str) -> Result<Self, Errno> {
        match mkdirat(root, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let aside = openat(root, name, flags, Mode::empty())?;
        let (log, fence) = (Log::default(), Fence::Open);
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
        let Some((keys, undo)) = change else { return Ok(done) };
        let own = node.path().starts_with(OURS);
        state.remember(keys, own, undo).into_iter().for_each(|undo| self.forget(undo));
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
        what: Synced,
    ) -> Result<(), Errno> {
        let began = self.open_state()?.log.now();
        sync()?;
        let mut state = self.open_state()?;
        let durable = match what {
            Synced::File(file) => state.log.sync_file(file, began),
            Synced::Directory(directory) => state.log.sync_directory(directory, began),
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
        lock(&self.state).log.give_up(file);
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
            for undo in cut.gone {
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
            Undo::Bytes { node, offset, old, size } => {
                let fd = match table.fd(&node) {
                    // it has no name any more, and that is durable
                    Err(Errno::STALE) => return Ok(()),
                    fd => fd?,
                };
                let file =
                    open(path_of(fd.as_fd()), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
                data::put_back(&file, &old, offset)?;
                size.map_or(Ok(()), |size| ftruncate(&file, size))
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

/// What is in a file between two offsets before a change, which leaves it so long; not where it is
/// more than can be remembered.
fn before(
    state: &mut State,
    node: &Arc<Node>,
    file: BorrowedFd<'_>,
    (from, to): (u64, u64),
    new_size: impl Fn(u64) -> u64,
) -> Result<(Vec<Key>, Undo), Errno> {
    let size = u64::try_from(fstat(file)?.st_size).unwrap_or_default();
    let changes_size = new_size(size) != size;
    let mut length = to.min(size).saturating_sub(from);
    state.overflowed |= state.bytes + length > MOST_BYTES;
    if state.overflowed {
        length = 0;
    }
    let mut old = vec![0; usize::try_from(length).unwrap_or_default()];
    data::fill(file, &mut old, from)?;
    let mut keys = vec![Key::Bytes(node.ino, from, to)];
    keys.extend(changes_size.then_some(Key::Size(node.ino)));
    let (node, size) = (Arc::clone(node), changes_size.then_some(size));
    Ok((keys, Undo::Bytes { node, offset: from, old, size }))
}

/// Ways to allocate that move bytes behind them.
const MOVING: i32 = libc::FALLOC_FL_COLLAPSE_RANGE | libc::FALLOC_FL_INSERT_RANGE;

impl Fs {
    /// What remembers changes of this file; none where nothing does.
    pub(super) fn remembers(&self, node: &Node) -> Option<&History> {
        self.history.as_ref().filter(|_| node.own.is_none())
    }

    /// Writes.
    pub(super) fn write(&self, open: &Open, data: &[u8], offset: u64) -> Result<usize, Errno> {
        let Some(history) = self.remembers(&open.node) else {
            return data::write(open, data, offset);
        };
        let end = offset + data.len() as u64;
        history.change(&open.node, |state| {
            let grown = |size: u64| size.max(end);
            let before = before(state, &open.node, open.file(), (offset, end), grown)?;
            Ok((data::write(open, data, offset)?, Some(before)))
        })
    }

    /// Allocates in a file, or takes away from it.
    pub(super) fn allocate(
        &self,
        open: &Open,
        (offset, length): (u64, u64),
        mode: i32,
    ) -> Result<(), Errno> {
        open.wrote();
        let Some(history) = self.remembers(&open.node) else {
            return data::allocate(open, (offset, length), mode);
        };
        if mode & MOVING != 0 {
            return Err(Errno::OPNOTSUPP);
        }
        let end = offset + length;
        let keeps = mode & libc::FALLOC_FL_KEEP_SIZE != 0;
        history.change(&open.node, |state| {
            let new_size = |size: u64| if keeps { size } else { size.max(end) };
            let before = before(state, &open.node, open.file(), (offset, end), new_size)?;
            Ok((data::allocate(open, (offset, length), mode)?, Some(before)))
        })
    }

    /// Does what gives a file another size.
    pub(super) fn resized(
        &self,
        node: &Arc<Node>,
        size: u64,
        resize: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let Some(history) = self.remembers(node) else { return resize() };
        history.change(node, |state| {
            let fd = self.fd(node)?;
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let file = open(path_of(fd.as_fd()), flags, Mode::empty())?;
            let before = before(state, node, file.as_fd(), (size, u64::MAX), |_| size)?;
            Ok((resize()?, Some(before)))
        })
    }

    /// Does what makes a name, unless it is there.
    pub(super) fn made<T>(
        &self,
        parent: u64,
        name: &OsStr,
        make: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let history = self.history.as_ref().filter(|_| !is_ours(parent, name));
        let Some(history) = history else { return make() };
        let dir = self.table.node(parent)?;
        let fd = self.table.fd(&dir)?;
        history.change(&dir, |_| {
            let there = statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
            let made = make()?;
            let key = Key::Name(parent, name.to_owned());
            let undo = Undo::Made((Arc::clone(&dir), name.to_owned()));
            Ok((made, (!there).then(|| (vec![key], undo))))
        })
    }

    /// Does what takes a name away.
    pub(super) fn removed(
        &self,
        parent: u64,
        name: &OsStr,
        remove: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let history = self.history.as_ref().filter(|_| !is_ours(parent, name));
        let Some(history) = history else { return remove() };
        let dir = self.table.node(parent)?;
        history.change(&dir, |state| {
            let place = (Arc::clone(&dir), name.to_owned());
            let undo = self.keep(history, state, place)?;
            match remove() {
                Ok(()) => {
                    Ok(((), undo.map(|undo| (vec![Key::Name(parent, name.to_owned())], undo))))
                }
                Err(errno) => {
                    undo.into_iter().for_each(|undo| history.forget(undo));
                    Err(errno)
                }
            }
        })
    }

    /// Does what gives a file another name.
    pub(super) fn renamed(
        &self,
        from: (u64, &OsStr),
        to: (u64, &OsStr),
        flags: RenameFlags,
        rename: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let Some(history) = &self.history else { return rename() };
        if flags.contains(RenameFlags::WHITEOUT) {
            return Err(Errno::INVAL);
        }
        let (old, new) = (self.table.node(from.0)?, self.table.node(to.0)?);
        history.change(&old, |state| {
            let to_place = (Arc::clone(&new), to.1.to_owned());
            let exchanges = flags.contains(RenameFlags::EXCHANGE);
            let over = if exchanges { None } else { self.keep(history, state, to_place.clone())? };
            if let Err(errno) = rename() {
                over.into_iter().for_each(|undo| history.forget(undo));
                return Err(errno);
            }
            let from_place = (Arc::clone(&old), from.1.to_owned());
            let keys = [from, to].map(|(dir, name)| Key::Name(dir, name.to_owned()));
            let over = over.map(Box::new);
            let undo = Undo::Renamed { from: from_place, to: to_place, flags, over };
            Ok(((), Some((keys.into(), undo))))
        })
    }

    /// Keeps what has a name that is about to go; none where nothing has.
    fn keep(
        &self,
        history: &History,
        state: &mut State,
        place: Place,
    ) -> Result<Option<Undo>, Errno> {
        if state.overflowed {
            return Ok(None);
        }
        let dir = self.table.fd(&place.0)?;
        let stat = match statat(&dir, &place.1, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(Some(Undo::RemovedDirectory(place, Box::new(stat))));
        }
        let kept = state.name();
        linkat(&dir, &place.1, &history.aside, &kept, AtFlags::empty())?;
        Ok(Some(Undo::Removed(place, kept)))
    }
}
