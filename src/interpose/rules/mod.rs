//! The rules engine: which operations are hit. Pure: no clock, no system call, no randomness.
//!
//! A decision is a hash of the seed, the rule, the path, the operation and how many of them came
//! before on that path, never a draw. So the same seed hits the same operations whatever the
//! threads do.

mod astray;
#[cfg(test)]
mod byte_model_tests;
mod bytes;
mod compiled;
mod cover;
mod decide;
mod delay;
#[cfg(test)]
mod model_tests;
mod packed;
mod rot;
mod set;
mod sets;
mod syncs;

use std::{fmt, time::Duration};

use crate::{
    errno::Errno,
    protocol::{IoOp, ReadBack, Retry, ToldAttributes, ToldRoom},
};
pub use astray::Astray;
pub use bytes::Harm;
pub use compiled::{BadGlob, Globs};
pub use cover::{Cover, Span};
pub use packed::Room;
pub use rot::Rot;
pub use set::{Hits, RuleSet};
pub use sets::Sets;
pub use syncs::{Found, Syncs};

/// An operation, as far as rules look at it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Which.
    pub op: IoOp,
    /// Path below the volume's root, without a slash at either end.
    pub path: &'a str,
    /// Where it reads or writes, and how many bytes.
    pub span: Option<(u64, u64)>,
    /// How many bytes there are for it to move: less than it asks for, at the end of a file.
    pub bytes: u64,
    /// How long the file has been open; none where it is found by its name.
    pub open_for: Option<Duration>,
    /// Of a sync of a file: what it finds.
    pub sync: Option<Found>,
    /// As a write to a disk: it needs room that nothing has had yet.
    pub fresh: bool,
    /// As a look: what others have changed of what it looks at.
    pub changed: Option<Changed>,
    /// User of the caller, as the host counts.
    pub uid: u32,
    /// Pid of the caller, as the host counts.
    pub pid: u32,
    /// It is a look of our own, as a probe's: struck like any other, and no sign that the service
    /// does anything.
    pub ours: bool,
    /// A trial: it counts as anybody's, anywhere, of any size.
    pub trial: bool,
}

/// What others have changed, and who looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// How long ago the last of them did.
    pub ago: Duration,
    /// Mount namespace of the caller; none where it is not known.
    pub who: Option<u64>,
}

/// A look that sees what was there before others changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    /// So long ago.
    pub time: Duration,
    /// Mount namespace of the caller.
    pub who: Option<u64>,
}

/// What happens to an operation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Strike {
    /// It waits for so long.
    pub delay: Duration,
    /// Then it fails with this error number.
    pub errno: Option<i32>,
    /// Before it fails, or instead, so many of its bytes are moved.
    pub keep: Option<u64>,
    /// Bytes that are made wrong on the way.
    pub harm: Option<Harm>,
    /// As a read of a disk: bits that have turned over there.
    pub rot: Option<Rot>,
    /// As a sync of what was written: it is not brought to the disk; what comes after that.
    pub fails_sync: Option<(Retry, ReadBack)>,
    /// As a sync: it is not done, and says that it is.
    pub loses_sync: bool,
    /// As a write: likewise; to a disk, of the bytes that are meant.
    pub loses_write: Option<Cover>,
    /// As a write to a disk: it is done elsewhere.
    pub astray: Option<Astray>,
    /// What a look at attributes is told.
    pub attributes: Option<ToldAttributes>,
    /// What a look at how much room there is is told.
    pub room: Option<ToldRoom>,
    /// It sees what was there before.
    pub late: Option<Late>,
    /// Before all that it hangs.
    pub hang: Option<Hang>,
    /// Whose end ends the wait.
    pub by: Sets,
    /// Names of the sets that struck it.
    pub rules: Vec<String>,
}

/// An operation that hangs until the rule is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hang {
    /// For so long at most.
    pub at_most: Duration,
    /// Then it fails with this error number.
    pub errno: Option<i32>,
    /// The task that waits, as the host counts.
    pub task: u32,
}

impl Hang {
    fn of(us: u64, errno: Option<i32>, call: &Call<'_>) -> Self {
        Self { at_most: Duration::from_micros(us), errno, task: call.pid }
    }
}

impl Late {
    fn of(us: u64, call: &Call<'_>) -> Option<Self> {
        call.changed.map(|Changed { who, .. }| Self { time: Duration::from_micros(us), who })
    }
}

impl Strike {
    /// Nothing happens to it.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What it fails with, where nothing of it is done.
    #[must_use]
    pub fn refuses(&self) -> Option<i32> {
        self.errno.filter(|_| self.keep.is_none())
    }

    /// Whether what is moved is not what was asked for.
    #[must_use]
    pub fn touches_bytes(&self) -> bool {
        self.keep.is_some() || self.harm.is_some()
    }

    /// Several rules hit: times add up, the first error stays and says how much is done, and of
    /// what is done the least that a rule has kept; the first harm stays. What hangs is let go by
    /// those that hang it; a delay beside is nothing to wait for then.
    pub(super) fn add(&mut self, other: Self) {
        self.by = match (self.hang, other.hang) {
            (Some(_), None) => self.by,
            (None, Some(_)) => other.by,
            _ => self.by.and(other.by),
        };
        self.rules.extend(other.rules);
        self.delay += other.delay;
        self.harm = self.harm.or(other.harm);
        self.rot = self.rot.take().or(other.rot);
        self.loses_sync |= other.loses_sync;
        self.loses_write = self.loses_write.take().or(other.loses_write);
        self.astray = self.astray.take().or(other.astray);
        self.attributes = self.attributes.or(other.attributes);
        self.room = self.room.or(other.room);
        self.late = [self.late, other.late].into_iter().flatten().max_by_key(|late| late.time);
        self.fails_sync = self.fails_sync.or(other.fails_sync);
        match (self.errno, other.errno) {
            (Some(_), _) => {}
            (None, Some(_)) => (self.errno, self.keep) = (other.errno, other.keep),
            (None, None) => {
                self.keep = self.keep.into_iter().chain(other.keep).min();
            }
        }
        self.hang = match (self.hang, other.hang) {
            (Some(one), Some(other)) => Some(Hang {
                at_most: one.at_most + other.at_most,
                errno: one.errno.or(other.errno),
                ..one
            }),
            (one, other) => one.or(other),
        };
    }
}

/// What becomes of an operation, in words.
impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hangs = self.hang.map(|_| "hangs".to_owned());
        let late = (!self.delay.is_zero()).then(|| format!("{:?} late", self.delay));
        let kept = self.keep.map(|bytes| format!("{bytes} bytes done"));
        let harmed = self.harm.map(|_| "other bytes".to_owned());
        let rotten = self.rot.as_ref().map(|_| "other bits".to_owned());
        let errno = self.errno.or(self.hang.and_then(|hang| hang.errno));
        let failed = errno.map(|errno| Errno(errno).to_string());
        let lost = (self.loses_sync || self.loses_write.is_some())
            .then(|| "not done, and said to be".to_owned());
        let astray = self.astray.as_ref().map(|_| "done elsewhere".to_owned());
        let told = self.attributes.map(|_| "told other attributes".to_owned());
        let room = self.room.map(|_| "told of other room".to_owned());
        let before = self.late.map(|late| format!("told what was there {:?} before", late.time));
        let parts = [hangs, late, kept, harmed, rotten, lost, astray, told, room, before, failed];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}
