//! Changes of files and names, each done and remembered in one.

use std::{
    cmp::Ordering,
    ffi::OsStr,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, fstat, linkat, open, statat},
    io::Errno,
};

use super::{
    super::{
        Fs,
        attr::path_of,
        data,
        open::Open,
        table::{Node, is_ours},
    },
    History, MOST_BYTES, Place, State, Undo,
};
use crate::interpose::crash::{About, Act, Key};

fn size_of(file: BorrowedFd<'_>) -> Result<u64, Errno> {
    Ok(u64::try_from(fstat(file)?.st_size).unwrap_or_default())
}

/// A file gets longer, and nothing is written: it was so long.
fn grown(node: &Arc<Node>, size: u64) -> (About, Undo) {
    (vec![Key::Size(node.ino)].into(), Undo::Size { node: Arc::clone(node), size })
}

/// What is in a file between two offsets before a change, which leaves it so long; not where it is
/// more than can be remembered.
fn before(
    state: &mut State,
    node: &Arc<Node>,
    file: BorrowedFd<'_>,
    (from, to): (u64, u64),
    new_size: impl Fn(u64) -> u64,
) -> Result<(About, Undo), Errno> {
    let size = size_of(file)?;
    let act = match new_size(size).cmp(&size) {
        Ordering::Greater => Act::Grows,
        Ordering::Less => Act::Shrinks,
        Ordering::Equal => Act::Other,
    };
    let changes_size = act != Act::Other;
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
    let about = About { act, ..keys.into() };
    Ok((about, Undo::Bytes { node, offset: from, old, zeros: 0, size }))
}

/// Ways to allocate that move bytes behind them.
const MOVING: i32 = libc::FALLOC_FL_COLLAPSE_RANGE | libc::FALLOC_FL_INSERT_RANGE;
/// With no more than these, no byte that was there is another one.
const CHANGES_NO_BYTES: i32 = libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_UNSHARE_RANGE;

impl Fs {
    /// What remembers changes of this file; none where nothing does.
    pub(in super::super) fn remembers(&self, node: &Node) -> Option<&History> {
        self.history.as_ref().filter(|_| node.is_remembered())
    }

    /// Writes.
    pub(in super::super) fn write(
        &self,
        open: &Open,
        data: &[u8],
        offset: u64,
    ) -> Result<usize, Errno> {
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
    pub(in super::super) fn allocate(
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
            let before = if mode & !CHANGES_NO_BYTES == 0 {
                let size = size_of(open.file())?;
                (new_size(size) > size).then(|| grown(&open.node, size))
            } else {
                Some(before(state, &open.node, open.file(), (offset, end), new_size)?)
            };
            Ok((data::allocate(open, (offset, length), mode)?, before))
        })
    }

    /// Does what gives a file another size.
    pub(in super::super) fn resized(
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
            let there = size_of(file.as_fd())?;
            let before = if size > there {
                grown(node, there)
            } else {
                before(state, node, file.as_fd(), (size, u64::MAX), |_| size)?
            };
            Ok((resize()?, Some(before)))
        })
    }

    /// Does what makes a name, unless it is there.
    pub(in super::super) fn made<T>(
        &self,
        parent: u64,
        name: &OsStr,
        act: Act,
        make: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let history = self.history.as_ref().filter(|_| !is_ours(parent, name));
        let Some(history) = history else { return make() };
        let dir = self.table.node(parent)?;
        let fd = self.table.fd(&dir)?;
        history.change(&dir, |_| {
            let there = statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW).is_ok();
            let made = make()?;
            if there {
                return Ok((made, None));
            }
            let keys = vec![Key::Name(parent, name.to_owned())];
            let files = self.number_at(&fd, name).into_iter().collect();
            let undo = Undo::Made((Arc::clone(&dir), name.to_owned()));
            Ok((made, Some((About { keys, files, act }, undo))))
        })
    }

    /// Does what takes a name away.
    pub(in super::super) fn removed(
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
            let keys = vec![Key::Name(parent, name.to_owned())];
            let fd = self.table.fd(&dir)?;
            let files = self.number_at(&fd, name).into_iter().collect();
            let about = About { keys, files, act: Act::Other };
            let undo = self.keep(history, state, place)?;
            match remove() {
                Ok(()) => Ok(((), undo.map(|undo| (about, undo)))),
                Err(errno) => {
                    undo.into_iter().for_each(|undo| history.forget(undo));
                    Err(errno)
                }
            }
        })
    }

    /// Does what gives a file another name.
    pub(in super::super) fn renamed(
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
            let files = self.moved(from, to, exchanges)?;
            let over = if exchanges { None } else { self.keep(history, state, to_place.clone())? };
            if let Err(errno) = rename() {
                over.into_iter().for_each(|undo| history.forget(undo));
                return Err(errno);
            }
            let from_place = (Arc::clone(&old), from.1.to_owned());
            let keys = [from, to].map(|(dir, name)| Key::Name(dir, name.to_owned())).into();
            let over = over.map(Box::new);
            let undo = Undo::Renamed { from: from_place, to: to_place, flags, over };
            Ok(((), Some((About { keys, files, act: Act::Other }, undo))))
        })
    }

    /// The files that a rename gives other names.
    fn moved(
        &self,
        from: (u64, &OsStr),
        to: (u64, &OsStr),
        exchanges: bool,
    ) -> Result<Vec<u64>, Errno> {
        let mut files = Vec::new();
        for (dir, name) in [Some(from), exchanges.then_some(to)].into_iter().flatten() {
            let dir = self.table.fd(&self.table.node(dir)?)?;
            files.extend(self.number_at(&dir, name));
        }
        Ok(files)
    }

    /// The number of what has a name; none where nothing has, or it is not known by its own: then no
    /// sync but one of the directory makes the name durable.
    fn number_at(&self, dir: &OwnedFd, name: &OsStr) -> Option<u64> {
        let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        self.table.plain_number(&stat)
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
