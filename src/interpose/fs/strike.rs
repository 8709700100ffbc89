//! Between an operation and its rules: what strikes it, and the way on when something does.

use std::{ffi::OsStr, sync::Arc};

use super::{Fs, Who, data, open::Open, ours::is_ours, table::OURS};
use crate::{
    interpose::{
        later::{Refusable, later},
        rules::{Call, Found, Strike},
    },
    protocol::{IoOp, is_tried},
};

/// What an operation is done to.
#[derive(Clone, Copy)]
pub(super) enum At<'a> {
    /// A file.
    File(u64),
    /// A name in a directory.
    Name(u64, &'a OsStr),
    /// Some bytes of an open file.
    Bytes(&'a Open, u64, u64),
    /// An open file.
    Open(&'a Open),
    /// An open file that is synced, and what the sync finds.
    Sync(&'a Open, Found),
}

impl Fs {
    /// What strikes an operation. Costs next to nothing where no rule in force is about its kind.
    pub(super) fn strike(&self, who: Who, op: IoOp, at: At<'_>) -> Strike {
        if !self.armed.is_about(op) {
            return Strike::default();
        }
        let (path, trial) = self.path_at(at);
        // what shows another effect, such as the canaries of a cut, is not struck itself
        let shows = if trial { is_tried(&path, op) } else { !path.starts_with(OURS) };
        if !shows {
            return Strike::default();
        }
        let span = match at {
            At::Bytes(_, offset, length) => Some((offset, length)),
            _ => None,
        };
        let bytes = match at {
            // at its end there is less to read than is asked for
            At::Bytes(open, offset, length) if op == IoOp::Read && self.armed.touches_bytes() => {
                length.min(data::left(open, offset))
            }
            At::Bytes(_, _, length) => length,
            _ => 0,
        };
        let (uid, pid) = (who.uid, who.pid);
        let opened = match at {
            At::Bytes(open, ..) | At::Open(open) | At::Sync(open, _) => Some(open.since),
            At::File(_) | At::Name(..) => None,
        };
        let sync = match at {
            At::Sync(_, found) => Some(found),
            _ => None,
        };
        let (ours, open_for, fresh) = (!trial && is_ours(op, pid), None, false);
        let path = path.as_str();
        let call = Call { op, path, span, bytes, open_for, sync, fresh, uid, pid, ours, trial };
        self.armed.strike(&call, opened)
    }

    /// The name by which rules know what an operation is done to, and whether it is a trial.
    pub(super) fn path_at(&self, at: At<'_>) -> (String, bool) {
        match at {
            At::Name(parent, name) => {
                let own = self.is_own(parent, name);
                let name = name.to_string_lossy();
                let parent = self.table.node(parent).map(|parent| parent.path());
                match parent.unwrap_or_default() {
                    parent if parent.is_empty() => (name.into_owned(), own),
                    parent => (format!("{parent}/{name}"), own),
                }
            }
            At::File(ino) => match self.table.node(ino) {
                Ok(node) => match &node.own {
                    Some(own) => (own.clone(), true),
                    None => (node.path(), false),
                },
                Err(_) => (String::new(), false),
            },
            At::Bytes(open, ..) | At::Open(open) | At::Sync(open, _) => {
                let trial = open.node.own.is_some();
                match &open.path {
                    Some(path) => (path.to_string(), trial),
                    None => (open.node.path(), trial),
                }
            }
        }
    }

    /// Does what was asked, after what strikes it. `work` may run later, on another thread.
    pub(super) fn after<R: Refusable>(
        self: &Arc<Self>,
        strike: &Strike,
        reply: R,
        work: impl FnOnce(&Arc<Self>, R) + Send + 'static,
    ) {
        let fs = Arc::clone(self);
        later(&self.timer, strike, reply, move |reply| work(&fs, reply));
    }
}
