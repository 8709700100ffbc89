//! Names: found, made, moved and removed.

use std::{
    ffi::{OsStr, OsString},
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use fuser::FileAttr;
use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, fstat, linkat, mkdirat, mknodat,
        openat, readlinkat, renameat_with, statat, symlinkat, unlinkat,
    },
    io::Errno,
};

use super::{
    Fs, Who,
    attr::attributes,
    table::{Node, ROOT},
};
use crate::{
    host::{acting_for::ActingFor, io_trial::UNTOUCHED},
    interpose::crash::Act,
};

/// Permission bits that are asked for, and those that the caller's mask takes away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits {
    pub(super) mode: u32,
    pub(super) umask: u32,
}

/// What is made under a name.
#[derive(Debug, Clone)]
pub(super) enum Made {
    Directory(Bits),
    Node(Bits, u32),
    Symlink(OsString),
    Link(u64),
}

/// A file as the kernel is told of it.
pub(super) type Found = (FileAttr, u64);

/// A file that was made, or was there.
pub(super) struct MadeFile {
    pub(super) found: Found,
    pub(super) node: Arc<Node>,
    /// Open for reading and writing; none for one of our own.
    pub(super) file: Option<Arc<OwnedFd>>,
}

impl Fs {
    /// Whether this is a name of our own: nothing beneath has it, and nothing is done with it.
    pub(super) fn is_own(&self, parent: u64, name: &OsStr) -> bool {
        parent == ROOT && name.as_encoded_bytes().starts_with(self.mark.as_bytes())
    }

    /// Looks for a name.
    pub(super) fn lookup(&self, parent: u64, name: &OsStr) -> Result<Found, Errno> {
        if self.is_own(parent, name) {
            return self.lookup_own(name);
        }
        let parent = self.table.node(parent)?;
        let dir = self.table.fd(&parent)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&dir, name, flags, Mode::empty())?;
        self.found(fd, (&parent, name))
    }

    /// The kernel is told of a file.
    pub(super) fn found(&self, fd: OwnedFd, at: (&Arc<Node>, &OsStr)) -> Result<Found, Errno> {
        let stat = fstat(&fd)?;
        let node = self.table.found(fd, &stat, at);
        Ok((attributes(node.ino, &stat), node.generation))
    }

    /// Makes something that is no open file.
    pub(super) fn make(
        &self,
        who: Who,
        parent: u64,
        name: &OsStr,
        made: &Made,
    ) -> Result<Found, Errno> {
        if self.is_own(parent, name) {
            return Err(UNTOUCHED);
        }
        let node = self.table.node(parent)?;
        let dir = self.table.fd(&node)?;
        // another name changes of a file that was there its times and no more
        let is_new = !matches!(made, Made::Link(_));
        let act = if is_new { Act::Makes } else { Act::Other };
        self.made(parent, name, act, || self.make_in((&node, &dir), who, name, made))?;
        self.lookup(parent, name)
    }

    fn make_in(
        &self,
        (node, dir): (&Arc<Node>, &OwnedFd),
        who: Who,
        name: &OsStr,
        made: &Made,
    ) -> Result<(), Errno> {
        match made {
            Made::Link(of) => {
                let of = self.table.fd(&self.table.node(*of)?)?;
                linkat(&of, "", dir, name, AtFlags::EMPTY_PATH)
            }
            Made::Directory(bits) => {
                let mode = Mode::from_raw_mode(self.mode_in((node, dir), *bits));
                let _for = ActingFor::user(who.uid, who.gid);
                mkdirat(dir, name, mode)
            }
            Made::Node(bits, device) => {
                let mode = self.mode_in((node, dir), *bits);
                let _for = ActingFor::user(who.uid, who.gid);
                let kind = FileType::from_raw_mode(mode);
                mknodat(dir, name, kind, Mode::from_raw_mode(mode), u64::from(*device))
            }
            Made::Symlink(to) => {
                let _for = ActingFor::user(who.uid, who.gid);
                symlinkat(to.as_os_str(), dir, name)
            }
        }
    }

    /// Makes a file, or opens one that somebody else has made meanwhile, and says how it is known. What it
    /// was made by stays open: whoever opens it needs no other.
    pub(super) fn make_file(
        &self,
        who: Who,
        parent: u64,
        name: &OsStr,
        (bits, flags): (Bits, i32),
    ) -> Result<MadeFile, Errno> {
        if self.is_shown(parent, name) {
            let (found, node) = self.show(name)?;
            return Ok(MadeFile { found, node, file: None });
        }
        if self.is_own(parent, name) {
            return Err(UNTOUCHED);
        }
        let node = self.table.node(parent)?;
        let dir = self.table.fd(&node)?;
        let flags = OFlags::from_bits_retain(flags.cast_unsigned());
        let flags = flags & OFlags::EXCL | OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(self.mode_in((&node, &dir), bits));
        let made = self.made(parent, name, Act::Makes, || {
            let _for = ActingFor::user(who.uid, who.gid);
            openat(&dir, name, flags | OFlags::CLOEXEC, mode)
        })?;
        let stat = fstat(&made)?;
        let known = match self.table.found_open(made.as_fd(), &stat, (&node, name)) {
            Some(known) => known,
            None => {
                let found = self.lookup(parent, name)?;
                self.table.node(found.0.ino.0)?
            }
        };
        let file = Arc::new(made);
        known.hold_if_lost(&file);
        let found = (attributes(known.ino, &stat), known.generation);
        Ok(MadeFile { found, node: known, file: Some(file) })
    }

    /// Removes a name; of a directory, if `flags` say so.
    pub(super) fn remove(&self, parent: u64, name: &OsStr, flags: AtFlags) -> Result<(), Errno> {
        if self.is_own(parent, name) {
            return Err(UNTOUCHED);
        }
        let dir = self.table.fd(&self.table.node(parent)?)?;
        if let Ok(stat) = at(&dir, name) {
            self.table.let_go(&stat);
        }
        self.removed(parent, name, || unlinkat(&dir, name, flags))
    }

    /// Gives a file another name.
    pub(super) fn rename(
        &self,
        from: (u64, &OsStr),
        to: (u64, &OsStr),
        flags: u32,
    ) -> Result<(), Errno> {
        if self.is_own(from.0, from.1) || self.is_own(to.0, to.1) {
            return Err(UNTOUCHED);
        }
        let (old, new) = (self.table.node(from.0)?, self.table.node(to.0)?);
        let (old_dir, new_dir) = (self.table.fd(&old)?, self.table.fd(&new)?);
        let flags = RenameFlags::from_bits_retain(flags);
        let rename = || renameat_with(&old_dir, from.1, &new_dir, to.1, flags);
        self.renamed(from, to, flags, rename)?;
        if let Ok(stat) = at(&new_dir, to.1) {
            self.table.renamed(&stat, (&new, to.1));
        }
        if flags.contains(RenameFlags::EXCHANGE)
            && let Ok(stat) = at(&old_dir, from.1)
        {
            self.table.renamed(&stat, (&old, from.1));
        }
        Ok(())
    }

    /// Where a symbolic link points to.
    pub(super) fn read_link(&self, ino: u64) -> Result<Vec<u8>, Errno> {
        let node = self.table.node(ino)?;
        if node.own.is_some() {
            return Err(UNTOUCHED);
        }
        let fd = self.table.fd(&node)?;
        readlinkat(&fd, "", Vec::new()).map(std::ffi::CString::into_bytes)
    }
}

fn at(dir: &OwnedFd, name: &OsStr) -> Result<Stat, Errno> {
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}
