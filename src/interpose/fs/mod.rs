//! The filesystem: every operation is first shown to the rules, then done beneath.
//!
//! It is the only writer of what it holds of a file; permissions are checked by the kernel, by the
//! attributes it is given. It must never touch a path through its own mount.

mod agreed;
mod answer;
mod attr;
mod data;
mod dir;
mod history;
mod names;
mod open;
mod ours;
mod own;
mod serve;
mod sight;
mod strike;
mod sync;
mod table;
mod told;
mod xattr;

use std::{os::fd::OwnedFd, sync::Arc, time::Duration};

use fuser::FileAttr;
use rustix::io::Errno;

use self::{dir::Directories, history::History, open::Opened, sight::Sight, table::Table};
use super::{armed::Armed, timer::Timer, trace::Tracer};
use crate::protocol::{CutProfile, Durability, PendingFacts, RuleFacts};
pub(super) use serve::Served;

/// How long the kernel may remember what it was told, where nobody else changes it.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Set-id bits.
const SET_ID: u16 = 0o6000;

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
    /// What is not durable; none where nobody asks.
    history: Option<History>,
    /// What some do not see yet.
    sight: Sight,
    /// Where every operation is written down; none where nobody asks.
    pub(super) tracer: Option<Arc<Tracer>>,
    /// Names that begin with this are our own.
    mark: String,
    /// Nobody else changes what lies beneath.
    ours: bool,
}

impl Fs {
    pub(super) fn new(
        root: OwnedFd,
        (ours, mark): (bool, String),
        (armed, remembers): (Armed, Option<Durability>),
        tracer: Option<Tracer>,
        most_kept: usize,
    ) -> Result<Arc<Self>, Errno> {
        let aside = format!("{mark}-aside");
        let begin = |durability| History::begin(&root, &aside, durability);
        let history = remembers.map(begin).transpose()?;
        let timer = Timer::start().map_err(|_| Errno::AGAIN)?;
        Ok(Arc::new(Self {
            table: Table::new(root, most_kept)?,
            opened: Opened::default(),
            directories: Directories::default(),
            armed,
            timer,
            history,
            sight: Sight::default(),
            tracer: tracer.map(Arc::new),
            mark,
            ours,
        }))
    }

    /// How long the kernel may remember a name and these attributes: set-id bits go with a write, and
    /// nobody tells it.
    fn remembered(&self, attr: &FileAttr) -> Duration {
        let remembers = self.remembers_names().filter(|_| attr.perm & SET_ID == 0);
        remembers.unwrap_or(Duration::ZERO)
    }

    /// How long it may remember which names there are; none where it must not.
    fn remembers_names(&self) -> Option<Duration> {
        let asks = self.tracer.is_some() || self.armed.may_hit_looks();
        let forgets = !self.ours || self.history.is_some() || asks;
        (!forgets).then_some(REMEMBERED)
    }

    /// Closes the fence after so many changes, or opens it; none where nothing is remembered.
    pub(super) fn fence(&self, after: Option<u64>) -> Option<PendingFacts> {
        self.history.as_ref().map(|history| history.fence(after))
    }

    /// What is not durable; none where nothing is remembered.
    pub(super) fn pending(&self) -> Option<PendingFacts> {
        self.history.as_ref().map(History::facts)
    }

    /// Undoes what a cut takes; none where nothing is remembered.
    pub(super) fn settle(
        &self,
        profile: CutProfile,
        seed: u64,
    ) -> Option<Result<PendingFacts, Errno>> {
        self.history.as_ref().map(|history| history.settle(&self.table, profile, seed))
    }

    /// What a set of rules has done.
    pub(super) fn facts(&self, set: &str) -> Option<RuleFacts> {
        let open = self.opened.count();
        let facts = self.armed.facts(set, open, |set| self.opened.out_of_reach(set))?;
        Some(RuleFacts { forgotten: self.forgotten(), ..facts })
    }
}
