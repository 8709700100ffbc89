//! Extended attributes.

use std::{
    ffi::OsStr,
    os::fd::{AsFd as _, OwnedFd},
    sync::Arc,
};

use rustix::{
    fs::{XattrFlags, getxattr, listxattr, removexattr, setxattr},
    io::Errno,
};

use super::{Fs, attr::path_of};
use crate::host::io_trial::{ATTRIBUTE, UNTOUCHED};

/// The largest value or list that the kernel takes (linux/limits.h).
const MOST: usize = 65536;

impl Fs {
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

    pub(super) fn attribute(&self, ino: u64, name: &OsStr) -> Result<Vec<u8>, Errno> {
        let fd = self.tried_or_fd(ino, name)?;
        let mut value = vec![0; MOST];
        let length = getxattr(path_of(fd.as_fd()), name, &mut value[..])?;
        value.truncate(length);
        Ok(value)
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
