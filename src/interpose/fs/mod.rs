//! The filesystem: every operation is first shown to the rules, then done beneath.
//!
//! It is the only writer of what it holds of a file; permissions are checked by the kernel, by the
//! attributes it is given. It must never touch a path through its own mount.

mod answer;
mod attr;
mod data;
mod dir;
mod names;
mod open;
mod serve;
mod strike;
mod sync;
mod table;
mod xattr;

use std::{os::fd::OwnedFd, sync::Arc, time::Duration};

use rustix::io::Errno;

use self::{dir::Directories, open::Opened, table::Table};
use super::{armed::Armed, timer::Timer};
use crate::protocol::RuleFacts;
pub(super) use serve::Served;

/// How long the kernel may remember what it was told, where nobody else changes it.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who {
    uid: u32,
    gid: u32,
    pid: u32,
}

/// A filesystem with rules in it.
pub(super) struct Fs {
    table: Table,
    opened: Opened,
    directories: Directories,
    pub(super) armed: Armed,
    pub(super) timer: Timer,
    /// Names that begin with this are our own.
    mark: String,
    /// Nobody else changes what lies beneath.
    ours: bool,
}

impl Fs {
    pub(super) fn new(
        root: OwnedFd,
        ours: bool,
        mark: String,
        armed: Armed,
        most_kept: usize,
    ) -> Result<Arc<Self>, Errno> {
        let timer = Timer::start().map_err(|_| Errno::AGAIN)?;
        Ok(Arc::new(Self {
            table: Table::new(root, most_kept)?,
            opened: Opened::default(),
            directories: Directories::default(),
            armed,
            timer,
            mark,
            ours,
        }))
    }

    /// How long the kernel may remember attributes and names.
    fn remembered(&self) -> Duration {
        let forgets = !self.ours || self.armed.may_hit_looks();
        if forgets { Duration::ZERO } else { REMEMBERED }
    }

    /// What a set of rules has done.
    pub(super) fn facts(&self, set: &str) -> Option<RuleFacts> {
        self.armed.facts(set, |set| self.opened.out_of_reach(set))
    }
}
