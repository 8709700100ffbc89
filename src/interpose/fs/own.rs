//! Files of our own, which trials strike: nothing beneath has them, and nothing is done to them.

use std::{ffi::OsStr, os::fd::OwnedFd};

use fuser::{FileAttr, FileType};
use rustix::{
    fs::{MemfdFlags, fstat, memfd_create},
    io::{Errno, pwrite},
};

use super::{Fs, attr::attributes, names::Found, table::Node};
use crate::{
    host::io_trial::{NEW, SHOWN},
    protocol::{IoOp, only},
};

impl Fs {
    /// A file of our own: memory, with a block to be read.
    pub(super) fn lookup_own(&self, name: &OsStr) -> Result<Found, Errno> {
        let name = name.to_string_lossy();
        if name.contains(NEW) {
            return Err(Errno::NOENT);
        }
        let node = match self.table.own_again(&name) {
            Some(node) => node,
            None if name.contains(SHOWN) => return Err(Errno::NOENT),
            None => self.table.own(self.own_memory()?, &name),
        };
        let stat = fstat(self.table.fd(&node)?)?;
        Ok((shaped(&node, attributes(node.ino, &stat)), node.generation))
    }

    /// What a file of our own is made of.
    pub(super) fn own_memory(&self) -> Result<OwnedFd, Errno> {
        let fd = memfd_create("trial", MemfdFlags::CLOEXEC)?;
        pwrite(&fd, &[b'.'; 4096], 0)?;
        Ok(fd)
    }
}

/// Attributes as the kernel is told them: it asks for names only of what it takes for a directory, and
/// for a target only of what it takes for a link.
pub(super) fn shaped(node: &Node, attr: FileAttr) -> FileAttr {
    let tries = |op| node.own.as_ref().is_some_and(|name| name.contains(&only(op)));
    if tries(IoOp::List) {
        return FileAttr { kind: FileType::Directory, perm: 0o700, ..attr };
    }
    if tries(IoOp::Readlink) {
        return FileAttr { kind: FileType::Symlink, perm: 0o777, ..attr };
    }
    attr
}
