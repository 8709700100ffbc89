//! Rules of the file interposer: which operations are hit, when, and what is done to them.
//!
//! Data only. A rule matches by path, operation, caller, range and size; its trigger picks among
//! what matches; its action is what the caller gets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Damage, Delay, Durability, Keep, Place, ReadBack, Reported, Retry, Struck, ToldAttributes,
    ToldRoom,
};
use crate::units::{Duration, Percent, Size};

/// What a process does to a file, as the interposer sees it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum IoOp {
    /// Change its mode, its owner or its times.
    Attributes,
    /// Make a file, a directory, a link or a node.
    Create,
    /// `fsync`, `fdatasync`, and `fsync` of a directory.
    Fsync,
    /// Read the names in a directory.
    List,
    /// Open a file.
    Open,
    /// Read its bytes.
    Read,
    /// Read where a symbolic link points to.
    Readlink,
    /// Give it another name.
    Rename,
    /// Look for data or holes in it: other seeks ask no filesystem.
    Seek,
    /// Set or remove one of its extended attributes.
    SetXattr,
    /// Look at its attributes, or for its name.
    Stat,
    /// Look at how much room there is, as `df` does.
    Statfs,
    /// Change its size, or allocate in it.
    Truncate,
    /// Remove a name.
    Unlink,
    /// Write its bytes.
    Write,
    /// Look at one of its extended attributes, or at their names. The kernel does so too, for access
    /// lists: then who is not the owner cannot open it either.
    Xattr,
}

impl IoOp {
    /// Every operation.
    pub const ALL: [Self; 16] = [
        Self::Attributes,
        Self::Create,
        Self::Fsync,
        Self::List,
        Self::Open,
        Self::Read,
        Self::Readlink,
        Self::Rename,
        Self::Seek,
        Self::SetXattr,
        Self::Stat,
        Self::Statfs,
        Self::Truncate,
        Self::Unlink,
        Self::Write,
        Self::Xattr,
    ];

    /// The word in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Attributes => "attributes",
            Self::Create => "create",
            Self::Fsync => "fsync",
            Self::List => "list",
            Self::Open => "open",
            Self::Read => "read",
            Self::Readlink => "readlink",
            Self::Rename => "rename",
            Self::Seek => "seek",
            Self::SetXattr => "set-xattr",
            Self::Stat => "stat",
            Self::Statfs => "statfs",
            Self::Truncate => "truncate",
            Self::Unlink => "unlink",
            Self::Write => "write",
            Self::Xattr => "xattr",
        }
    }

    /// It changes nothing: one of our own is none of the service's.
    #[must_use]
    pub fn is_look(self) -> bool {
        matches!(
            self,
            Self::List | Self::Readlink | Self::Seek | Self::Stat | Self::Statfs | Self::Xattr
        )
    }

    /// It moves a file's bytes: the kernel can do it without us where no rule is about it.
    #[must_use]
    pub fn moves_data(self) -> bool {
        matches!(self, Self::Read | Self::Write)
    }
}

/// Whose operations are hit; without any of these, everybody's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// User id, as the host counts.
    pub uid: Option<u32>,
    /// Command name; the kernel keeps 15 characters of it.
    pub process: Option<String>,
}

/// Which of the matching operations are hit; without any of these, all of them. Operations are
/// counted for each file and operation by itself, so that threads do not change the count.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// This share of them, chosen by the seed.
    pub probability: Option<Percent>,
    /// The n-th, from 1.
    pub nth: Option<u64>,
    /// Every n-th.
    pub every: Option<u64>,
    /// Only after this many.
    pub after: Option<u64>,
    /// Only after this many bytes.
    pub after_bytes: Option<Size>,
    /// Not before this time after the injection, up to 10s: the step lasts until then.
    pub from: Option<Duration>,
    /// Not after this time after the injection; without a revert, too.
    pub until: Option<Duration>,
}

/// Bytes from an offset up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ByteRange {
    /// The first byte.
    pub from: Size,
    /// The first byte after it.
    pub to: Size,
}

/// What happens to an operation that is hit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum IoAction {
    /// It is not done, and fails.
    Error {
        /// With this error number.
        errno: i32,
    },
    /// It is done, later.
    Delay(Delay),
    /// A write is done up to a byte within it, and fails.
    Tear {
        /// How much of it is done.
        keep: Keep,
        /// What it fails with.
        errno: i32,
    },
    /// A read or a write is done up to a byte within it, and says so.
    Shorten {
        /// How much of it is done.
        keep: Keep,
    },
    /// A read or a write is done, with some other bytes.
    Corrupt {
        /// What becomes of them.
        damage: Damage,
        /// How many, at most, one after the other.
        bytes: u32,
    },
    /// A read of a disk is done, with bits that have turned over at some places.
    Rot {
        /// How many of the chunks have one.
        share: Percent,
    },
    /// Nothing: but what was there before every change is remembered until it is durable.
    Remember,
    /// A sync of a file fails that has something to bring to the disk.
    FailSync {
        /// With this error number.
        errno: i32,
        /// Who is told.
        reported: Reported,
        /// What comes after it.
        retry: Retry,
        /// What is read of what was written before it.
        read_back: ReadBack,
    },
    /// A sync of a file or a directory says that it is done, and is not: what it was about is not
    /// durable.
    LoseSync,
    /// A write says that it is done, and is not: all of it to a file, the bytes that are meant to a disk.
    LoseWrite,
    /// A write to a disk says that it is done, and is done at another place.
    Misdirect {
        /// Up to so far away.
        distance: Size,
    },
    /// A look at attributes is told these.
    TellAttributes(ToldAttributes),
    /// A look at how much room there is is told this.
    TellRoom(ToldRoom),
    /// A write to a disk fails that needs room which nothing has had yet.
    NoRoom {
        /// With this error number.
        errno: i32,
    },
    /// It fails with `ESTALE` on a file that was open before the rule came into force. A trial's file
    /// counts as one.
    Stale,
    /// A look sees what was there before others changed it, for so many microseconds.
    Late {
        /// So many.
        us: u64,
        /// Only looks from the mount namespace with this number; without it, from everywhere.
        within: Option<u64>,
    },
    /// It hangs until the rule is gone. A caller that is killed meanwhile is let go.
    Stall {
        /// For so many microseconds at most.
        us: u64,
        /// Then it is not done, and fails with this error number; done without one.
        errno: Option<i32>,
    },
}

impl IoAction {
    /// Whether it strikes depends on what was written before: no write may pass it by.
    #[must_use]
    pub fn follows_writes(&self) -> bool {
        matches!(self, Self::FailSync { .. } | Self::LoseSync | Self::Remember)
    }

    /// It is about the bytes that an operation moves, and not about it as a whole.
    #[must_use]
    pub fn touches_bytes(&self) -> bool {
        matches!(self, Self::Tear { .. } | Self::Shorten { .. } | Self::Corrupt { .. })
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoRule {
    /// Globs of paths below the volume's root, which is the empty path; one must match. A file is
    /// known by the name under which it was opened.
    pub paths: Vec<String>,
    /// Operations.
    pub ops: Vec<IoOp>,
    /// Whose.
    pub by: Caller,
    /// Only reads and writes that touch one of these ranges; all, where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<ByteRange>,
    /// Only reads and writes of this many bytes or more.
    pub at_least: Option<Size>,
    /// Which of them.
    pub when: Trigger,
    /// What happens.
    pub action: IoAction,
}

/// What lies under an interposer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Backing {
    /// A directory on the engine's host.
    Directory {
        /// Its path in the engine's mount namespace.
        host_path: String,
    },
    /// Nothing: a disk of ours, which begins with an image of the run, lies under a real
    /// filesystem.
    Disk {
        /// File name of the image in the run's image directory.
        image: String,
    },
    /// The filesystem on the loop device of an image of the run.
    Image {
        /// File name of the image in the run's image directory.
        name: String,
        /// Its type: `ext4`.
        fs_type: String,
        /// Mount options.
        options: Vec<String>,
    },
}

/// How an interposer is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interposer {
    /// Its name, unique to the run: one plain path component.
    pub name: String,
    /// Names that begin with this are the interposer's own; a trial uses them.
    pub mark: String,
    /// What lies beneath.
    pub backing: Backing,
    /// Rules that may come. Files that none of them can hit are left to the kernel.
    pub expected: Vec<IoRule>,
    /// What its syncs make durable, where that is remembered.
    #[serde(default)]
    pub durability: Durability,
    /// Every operation is traced, and no file is left to the kernel.
    #[serde(default)]
    pub traced: bool,
}

/// What a set of rules has done.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFacts {
    /// It is in force.
    pub armed: bool,
    /// Milliseconds since it came into force.
    pub since_ms: u64,
    /// Operations that matched.
    pub matched: u64,
    /// Operations that were hit.
    pub hit: u64,
    /// Files open for which the kernel asks nobody: no rule reaches them until they are opened
    /// again.
    pub out_of_reach: u64,
    /// Files open through the interposer.
    pub open: u64,
    /// Changes that were seen at once because there were too many to remember, since the interposer
    /// is there.
    #[serde(default)]
    pub forgotten: u64,
    /// There were too many paths to count what is done to each: those that came last are counted
    /// together, and what was hit there has no number.
    #[serde(default)]
    pub overflowed: bool,
    /// The first operations that were hit, trials not among them.
    pub struck: Vec<Struck>,
}

/// Operations to be tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IoAttempt {
    /// The root of the interposer's mount in a container.
    pub place: Place,
    /// What names of the interposer's own begin with.
    pub mark: String,
    /// The operations.
    pub ops: Vec<IoOp>,
    /// Each is tried this often, or until it was hit.
    pub most: u64,
    /// It counts as hit when it takes this many microseconds, or fails.
    pub slow_us: u64,
    /// They may hang: one that is not back after this many milliseconds is given up, and counts as
    /// hit.
    pub within_ms: Option<u64>,
}

/// One operation of a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriedOp {
    /// Which.
    pub op: IoOp,
    /// Attempts until it was hit, or all of them.
    pub attempts: u64,
    /// The last attempt was hit.
    pub hit: bool,
    /// What the last attempt got; none when it worked.
    pub errno: Option<String>,
    /// Microseconds that the last attempt took.
    pub took_us: u64,
    /// The last attempt did not come back.
    pub hung: bool,
}
