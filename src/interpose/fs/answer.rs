//! Answers to the kernel: what was found or done, or why not.

use std::{cell::RefCell, ffi::OsStr};

use fuser::{
    FileAttr, FileHandle, Generation, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
};
use rustix::{
    fs::{StatVfs, fstatvfs},
    io::Errno,
};

use super::{
    Fs, Who, attr, data,
    names::{Bits, Found, MadeFile},
    table::{ROOT, is_ours},
    told::Told,
};
use crate::{
    interpose::{later::Refusable as _, rules::Strike},
    protocol::ToldRoom,
};

thread_local! {
    /// What was read, until it is answered.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn answer_empty(reply: Told<ReplyEmpty>, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.done().ok(),
        Err(errno) => reply.refuse(errno),
    }
}

pub(super) fn answer_bytes(reply: Told<ReplyXattr>, size: u32, found: Result<Vec<u8>, Errno>) {
    let room = usize::try_from(size).unwrap_or(usize::MAX);
    match found {
        Ok(bytes) if size == 0 => reply.done().size(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
        Ok(bytes) if bytes.len() > room => reply.refuse(Errno::RANGE),
        Ok(bytes) => reply.done().data(&bytes),
        Err(errno) => reply.refuse(errno),
    }
}

/// Says of a write that is not done that all of it is; what is torn besides fails.
pub(super) fn answer_lost(reply: Told<ReplyWrite>, length: usize, torn: Option<i32>) {
    match torn {
        Some(errno) => reply.refuse(Errno::from_raw_os_error(errno)),
        None => reply.moved(length as u64).written(u32::try_from(length).unwrap_or(u32::MAX)),
    }
}

/// Room as a rule tells of it; never less in all than is free.
fn room(mut stat: StatVfs, told: Option<ToldRoom>) -> StatVfs {
    let ToldRoom { bytes, inodes } = told.unwrap_or_default();
    if let Some(bytes) = bytes {
        let blocks = bytes / stat.f_frsize.max(1);
        (stat.f_bfree, stat.f_bavail) = (blocks, blocks);
        stat.f_blocks = stat.f_blocks.max(blocks);
    }
    if let Some(inodes) = inodes {
        stat.f_ffree = inodes;
        stat.f_files = stat.f_files.max(inodes);
    }
    stat
}

impl Fs {
    pub(super) fn answer_attributes(&self, reply: Told<ReplyAttr>, found: Result<FileAttr, Errno>) {
        match found {
            Ok(attr) => reply.done().attr(&self.remembered(&attr), &attr),
            Err(errno) => reply.refuse(errno),
        }
    }

    pub(super) fn answer_found(&self, reply: Told<ReplyEntry>, found: Result<Found, Errno>) {
        match found {
            Ok((attr, generation)) => {
                reply.done().entry(&self.remembered(&attr), &attr, Generation(generation));
            }
            Err(errno) => reply.refuse(errno),
        }
    }

    /// Likewise, of a name that was looked for: that nothing has it is remembered too, where nobody else
    /// makes names. What is our own may be made elsewhere.
    pub(super) fn answer_looked_up(
        &self,
        reply: Told<ReplyEntry>,
        (parent, name): (u64, &OsStr),
        found: Result<Found, Errno>,
    ) {
        let own = self.is_own(parent, name) || is_ours(parent, name);
        match (found, self.remembers_names()) {
            (Err(Errno::NOENT), Some(ttl)) if !own => {
                reply.done().entry(&ttl, &attr::nothing(), Generation(0));
            }
            (found, _) => self.answer_found(reply, found),
        }
    }

    /// Reads, as far and as right as what strikes it lets it.
    pub(super) fn answer_read(
        &self,
        reply: Told<ReplyData>,
        fh: u64,
        (offset, size): (u64, u32),
        strike: &Strike,
    ) {
        let size = u64::from(size).min(strike.keep.unwrap_or(u64::MAX));
        let size = usize::try_from(size).unwrap_or_default();
        let open = match self.opened.get(fh) {
            Ok(open) => open,
            Err(errno) => return reply.refuse(errno),
        };
        let late = strike.late.and_then(|late| self.length_as(&open.node, late));
        let there = late.map_or(u64::MAX, |before| before.size.saturating_sub(offset));
        let size = size.min(usize::try_from(there).unwrap_or(usize::MAX));
        BUFFER.with_borrow_mut(|buffer| {
            let buffer = data::even(buffer, size);
            match data::read(&open, buffer, offset) {
                Ok(length) => {
                    strike.harm.iter().for_each(|harm| harm.apply(&mut buffer[..length]));
                    reply.moved(length as u64).data(&buffer[..length]);
                }
                Err(errno) => reply.refuse(errno),
            }
        });
    }

    /// Writes; what is torn fails after that with this error.
    pub(super) fn answer_write(
        &self,
        reply: Told<ReplyWrite>,
        (who, fh): (Who, u64),
        (offset, data): (u64, &[u8]),
        torn: Option<i32>,
        durable: Option<data::Durable>,
    ) {
        let written = self.opened.get(fh).and_then(|open| {
            let grown = (&open.node, open.path.as_deref());
            let length = self.growing(who, grown, || self.write(&open, data, offset))?;
            durable.map_or(Ok(()), |how| self.synced(&open, how)).map(|()| length)
        });
        match (written, torn) {
            (Ok(_), Some(errno)) => reply.refuse(Errno::from_raw_os_error(errno)),
            (Ok(length), None) => {
                reply.moved(length as u64).written(u32::try_from(length).unwrap_or(u32::MAX));
            }
            (Err(errno), _) => reply.refuse(errno),
        }
    }

    /// Copies from one open file to another, as far and as right as what strikes it lets it.
    pub(super) fn answer_copy(
        &self,
        reply: Told<ReplyWrite>,
        from: (u64, u64),
        (who, to, offset): (Who, u64, u64),
        length: u64,
        strike: &Strike,
    ) {
        if strike.touches_bytes() || strike.loses_write.is_some() {
            return match self.to_be_copied(from.0, (from.1, length), strike) {
                Ok(data) if strike.loses_write.is_some() => {
                    answer_lost(reply, data.len(), strike.errno);
                }
                Ok(data) => {
                    self.answer_write(reply, (who, to), (offset, &data), strike.errno, None);
                }
                Err(errno) => reply.refuse(errno),
            };
        }
        match self.copy(from, (who, to, offset), length) {
            Ok(copied) => {
                reply.moved(copied as u64).written(u32::try_from(copied).unwrap_or(u32::MAX));
            }
            Err(errno) => reply.refuse(errno),
        }
    }

    pub(super) fn answer_open(&self, reply: Told<ReplyOpen>, ino: u64, flags: i32) {
        let node = match self.table.node(ino) {
            Ok(node) => node,
            Err(errno) => return reply.refuse(errno),
        };
        match self.open(&node, flags, None, |fd| reply.reply().open_backing(fd)) {
            Ok((fh, flags, Some(kernel))) => {
                reply.done().opened_passthrough(FileHandle(fh), flags, &kernel.id);
            }
            Ok((fh, flags, None)) => reply.done().opened(FileHandle(fh), flags),
            Err(errno) => reply.refuse(errno),
        }
    }

    pub(super) fn answer_create(
        &self,
        reply: Told<ReplyCreate>,
        who: Who,
        (parent, name): (u64, &OsStr),
        (bits, flags): (Bits, i32),
    ) {
        let make = || self.make_file(who, parent, name, (bits, flags));
        let made = self.making(who, (parent, name), make);
        let opened = made.and_then(|MadeFile { found, node, file }| {
            let opened = self.open(&node, flags, file, |fd| reply.reply().open_backing(fd));
            opened.map(|opened| (found, opened))
        });
        let ((attr, generation), (fh, flags, kernel)) = match opened {
            Ok(opened) => opened,
            Err(errno) => return reply.refuse(errno),
        };
        let (fh, ttl, generation) =
            (FileHandle(fh), self.remembered(&attr), Generation(generation));
        match kernel {
            Some(kernel) => {
                reply.done().created_passthrough(&ttl, &attr, generation, fh, flags, &kernel.id);
            }
            None => reply.done().created(&ttl, &attr, generation, fh, flags),
        }
    }

    pub(super) fn answer_statfs(&self, reply: Told<ReplyStatfs>, told: Option<ToldRoom>) {
        let root = self.table.node(ROOT).and_then(|root| self.table.fd(&root));
        let bits = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        match root.and_then(|root| fstatvfs(&root)).map(|stat| room(stat, told)) {
            Ok(stat) => reply.done().statfs(
                stat.f_blocks,
                stat.f_bfree,
                stat.f_bavail,
                stat.f_files,
                stat.f_ffree,
                bits(stat.f_bsize),
                bits(stat.f_namemax),
                bits(stat.f_frsize),
            ),
            Err(errno) => reply.refuse(errno),
        }
    }
}
