//! What the worker can observe, and what it answers.
//!
//! Reads change nothing, but for trials, which leave nothing behind, and for what is brought and needed no
//! more.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{
    AccessFacts, AllStruck, ArchiveFacts, ByteAttempt, ByteRange, ClockFacts, Dev, DiskAttempt,
    DurableAttempt, EscapeFacts, FlushAttempt, HostFacts, HttpReply, HttpRequest, Init,
    InnerEngineFacts, IoAttempt, IoFacts, LabelFacts, LinkState, MemoryFacts, OtherUser, Pace,
    PaceTrial, PageFacts, Place, ProcessFacts, QuotaFacts, QuotaGroup, ReplaySpec, Replayed,
    RuleFacts, Sole, StartTrial, SyncAttempt, TimesFacts, TracePiece, TreeFacts, TriedBytes,
    TriedDurable, TriedOp, TriedSync, TriedVisible, VisibleAttempt,
};

/// A question to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Read {
    /// What this host can do. → `Host`
    Host,
    /// The init of the container. → `Init`
    Init(Place),
    /// As the question in it, also where the container has ended since the last act on it, a moment
    /// ago. → its answer
    Kept(Box<Read>),
    /// The stack of mounts at exactly this path, bottom first. → `Mounts`
    MountStack(Place),
    /// The mount that this path resolves to. → `Mounts`, one element
    MountOf(Place),
    /// Space and inodes of the filesystem under this path. → `Fs`
    Fs(Place),
    /// A quota group of the btrfs under this path. → `Quota`
    Quota {
        /// A directory on the filesystem.
        place: Place,
        /// Which.
        group: QuotaGroup,
    },
    /// One file, not following a final symbolic link. → `File`
    File {
        /// The file.
        place: Place,
        /// Also compute the SHA-256 of its content.
        digest: bool,
        /// Also return up to this many bytes of its content.
        content: u64,
    },
    /// When a file, or the files below a directory, were used; up to so many. → `Times`
    Times {
        /// The file or the directory.
        place: Place,
        /// The most that are listed.
        most: usize,
    },
    /// The wall clocks of a container's processes. → `Clock`
    Clock {
        /// The container; its path is not used.
        place: Place,
        /// How long it is waited for one that asks for the time; 0 for not at all.
        within_ms: u64,
    },
    /// The `SELinux` label of a path. → `Label`
    Label(Place),
    /// Where a file of an overlay is kept. → `Upper`
    Upper(Place),
    /// A directory tree, without our own filler. → `Tree`
    Tree(Place),
    /// Tar archives, oldest first: the last component of the path is a pattern. → `Archives`
    Archives {
        /// Directory and pattern.
        place: Place,
        /// Only what they hold under this relative path.
        below: Option<String>,
    },
    /// Descriptors of the container that are open for writing on the mount of this path. → `Writers`
    Writers(Place),
    /// Try to create and remove a file in this directory. → `Tried`
    TryCreate(Place),
    /// Try to write, sync and remove a file of this many bytes in this directory. → `Tried`
    TryWrite {
        /// The directory.
        place: Place,
        /// Bytes to write.
        bytes: u64,
    },
    /// Try to hard-link a new file from this directory into another. → `Tried`
    TryLink {
        /// The directory of the new file.
        place: Place,
        /// The directory of the link: an absolute path in the same container.
        into: String,
    },
    /// Try what the container's init may do with a file, or in a directory. → `Access`
    TryAccess(Place),
    /// Try to make an inotify instance and to watch this directory, as another user. → `Tried`
    TryInotify {
        /// The directory.
        place: Place,
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// Watch a directory, create and remove a file in another, and say what was told. → `Events`
    TryEvents {
        /// The directory that is watched.
        place: Place,
        /// The directory that is changed: another way to the same one, as a rule.
        from: Place,
        /// Milliseconds to wait for the first event.
        within_ms: u64,
    },
    /// The user that the container's init acts as. → `User`
    User(Place),
    /// An HTTP request from inside the container's network namespace. → `Http`
    Http {
        /// The container; its path is not used.
        place: Place,
        /// The request.
        request: HttpRequest,
    },
    /// Interfaces and addresses of the container's network namespace. → `Net`
    Net(Place),
    /// Try to open a TCP connection from inside the container's network namespace. → `Tried`
    Connect {
        /// The container; its path is not used.
        place: Place,
        /// Where to: an address and a port.
        to: SocketAddr,
        /// Milliseconds until the attempt is given up, as `ETIMEDOUT`.
        timeout_ms: u64,
    },
    /// Attached loop devices that are ours: backing file in the run's image directory. → `Loops`
    Loops,
    /// Try a change in this directory that leaves nothing behind. → `Answered`
    Answers {
        /// The directory.
        place: Place,
        /// How long it is waited for.
        within_ms: u64,
    },
    /// How much of a file, or of every file below a directory, is in the page cache. → `PageCache`
    PageCache(Place),
    /// What limits the container's I/O on the disk beneath this path. → `Io`
    IoLimits(Place),
    /// What the disk beneath this path has taken. → `Written`
    Written(Place),
    /// Measure the container's I/O at this path. → `Pace`
    Pace {
        /// A directory.
        place: Place,
        /// What to do.
        trial: PaceTrial,
    },
    /// What a set of rules of an interposer has done. → `Rules`
    Rules {
        /// Name of the interposer.
        interposer: String,
        /// Name of the set.
        set: String,
    },
    /// All that a set of rules of an interposer has struck, by the numbers. → `Struck`
    Struck {
        /// Name of the interposer.
        interposer: String,
        /// Name of the set.
        set: String,
    },
    /// The trace of an interposer, from a byte of its file on, as much as one answer takes. → `Trace`
    Trace {
        /// Name of the interposer.
        interposer: String,
        /// The byte.
        from: u64,
    },
    /// The trace of an inserted interposer was brought: it is removed, and with it all else that one which
    /// has ended has left. → `Nothing`
    ForgetTrace {
        /// Name of the interposer.
        interposer: String,
    },
    /// What the container's processes hold of a directory since before this interposer was inserted
    /// there. → `Escapes`
    Escapes {
        /// The directory.
        place: Place,
        /// Name of the interposer.
        interposer: String,
    },
    /// Try operations with an interposer's own files, which leave nothing behind, until each was
    /// hit. → `IoTried`
    TryIo(IoAttempt),
    /// Move known bytes to or from an interposer's own files, which leave nothing behind, until not
    /// all of them arrived as they were. → `BytesTried`
    TryBytes(ByteAttempt),
    /// Write to an interposer's own file and sync it, until that fails; then sync it again. Nothing
    /// is left behind. → `SyncTried`
    TrySync(SyncAttempt),
    /// Write to an interposer's own file and sync it, and look whether that made it durable. Nothing
    /// is left behind. → `DurableTried`
    TryDurable(DurableAttempt),
    /// Make an interposer's own file from elsewhere, and look for it in the container. → `VisibleTried`
    TryVisible(VisibleAttempt),
    /// Try requests to a disk of ours, behind the filesystem's end, until each was hit. → `IoTried`
    TryDisk(DiskAttempt),
    /// Move known bytes there by one kind of request, until not all of them arrive. → `BytesTried`
    TryDiskBytes(DiskAttempt),
    /// Write there and flush, and look whether that made it durable. → `DurableTried`
    TryFlush(FlushAttempt),
    /// Have a kept state recovered on the disk that begins with it, and judge it. → `Replayed`
    Replay(ReplaySpec),
    /// Where a file lies on the device of its filesystem. → `OnDevice`
    OnDevice(Place),
    /// Every mount in the container's namespace. → `Mounts`
    AllMounts(Place),
    /// Who else uses the filesystem under this path, beside those who may; the first few. → `Others`
    Others {
        /// A path on the filesystem.
        place: Place,
        /// Who may use it.
        sole: Sole,
    },
    /// Memory of the container's cgroup; the path is not used. → `Memory`
    Memory(Place),
    /// The container's processes, its init among them; the path is not used. → `Processes`
    Processes(Place),
    /// The engine that runs in the container; the path is not used. → `InnerEngine`
    InnerEngine(Place),
    /// Try to create and start a container on that engine, and remove it. → `Started`
    TryStart(Place),
}

impl Read {
    /// The question, whoever may answer it.
    #[must_use]
    pub fn itself(&self) -> &Self {
        if let Self::Kept(question) = self { question } else { self }
    }
}

/// The worker's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reading {
    /// Done; there is nothing to say.
    Nothing,
    /// A kept state.
    Replayed(Replayed),
    /// The host.
    Host(Box<HostFacts>),
    /// A container's init.
    Init(Init),
    /// Mounts, bottom first.
    Mounts(Vec<MountFacts>),
    /// A filesystem.
    Fs(FsFacts),
    /// A quota; `None` where quotas are switched off, or there is no such group.
    Quota(Option<QuotaFacts>),
    /// A file; `None` where there is none.
    File(Option<FileFacts>),
    /// When files were used.
    Times(TimesFacts),
    /// An `SELinux` label.
    Label(LabelFacts),
    /// Wall clocks.
    Clock(ClockFacts),
    /// The inode in the upper layer; `None` where the file is in a lower one only.
    Upper(Option<u64>),
    /// A tree.
    Tree(TreeFacts),
    /// Archives, oldest first.
    Archives(Vec<ArchiveFacts>),
    /// Open writers.
    Writers(WriterFacts),
    /// How a trial went.
    Tried(Trial),
    /// What was told of a change.
    Events(EventFacts),
    /// A user.
    User(UserFacts),
    /// A network namespace.
    Net(NetFacts),
    /// What a container's init may do.
    Access(AccessFacts),
    /// An HTTP reply, or why there was none.
    Http(Result<HttpReply, String>),
    /// Microseconds until a change came back; `None` when it did not in time.
    Answered(Option<u64>),
    /// What is in the page cache.
    PageCache(PageFacts),
    /// What limits I/O.
    Io(IoFacts),
    /// Bytes that a disk has taken since it is there; none where no single one is beneath the path.
    Written(Option<u64>),
    /// How fast it is.
    Pace(Pace),
    /// What a set of rules has done; none where there never was one.
    Rules(Option<RuleFacts>),
    /// All that a set of rules has struck; none where there never was one.
    Struck(Option<AllStruck>),
    /// Some of a trace.
    Trace(TracePiece),
    /// What an inserted interposer does not reach.
    Escapes(EscapeFacts),
    /// How operations went.
    IoTried(Vec<TriedOp>),
    /// What became of known bytes.
    BytesTried(TriedBytes),
    /// How syncs went.
    SyncTried(TriedSync),
    /// Whether a sync made something durable.
    DurableTried(TriedDurable),
    /// Who saw a file.
    VisibleTried(TriedVisible),
    /// Ranges of a device, in the order of the file that is there.
    OnDevice(Vec<ByteRange>),
    /// Loop devices.
    Loops(Vec<LoopFacts>),
    /// Who else uses a filesystem.
    Others(Vec<OtherUser>),
    /// A container's memory.
    Memory(MemoryFacts),
    /// A container's processes, by pid.
    Processes(Vec<ProcessFacts>),
    /// An engine in a container.
    InnerEngine(InnerEngineFacts),
    /// How a start on it went.
    Started(StartTrial),
}

/// How a trial went: the errno's name, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// `ENOSPC`, `EROFS`, …; none when it worked.
    pub errno: Option<String>,
}

/// What inotify told of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFacts {
    /// Why the directory could not be watched; none when it was.
    pub errno: Option<String>,
    /// Names of the events, as in `CREATE`.
    pub seen: Vec<String>,
}

/// The user of a container's init.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFacts {
    /// Effective user id, as the host counts.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// The container has a user namespace of its own, and limits counted there.
    pub own_namespace: bool,
    /// A process outside the container that is the same user: `sshd (pid 612)`.
    pub shared_with: Option<String>,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountFacts {
    /// Mount id, unique in its boot for as long as it lives.
    pub id: u64,
    /// Its superblock.
    pub dev: Dev,
    /// Path within the filesystem that is the root of the mount.
    pub root: String,
    /// Where it is mounted.
    pub mount_point: String,
    /// Options of the mount: `rw,nosuid,relatime`.
    pub options: Vec<String>,
    /// Filesystem type.
    pub fs_type: String,
    /// Source.
    pub source: String,
    /// Options of the superblock.
    pub super_options: Vec<String>,
}

/// Space and inodes of a filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FsFacts {
    /// Its superblock.
    pub dev: Dev,
    /// `ext4`, `xfs`, `btrfs`, `tmpfs`, `overlay`, …
    pub fs_type: String,
    /// Bytes in all.
    pub bytes_total: u64,
    /// Bytes free, the reserve of root included.
    pub bytes_free: u64,
    /// Bytes free to ordinary users.
    pub bytes_available: u64,
    /// Inodes in all; 0 where the filesystem has no limit.
    pub inodes_total: u64,
    /// Inodes free.
    pub inodes_free: u64,
    /// Refuses writes, by its own or its mount's flag.
    pub read_only: bool,
    /// The same superblock also holds the engine's data root, the journal or the host's `/`.
    pub is_host: bool,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// `file`, `directory`, `symlink`, `fifo`, `socket`, `device`.
    pub kind: String,
    /// Bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What the name points to.
    pub link: LinkState,
    /// Modification time, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// When it was made, nanoseconds since the epoch; none where the filesystem does not say.
    pub born_ns: Option<i64>,
    /// SHA-256 of the content in hex, where asked for.
    pub sha256: Option<String>,
    /// The first bytes of the content, where asked for; invalid UTF-8 replaced.
    pub content: Option<String>,
}

/// Descriptors open for writing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriterFacts {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub sample: Vec<OpenFile>,
}

/// One descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenFile {
    /// Pid in the host's namespace.
    pub pid: u32,
    /// Command name.
    pub command: String,
    /// Path as the process sees it.
    pub path: String,
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetFacts {
    /// Names of its interfaces, the loopback included.
    pub interfaces: Vec<String>,
    /// Its own IPv4 addresses, each once.
    pub addresses: Vec<String>,
}

/// A loop device of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoopFacts {
    /// Node on the host.
    pub device: String,
    /// Backing file.
    pub backing_file: String,
}
