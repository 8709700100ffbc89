//! Who sees changes late: what is remembered of them, and what such a caller is shown.
//!
//! Only while a rule hides changes, and only of paths that it is about. A file whose name goes is
//! held by a descriptor, which keeps its filesystem from cleaning up after it for as long.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use fuser::{FileAttr, FileType};
use rustix::{
    fs::{Mode, OFlags, fstat, openat},
    io::Errno,
};

use super::{
    Fs, Who,
    attr::{attributes, kind},
    names::Found,
    strike::At,
    table::{Node, OURS, lock},
};
use crate::{
    host::io_trial::SHOWN,
    interpose::{
        rules::{Changed, Late},
        veil::{File, Length, Look, Seen, Ticket, Veil, name as key},
    },
    protocol::IoOp,
};

/// A file that had a name.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    fd: Arc<OwnedFd>,
    pub(super) ino: u64,
    pub(super) kind: FileType,
}

/// What is remembered of changes.
pub(super) struct Sight {
    veil: Mutex<Veil<Kept>>,
    began: Instant,
}

impl Default for Sight {
    fn default() -> Self {
        Self { veil: Mutex::default(), began: Instant::now() }
    }
}

impl Sight {
    fn look(&self, late: Late) -> Look {
        Look { who: late.who, late: late.time, now: self.began.elapsed() }
    }
}

/// Mount namespace of a task; none where it is gone.
fn namespace(task: u32) -> Option<u64> {
    fs::metadata(format!("/proc/{task}/ns/mnt")).ok().map(|namespace| namespace.ino())
}

fn key_of(node: &Node) -> File {
    (node.ino, node.generation)
}

fn length(attr: &FileAttr) -> Length {
    Length { size: attr.size, modified: attr.mtime, changed: attr.ctime }
}

impl Fs {
    /// Whether this is a name of our own that is there only once it was made.
    pub(super) fn is_shown(&self, parent: u64, name: &OsStr) -> bool {
        self.is_own(parent, name) && name.to_string_lossy().contains(SHOWN)
    }

    /// Other rules are in force: where none hides anything, nothing is remembered.
    pub(in super::super) fn rearmed(&self) {
        if self.armed.hides_any().is_none() {
            // everybody sees everything
            self.forget_seen(Duration::ZERO);
        }
    }

    /// Changes that were seen at once because there were too many.
    pub(super) fn forgotten(&self) -> u64 {
        lock(&self.sight.veil).forgotten()
    }

    /// Lets go what everybody sees.
    fn forget_seen(&self, oldest: Duration) {
        let now = self.sight.began.elapsed();
        let gone = lock(&self.sight.veil).forget(now, oldest);
        // closes descriptors: not under the lock
        drop(gone);
    }

    /// What others have changed of what an operation looks at; none where it is no look.
    pub(super) fn changed(&self, who: Who, op: IoOp, at: At<'_>) -> Option<Changed> {
        self.forget_seen(self.armed.hides_any()?);
        let veil = || lock(&self.sight.veil);
        let (caller, now) = (namespace(who.pid), self.sight.began.elapsed());
        let ago = match (op, at) {
            (IoOp::Stat, At::Name(parent, name)) => {
                veil().name_changed(&key(parent, name), caller, now)
            }
            (IoOp::Stat, At::File(ino)) => {
                let node = self.table.node(ino).ok()?;
                veil().file_changed(key_of(&node), u64::MAX, (caller, now))
            }
            (IoOp::Read, At::Bytes(open, offset, bytes)) => {
                let end = offset.saturating_add(bytes);
                veil().file_changed(key_of(&open.node), end, (caller, now))
            }
            _ => None,
        };
        ago.map(|ago| Changed { ago, who: caller })
    }

    /// Whether changes of this name are remembered.
    fn remembers_name(&self, parent: u64, name: &OsStr) -> bool {
        if self.armed.hides_any().is_none() {
            return false;
        }
        if self.is_own(parent, name) {
            return self.is_shown(parent, name);
        }
        let (path, _) = self.path_at(At::Name(parent, name));
        !path.starts_with(OURS) && self.armed.hides(&path)
    }

    /// What has a name; none where nothing has.
    fn named(&self, parent: u64, name: &OsStr) -> Option<Kept> {
        if self.is_own(parent, name) {
            return None;
        }
        let dir = self.table.node(parent).and_then(|parent| self.table.fd(&parent)).ok()?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&dir, name, flags, Mode::empty()).ok()?;
        let stat = fstat(&fd).ok()?;
        let kind = kind(rustix::fs::FileType::from_raw_mode(stat.st_mode));
        Some(Kept { fd: Arc::new(fd), ino: stat.st_ino, kind })
    }

    fn begin(&self, who: Who, (parent, name): (u64, &OsStr), leaves: bool) -> Option<Ticket> {
        if !self.remembers_name(parent, name) {
            return None;
        }
        let (before, by) = (self.named(parent, name), namespace(who.pid));
        let (name, now) = (key(parent, name), self.sight.began.elapsed());
        Some(lock(&self.sight.veil).change_name(&name, (by, now), (before, leaves)))
    }

    /// Whether what is about to be made is there, and everybody knows.
    fn is_known(&self, (parent, name): (u64, &OsStr)) -> bool {
        self.armed.hides_any().is_some()
            && self.named(parent, name).is_some()
            && !lock(&self.sight.veil).knows(&key(parent, name))
    }

    fn end(&self, tickets: &[Ticket], done: bool) {
        if !done {
            let mut veil = lock(&self.sight.veil);
            let gone: Vec<_> = tickets.iter().map(|ticket| veil.take_back(ticket)).collect();
            drop(veil);
            drop(gone);
        }
        if let Some(oldest) = self.armed.hides_any() {
            self.forget_seen(oldest);
        }
    }

    /// Does what makes a name.
    pub(super) fn making<T>(
        &self,
        who: Who,
        (parent, name): (u64, &OsStr),
        make: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        // where it is only opened, nobody's sight of it changes, but for who has not seen it yet
        let known = self.is_known((parent, name));
        let ticket = if known { None } else { self.begin(who, (parent, name), true) };
        let made = make();
        self.end(ticket.as_slice(), made.is_ok());
        made
    }

    /// Does what takes a name away.
    pub(super) fn removing(
        &self,
        who: Who,
        (parent, name): (u64, &OsStr),
        remove: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let ticket = self.begin(who, (parent, name), false);
        let removed = remove();
        self.end(ticket.as_slice(), removed.is_ok());
        removed
    }

    /// Does what gives a file another name; a directory's is seen at once.
    pub(super) fn renaming(
        &self,
        who: Who,
        [from, to]: [(u64, &OsStr); 2],
        exchanges: bool,
        rename: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let hides = self.remembers_name(from.0, from.1) || self.remembers_name(to.0, to.1);
        let moved = if hides { self.named(from.0, from.1) } else { None };
        let is_file = moved.is_some_and(|moved| moved.kind != FileType::Directory);
        if !is_file {
            return rename();
        }
        let tickets = [self.begin(who, from, exchanges), self.begin(who, to, true)];
        let tickets: Vec<Ticket> = tickets.into_iter().flatten().collect();
        let renamed = rename();
        self.end(&tickets, renamed.is_ok());
        renamed
    }

    /// Does what may make a file longer.
    pub(super) fn growing<T>(
        &self,
        who: Who,
        (node, path): (&Arc<Node>, Option<&str>),
        grow: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        if self.armed.hides_any().is_none() || node.own.is_some() {
            return grow();
        }
        let path = path.map_or_else(|| node.path(), str::to_owned);
        let hides = !path.starts_with(OURS) && self.armed.hides(&path);
        let before = if hides { self.look_at(node).ok() } else { None };
        let Some(before) = before else { return grow() };
        let (by, now) = (namespace(who.pid), self.sight.began.elapsed());
        let before = length(&before);
        let ticket = lock(&self.sight.veil).change_file(key_of(node), (by, now), before);
        let grown = grow();
        let longer = self.look_at(node).is_ok_and(|now| now.size > before.size);
        self.end(&[ticket], longer);
        grown
    }

    /// Looks for a name as somebody who sees changes late.
    pub(super) fn lookup_as(
        &self,
        parent: u64,
        name: &OsStr,
        late: Option<Late>,
    ) -> Result<Found, Errno> {
        match late.map(|late| self.seen(parent, name, late)) {
            None | Some(Seen::Now) => self.lookup(parent, name),
            Some(Seen::Nothing) => Err(Errno::NOENT),
            Some(Seen::Before(kept)) => {
                let parent = self.table.node(parent)?;
                let fd = kept.fd.try_clone().map_err(|_| Errno::MFILE)?;
                let found = self.found(fd, (&parent, name))?;
                // it may have no name any more: nothing but this leads to it
                self.table.node(found.0.ino.0)?.hold(&kept.fd);
                Ok(found)
            }
        }
    }

    /// What somebody sees of a name.
    pub(super) fn seen(&self, parent: u64, name: &OsStr, late: Late) -> Seen<Kept> {
        lock(&self.sight.veil).name(&key(parent, name), self.sight.look(late))
    }

    /// Names in a directory that some do not see as they are, and whether there is something.
    pub(super) fn hidden_in(&self, directory: u64) -> Vec<(OsString, bool)> {
        if self.armed.hides_any().is_none() {
            return Vec::new();
        }
        let mut names = lock(&self.sight.veil).names_in(directory);
        names.retain(|(name, _)| !self.is_own(directory, name));
        names
    }

    /// Attributes as somebody sees them who sees changes late.
    pub(super) fn look_as(&self, node: &Arc<Node>, late: Option<Late>) -> Result<FileAttr, Errno> {
        let mut attr = self.look_at(node)?;
        let Some(before) = late.and_then(|late| self.length_as(node, late)) else {
            return Ok(attr);
        };
        attr.size = attr.size.min(before.size);
        (attr.mtime, attr.ctime) = (before.modified, before.changed);
        Ok(attr)
    }

    /// How long a file is for somebody; none where that is as it is.
    pub(super) fn length_as(&self, node: &Node, late: Late) -> Option<Length> {
        lock(&self.sight.veil).length(key_of(node), self.sight.look(late))
    }

    /// Makes a file of our own that is there from now on.
    pub(super) fn show(&self, name: &OsStr) -> Result<(Found, Arc<Node>), Errno> {
        let node = self.table.own(self.own_memory()?, &name.to_string_lossy());
        let stat = fstat(self.table.fd(&node)?)?;
        Ok(((attributes(node.ino, &stat), node.generation), node))
    }
}
