//! The kernel's operations, one after the other: shown to the rules, done, answered.
//!
//! Only wiring: what each does is in the file of its subject.

use std::{ffi::OsStr, io, path::Path, sync::Arc, time::SystemTime};

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, FopenFlags, INodeNo, KernelConfig,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request,
    TimeOrNow, WriteFlags,
};
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::{
    Fs, Who, agreed,
    answer::{answer_bytes, answer_empty, answer_lost},
    attr::{Change, told},
    data,
    names::{Bits, Made},
    strike::At,
    told::Told,
};
use crate::{
    interpose::{later::Refusable as _, rules::Strike},
    protocol::IoOp,
};

/// A filesystem as the kernel's requests find it.
pub(crate) struct Served(pub(crate) Arc<Fs>);

fn who(request: &Request) -> Who {
    Who { uid: request.uid(), gid: request.gid(), pid: request.pid() }
}

impl Served {
    fn make(
        &self,
        request: &Request,
        (parent, name): (INodeNo, &OsStr),
        made: Made,
        reply: ReplyEntry,
    ) {
        let (who, name) = (who(request), name.to_owned());
        let at = At::Name(parent.0, &name);
        let (strike, reply) = self.0.meet(who, IoOp::Create, at, reply);
        self.0.after(&strike, reply, move |fs, reply| {
            let make = || fs.make(who, parent.0, &name, &made);
            fs.answer_found(reply, fs.making(who, (parent.0, &name), make));
        });
    }

    fn remove(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        flags: AtFlags,
        reply: ReplyEmpty,
    ) {
        let (who, name) = (who(request), name.to_owned());
        let at = At::Name(parent.0, &name);
        let (strike, reply) = self.0.meet(who, IoOp::Unlink, at, reply);
        self.0.after(&strike, reply, move |fs, reply| {
            let remove = || fs.remove(parent.0, &name, flags);
            answer_empty(reply, fs.removing(who, (parent.0, &name), remove));
        });
    }
}

impl Filesystem for Served {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        agreed::agree(config);
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        let own = self.0.is_own(parent.0, &name) && !self.0.is_shown(parent.0, &name);
        // a trial finds its file whatever strikes looks: it is struck when it looks at it
        let (strike, reply) = match own {
            true => (Strike::default(), Told::untraced(reply)),
            false => self.0.meet(who(request), IoOp::Stat, At::Name(parent.0, &name), reply),
        };
        let (attributes, late) = (strike.attributes, strike.late);
        self.0.after(&strike, reply, move |fs, reply| {
            let found = fs.lookup_as(parent.0, &name, late);
            let told = |(attr, generation)| (told(attr, attributes), generation);
            fs.answer_looked_up(reply, (parent.0, &name), found.map(told));
        });
    }

    fn forget(&self, _: &Request, ino: INodeNo, finds: u64) {
        self.0.table.forget(ino.0, finds);
    }

    fn getattr(&self, request: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let (strike, reply) = self.0.meet(who(request), IoOp::Stat, At::File(ino.0), reply);
        let (attributes, late) = (strike.attributes, strike.late);
        self.0.after(&strike, reply, move |fs, reply| {
            let found = fs.table.node(ino.0).and_then(|node| fs.look_as(&node, late));
            fs.answer_attributes(reply, found.map(|attr| told(attr, attributes)));
        });
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        fh: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = Change { mode, uid, gid, size, atime, mtime };
        let (fh, who, at) = (fh.map(|fh| fh.0), who(request), At::File(ino.0));
        let op = if size.is_some() { IoOp::Truncate } else { IoOp::Attributes };
        let (strike, reply) = self.0.meet(who, op, at, reply);
        self.0.after(&strike, reply, move |fs, reply| {
            let node = fs.table.node(ino.0);
            let changed = node.and_then(|node| fs.change_for(who, &node, change, fh));
            fs.answer_attributes(reply, changed);
        });
    }

    fn readlink(&self, request: &Request, ino: INodeNo, reply: ReplyData) {
        let (strike, reply) = self.0.meet(who(request), IoOp::Readlink, At::File(ino.0), reply);
        self.0.after(&strike, reply, move |fs, reply| match fs.read_link(ino.0) {
            Ok(target) => reply.done().data(&target),
            Err(errno) => reply.refuse(errno),
        });
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        self.make(request, (parent, name), Made::Node(Bits { mode, umask }, device), reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        self.make(request, (parent, name), Made::Directory(Bits { mode, umask }), reply);
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        self.make(request, (parent, name), Made::Symlink(target.into()), reply);
    }

    fn link(
        &self,
        request: &Request,
        ino: INodeNo,
        parent: INodeNo,
        name: &OsStr,
        reply: ReplyEntry,
    ) {
        self.make(request, (parent, name), Made::Link(ino.0), reply);
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(request, parent, name, AtFlags::empty(), reply);
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(request, parent, name, AtFlags::REMOVEDIR, reply);
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (name, new_name, who) = (name.to_owned(), new_name.to_owned(), who(request));
        let at = At::Name(parent.0, &name);
        let (strike, reply) = self.0.meet(who, IoOp::Rename, at, reply);
        let reply = reply.to(|| self.0.path_of_name(new_parent.0, &new_name));
        self.0.after(&strike, reply, move |fs, reply| {
            let (from, to) = ((parent.0, name.as_os_str()), (new_parent.0, new_name.as_os_str()));
            let exchanges = flags.contains(RenameFlags::RENAME_EXCHANGE);
            let rename = || fs.rename(from, to, flags.bits());
            answer_empty(reply, fs.renaming(who, [from, to], exchanges, rename));
        });
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let (strike, reply) = self.0.meet(who(request), IoOp::Open, At::File(ino.0), reply);
        self.0.after(&strike, reply, move |fs, reply| fs.answer_open(reply, ino.0, flags.0));
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let (who, name) = (who(request), name.to_owned());
        let at = At::Name(parent.0, &name);
        let (strike, reply) = self.0.meet(who, IoOp::Create, at, reply);
        self.0.after(&strike, reply, move |fs, reply| {
            fs.answer_create(reply, who, (parent.0, &name), (Bits { mode, umask }, flags));
        });
    }

    fn read(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let open = match self.0.opened.get(fh.0) {
            Ok(open) => open,
            Err(errno) => return reply.refuse(errno),
        };
        let at = At::Bytes(&open, offset, u64::from(size));
        let (strike, reply) = self.0.meet(who(request), IoOp::Read, at, reply);
        let struck = strike.clone();
        self.0.after(&strike, reply, move |fs, reply| {
            fs.answer_read(reply, fh.0, (offset, size), &struck);
        });
    }

    fn write(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        how: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let open = match self.0.opened.get(fh.0) {
            Ok(open) => open,
            Err(errno) => return reply.refuse(errno),
        };
        let (who, offset) = (who(request), data::place(&open, offset, flags.0));
        let at = At::Bytes(&open, offset, data.len() as u64);
        let (strike, reply) = self.0.meet(who, IoOp::Write, at, reply);
        if how.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID)
            && strike.refuses().is_none()
            && let Err(errno) = self.0.drop_set_id(&open.node)
        {
            return reply.refuse(errno);
        }
        // of the file, or of this write alone: the kernel leaves that to us
        let durable = data::Durable::of(flags.0);
        if strike.is_none() {
            // the bytes are the kernel's: not copied where nothing has to wait
            return self.0.answer_write(reply, (who, fh.0), (offset, data), None, durable);
        }
        let (said, torn) = (data.len(), strike.errno);
        let data = data::shaped(data, &strike);
        let lost = strike.loses_write.is_some();
        self.0.after(&strike, reply, move |fs, reply| match lost {
            true => answer_lost(reply, said, torn),
            false => fs.answer_write(reply, (who, fh.0), (offset, &data), torn, durable),
        });
    }

    fn release(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let reply = self.0.see_closed(who(request), At::File(ino.0), reply);
        self.0.opened.close(fh.0);
        reply.done().ok();
    }

    fn fsync(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        data_alone: bool,
        reply: ReplyEmpty,
    ) {
        self.0.answer_sync(who(request), fh.0, data_alone, reply);
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.0.open_dir(ino.0) {
            Ok(fh) => reply.opened(FileHandle(fh), FopenFlags::empty()),
            Err(errno) => reply.refuse(errno),
        }
    }

    fn readdir(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        reply: ReplyDirectory,
    ) {
        let who = who(request);
        let (strike, reply) = self.0.meet(who, IoOp::List, At::File(ino.0), reply);
        self.0.after(&strike, reply, move |fs, mut reply| {
            match fs.read_dir(who, (ino.0, fh.0), offset, reply.reply_mut()) {
                Ok(()) => reply.done().ok(),
                Err(errno) => reply.refuse(errno),
            }
        });
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.directories.close(fh.0);
        reply.ok();
    }

    fn fsyncdir(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.answer_sync_dir(who(request), (ino.0, fh.0), reply);
    }

    fn statfs(&self, request: &Request, ino: INodeNo, reply: ReplyStatfs) {
        let (strike, reply) = self.0.meet(who(request), IoOp::Statfs, At::File(ino.0), reply);
        let room = strike.room;
        self.0.after(&strike, reply, move |fs, reply| fs.answer_statfs(reply, room));
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let (name, value) = (name.to_owned(), value.to_vec());
        let (strike, reply) = self.0.meet(who(request), IoOp::SetXattr, At::File(ino.0), reply);
        self.0.after(&strike, reply, move |fs, reply| {
            answer_empty(reply, fs.set_attribute(ino.0, &name, &value, flags));
        });
    }

    fn getxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        size: u32,
        reply: ReplyXattr,
    ) {
        self.0.answer_attribute(who(request), (ino.0, name), size, reply);
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let (strike, reply) = self.0.meet(who(request), IoOp::Xattr, At::File(ino.0), reply);
        self.0.after(&strike, reply, move |fs, reply| {
            answer_bytes(reply, size, fs.attribute_names(ino.0));
        });
    }

    fn removexattr(&self, request: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let name = name.to_owned();
        let (strike, reply) = self.0.meet(who(request), IoOp::SetXattr, At::File(ino.0), reply);
        self.0.after(&strike, reply, move |fs, reply| {
            answer_empty(reply, fs.remove_attribute(ino.0, &name));
        });
    }

    fn fallocate(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let open = match self.0.opened.get(fh.0) {
            Ok(open) => open,
            Err(errno) => return reply.refuse(errno),
        };
        let who = who(request);
        let (strike, reply) = self.0.meet(who, IoOp::Truncate, At::Open(&open), reply);
        self.0.after(&strike, reply, move |fs, reply| {
            let grown = (&open.node, open.path.as_deref());
            let dropped = || fs.drop_set_id_for(who, &open.node);
            let allocate = || dropped().and_then(|()| fs.allocate(&open, (offset, length), mode));
            answer_empty(reply, fs.growing(who, grown, allocate));
        });
    }

    fn lseek(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let (strike, reply) = self.0.meet(who(request), IoOp::Seek, At::File(ino.0), reply);
        self.0.after(&strike, reply, move |fs, reply| {
            match fs.opened.get(fh.0).and_then(|open| data::next(&open, offset, whence)) {
                Ok(offset) => reply.done().offset(offset),
                Err(errno) => reply.refuse(errno),
            }
        });
    }

    fn copy_file_range(
        &self,
        request: &Request,
        _: INodeNo,
        from: FileHandle,
        from_offset: u64,
        _: INodeNo,
        to: FileHandle,
        to_offset: u64,
        length: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        // the kernel copies by reads and writes then, which rules strike and which are remembered and traced
        let apart = self.0.history.is_some() || self.0.tracer.is_some();
        if apart || self.0.armed.is_about(IoOp::Read) {
            return reply.refuse(Errno::XDEV);
        }
        let open = match self.0.opened.get(to.0) {
            Ok(open) => open,
            Err(errno) => return reply.refuse(errno),
        };
        let length = self.0.there_to_copy(from.0, (from_offset, length));
        let (who, at) = (who(request), At::Bytes(&open, to_offset, length));
        let (strike, reply) = self.0.meet(who, IoOp::Write, at, reply);
        let struck = strike.clone();
        self.0.after(&strike, reply, move |fs, reply| {
            fs.answer_copy(reply, (from.0, from_offset), (who, to.0, to_offset), length, &struck);
        });
    }
}
