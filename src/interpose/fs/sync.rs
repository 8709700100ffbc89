//! Syncs of files and directories, and the writes that they are about.

use std::sync::{Arc, atomic::Ordering};

use fuser::ReplyEmpty;
use rustix::{fs::fsync, io::Errno};

use super::{
    Fs, Who, answer::answer_empty, data, history::Synced, open::Open, strike::At, table::lock,
    told::Told,
};
use crate::{
    interpose::{later::Refusable as _, rules::Strike},
    protocol::{IoOp, ReadBack, Retry},
};

impl Fs {
    /// Brings what was written to a file to the disk, if what strikes it lets it.
    pub(super) fn answer_sync(
        self: &Arc<Self>,
        who: Who,
        fh: u64,
        data_alone: bool,
        reply: ReplyEmpty,
    ) {
        let open = match self.opened.get(fh) {
            Ok(open) => open,
            Err(errno) => return reply.refuse(errno),
        };
        let (strike, reply) = self.strike_sync(who, &open, reply);
        let lost = strike.loses_sync;
        self.after(&strike, reply, move |fs, reply| {
            let sync = || if lost { Ok(()) } else { data::sync(&open, data_alone) };
            let real = Synced::File(&open.node, data_alone);
            let what = if lost { Synced::Nothing } else { real };
            let done = match fs.remembers(&open.node) {
                Some(history) => history.sync(sync, what),
                None => sync(),
            };
            answer_empty(reply, done);
        });
    }

    /// Makes durable what was written, as a write asks for that says so itself.
    pub(super) fn synced(&self, open: &Open, how: data::Durable) -> Result<(), Errno> {
        let data_alone = how == data::Durable::Data;
        let sync = || data::sync(open, data_alone);
        match self.remembers(&open.node) {
            Some(history) => history.sync(sync, Synced::File(&open.node, data_alone)),
            None => sync(),
        }
    }

    /// Two syncs at a time do not find the same.
    fn strike_sync<R>(&self, who: Who, open: &Open, reply: R) -> (Strike, Told<R>) {
        let mut syncs = lock(&open.node.syncs);
        let found = syncs.find(open.told.load(Ordering::Relaxed));
        let (strike, reply) = self.meet(who, IoOp::Fsync, At::Sync(open, found), reply);
        if strike.fails_sync.is_some() {
            open.told.store(syncs.fail(), Ordering::Relaxed);
        } else if strike.errno.is_none() && !strike.loses_sync {
            syncs.succeed();
        }
        drop(syncs);
        if let (Some(fails), Some(history)) = (strike.fails_sync, self.remembers(&open.node)) {
            match fails {
                // what cannot be taken back is read as it was written, which a trial shows
                (_, ReadBack::Old) => drop(history.take_back(&self.table, open.node.ino)),
                // a later one that says that all is well is not about this any more
                (Retry::Succeeds, ReadBack::New) => history.give_up(open.node.ino),
                (Retry::Fails, ReadBack::New) => {}
            }
        }
        (strike, reply)
    }

    /// Brings the names of a directory to the disk.
    pub(super) fn answer_sync_dir(
        self: &Arc<Self>,
        who: Who,
        (ino, fh): (u64, u64),
        reply: ReplyEmpty,
    ) {
        let (strike, reply) = self.meet(who, IoOp::Fsync, At::File(ino), reply);
        let lost = strike.loses_sync;
        self.after(&strike, reply, move |fs, reply| {
            let real = || fs.directories.get(fh).and_then(|dir| fsync(&*lock(&dir)));
            let sync = || if lost { Ok(()) } else { real() };
            let done = match &fs.history {
                Some(history) if lost => history.sync(sync, Synced::Nothing),
                Some(history) => fs
                    .table
                    .node(ino)
                    .and_then(|directory| history.sync(sync, Synced::Directory(&directory))),
                None => sync(),
            };
            answer_empty(reply, done);
        });
    }
}
