//! The kernel's requests for the one file that there is: each is first shown to the rules, then done.

use std::{
    cell::RefCell,
    ffi::OsStr,
    io,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen,
    ReplyStatfs, ReplyWrite, Request, WriteFlags,
};

use super::{power::Powered, struck::Struck};
use crate::{
    interpose::{
        later::later,
        rules::{Rot, Span, Strike},
    },
    protocol::DiskOp,
};

/// A disk as the kernel's requests find it: a file of this name, alone in the root. By its name it is
/// known in lists of loop devices.
pub(super) struct Served {
    pub(super) disk: Arc<Powered>,
    pub(super) struck: Arc<Struck>,
    pub(super) name: String,
}

const ROOT: INodeNo = INodeNo(1);
const FILE: INodeNo = INodeNo(2);

/// Bytes of a request at a time. Larger ones would arrive in pieces, and could be torn anywhere.
const MOST_BYTES: u32 = 1 << 20;
/// Requests that the kernel has waiting at a time.
const BACKGROUND: u16 = 128;
/// The file's blocks, as direct I/O has to know them.
const BLOCK: u32 = 4096;
/// Nobody but us changes what the kernel is told.
const REMEMBERED: Duration = Duration::from_secs(3600);

const WANTED: InitFlags = InitFlags::FUSE_ASYNC_DIO;

thread_local! {
    /// What was read, until it is answered.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn errno(errno: rustix::io::Errno) -> Errno {
    Errno::from_i32(errno.raw_os_error())
}

fn answer(reply: ReplyEmpty, done: Result<(), rustix::io::Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(why) => reply.error(errno(why)),
    }
}

/// Reads so many bytes from there, with what has rotted.
fn read(disk: &Powered, (offset, size): (u64, u32), rot: Option<Rot>, reply: ReplyData) {
    let there = usize::try_from(size).unwrap_or_default();
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(buffer.len().max(there), 0);
        match disk.read(offset, &mut buffer[..there]) {
            Ok(()) => {
                rot.into_iter().for_each(|rot| rot.apply(offset, &mut buffer[..there]));
                reply.data(&buffer[..there]);
            }
            Err(why) => reply.error(errno(why)),
        }
    });
}

fn written(data: &[u8], reply: ReplyWrite) {
    reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
}

/// Where the parts of a write land: some may be lost, and some go astray.
fn landing(strike: &Strike, span: Span, end: u64) -> Vec<(Span, u64)> {
    let kept = strike.loses_write.as_ref().map_or(vec![span], |lost| lost.outside(span));
    match &strike.astray {
        Some(astray) => kept.into_iter().flat_map(|part| astray.landing(part, end)).collect(),
        None => kept.into_iter().map(|part| (part, part.0)).collect(),
    }
}

/// Writes these parts of the bytes, each to its place, and says that it was all of them.
fn write(disk: &Powered, offset: u64, data: &[u8], parts: &[(Span, u64)], reply: ReplyWrite) {
    let part = |(at, length): Span| {
        let from = usize::try_from(at - offset).ok()?;
        data.get(from..from + usize::try_from(length).ok()?)
    };
    let mut parts = parts.iter().filter_map(|(span, place)| Some((*place, part(*span)?)));
    match parts.try_for_each(|(at, bytes)| disk.write(at, bytes)) {
        Ok(()) => written(data, reply),
        Err(why) => reply.error(errno(why)),
    }
}

impl Served {
    fn attr(&self, ino: INodeNo) -> FileAttr {
        let (kind, perm, size, blocks) = match ino {
            ROOT => (FileType::Directory, 0o700, 0, 0),
            _ => (FileType::RegularFile, 0o600, self.disk.whole(), self.disk.chunks() * 8),
        };
        FileAttr {
            ino,
            size,
            blocks,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        }
    }
}

impl Filesystem for Served {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let _ = config.add_capabilities(WANTED);
        let _ = config.set_max_write(MOST_BYTES);
        let _ = config.set_max_background(BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == self.name.as_str() {
            reply.entry(&REMEMBERED, &self.attr(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&REMEMBERED, &self.attr(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let flags = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES;
        reply.opened(FileHandle(0), flags);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let _at_work = self.disk.pulse.begin();
        let there = u64::from(size).min(self.disk.whole().saturating_sub(offset));
        let there = u32::try_from(there).unwrap_or_default();
        let strike = self.struck.strike(DiskOp::Read, (offset, there.into()), || false);
        let (disk, rot) = (Arc::clone(&self.disk), strike.rot.clone());
        let read = move |reply| {
            let _at_work = disk.pulse.begin();
            read(&disk, (offset, there), rot, reply);
        };
        later(&self.struck.timer, &strike, reply, read);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let _at_work = self.disk.pulse.begin();
        if self.struck.announces(offset) {
            return written(data, reply);
        }
        let span = (offset, data.len() as u64);
        let strike = self.struck.strike(DiskOp::Write, span, || self.disk.is_fresh(span));
        if strike.is_none() {
            return write(&self.disk, offset, data, &[(span, offset)], reply);
        }
        let (disk, data) = (Arc::clone(&self.disk), data.to_vec());
        let parts = landing(&strike, span, disk.size());
        let write = move |reply| {
            let _at_work = disk.pulse.begin();
            write(&disk, offset, &data, &parts, reply);
        };
        later(&self.struck.timer, &strike, reply, write);
    }

    /// A descriptor is closed: nothing that a disk would know.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let _at_work = self.disk.pulse.begin();
        let (strike, disk) = (self.struck.strike_flush(), Arc::clone(&self.disk));
        let loses = strike.loses_sync;
        let flush = move |reply| {
            let _at_work = disk.pulse.begin();
            answer(reply, if loses { disk.lie() } else { disk.flush() });
        };
        later(&self.struck.timer, &strike, reply, flush);
    }

    /// The loop device asks for holes, and for zeros: both read as zeros.
    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode & (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE) == 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let _at_work = self.disk.pulse.begin();
        let strike = self.struck.strike(DiskOp::Discard, (offset, length), || false);
        let disk = Arc::clone(&self.disk);
        let zero = move |reply| {
            let _at_work = disk.pulse.begin();
            answer(reply, disk.zero(offset, length));
        };
        later(&self.struck.timer, &strike, reply, zero);
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let blocks = self.disk.whole() / u64::from(BLOCK);
        reply.statfs(blocks, 0, 0, 1, 0, BLOCK, 255, BLOCK);
    }
}
