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

use super::{Fs, Who, answer::answer_bytes, attr::path_of, strike::At, told::Told};
use crate::{
    host::{
        device,
        io_trial::{ATTRIBUTE, UNTOUCHED},
    },
    protocol::IoOp,
};

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
        setxattr(path_of(fd.as_fd()), name, value, flags)
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
        removexattr(path_of(fd.as_fd()), name)
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
