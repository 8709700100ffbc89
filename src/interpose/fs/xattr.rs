//! Extended attributes.

use std::{
    ffi::OsStr,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use fuser::ReplyXattr;
use rustix::{
    fs::{XattrFlags, fstat, getxattr, listxattr, removexattr, setxattr},
    io::Errno,
};

use super::{
    Fs, Who,
    answer::answer_bytes,
    attr::path_of,
    names::Bits,
    strike::At,
    table::{Node, lock},
    told::Told,
};
use crate::{
    host::{
        device,
        io_trial::{ATTRIBUTE, UNTOUCHED},
    },
    protocol::IoOp,
};

/// The default ACL of a directory, which those of what is made in it come from.
const DEFAULT_ACL: &str = "system.posix_acl_default";

/// The largest value or list that the kernel takes (linux/limits.h).
const MOST: usize = 65536;

impl Fs {
    /// What an attribute says.
    pub(super) fn answer_attribute(
        self: &Arc<Self>,
        who: Who,
        (ino, name): (u64, &OsStr),
        size: u32,
        reply: ReplyXattr,
    ) {
        if name == device::BENEATH {
            // asked by us alone: no operation that a rule could be about
            return answer_bytes(Told::untraced(reply), size, self.beneath(ino));
        }
        let name = name.to_owned();
        let (strike, reply) = self.meet(who, IoOp::Xattr, At::File(ino), reply);
        self.after(&strike, reply, move |fs, reply| {
            answer_bytes(reply, size, fs.attribute(ino, &name));
        });
    }

    pub(super) fn set_attribute(
        &self,
        ino: u64,
        name: &OsStr,
        value: &[u8],
        flags: i32,
    ) -> Result<(), Errno> {
        let fd = self.tried_or_fd(ino, name)?;
        let flags = XattrFlags::from_bits_retain(flags.cast_unsigned());
        self.changing(ino, name, || setxattr(path_of(fd.as_fd()), name, value, flags))
    }

    fn attribute(&self, ino: u64, name: &OsStr) -> Result<Vec<u8>, Errno> {
        let fd = self.tried_or_fd(ino, name)?;
        let mut value = vec![0; MOST];
        let length = getxattr(path_of(fd.as_fd()), name, &mut value[..])?;
        value.truncate(length);
        Ok(value)
    }

    /// Which file this is beneath: what is done to it now is undone there when we are gone.
    fn beneath(&self, ino: u64) -> Result<Vec<u8>, Errno> {
        let fd = self.table.fd(&self.table.node(ino)?)?;
        let stat = fstat(&fd)?;
        let numbers = device::numbers_of(&fd, (stat.st_dev, stat.st_ino));
        Ok(device::told(numbers).into_bytes())
    }

    pub(super) fn attribute_names(&self, ino: u64) -> Result<Vec<u8>, Errno> {
        let fd = self.table.fd(&self.table.node(ino)?)?;
        let mut names = vec![0; MOST];
        let length = listxattr(path_of(fd.as_fd()), &mut names[..])?;
        names.truncate(length);
        Ok(names)
    }

    pub(super) fn remove_attribute(&self, ino: u64, name: &OsStr) -> Result<(), Errno> {
        let fd = self.table.fd(&self.table.node(ino)?)?;
        self.changing(ino, name, || removexattr(path_of(fd.as_fd()), name))
    }

    /// Changes an attribute. Nobody looks meanwhile at what is known of it.
    fn changing(
        &self,
        ino: u64,
        name: &OsStr,
        change: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        if name != DEFAULT_ACL {
            return change();
        }
        let node = self.table.node(ino)?;
        let mut known = lock(&node.has_default_acl);
        *known = None;
        change()
    }

    /// Permission bits that a file in this directory is made with: its default ACL stands in for the
    /// mask (umask(2)).
    pub(super) fn mode_in(
        &self,
        (node, dir): (&Arc<Node>, &OwnedFd),
        Bits { mode, umask }: Bits,
    ) -> u32 {
        // where the mask takes nothing away, it does not matter
        if mode & umask == 0 || self.has_default_acl(node, dir) { mode } else { mode & !umask }
    }

    /// It is looked for at most once where nobody else changes it.
    fn has_default_acl(&self, node: &Arc<Node>, dir: &OwnedFd) -> bool {
        let look = || is_there(getxattr(path_of(dir.as_fd()), DEFAULT_ACL, &mut [0_u8; 0][..]));
        // a power cut takes an ACL along
        if !self.ours || self.history.is_some() {
            return look().unwrap_or_default();
        }
        let mut known = lock(&node.has_default_acl);
        if known.is_none() {
            *known = look();
        }
        known.unwrap_or_default()
    }

    /// What has an attribute; an error where a trial asks for its own, which nothing has.
    fn tried_or_fd(&self, ino: u64, name: &OsStr) -> Result<Arc<OwnedFd>, Errno> {
        let node = self.table.node(ino)?;
        if node.own.is_some() && name == ATTRIBUTE {
            return Err(UNTOUCHED);
        }
        self.table.fd(&node)
    }
}

/// Whether there is one, after a look for it; none where the look failed, which the next may not.
fn is_there(look: Result<usize, Errno>) -> Option<bool> {
    match look {
        Ok(_) => Some(true),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Some(false),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_fails_says_nothing_of_what_is_there() {
        assert_eq!(is_there(Ok(28)), Some(true));
        let none = [Errno::NODATA, Errno::OPNOTSUPP].map(|errno| is_there(Err(errno)));
        assert_eq!(none, [Some(false); 2]);
        assert_eq!([Errno::IO, Errno::NOMEM].map(|errno| is_there(Err(errno))), [None; 2]);
    }
}
