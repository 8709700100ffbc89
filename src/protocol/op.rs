//! The primitive acts, and their inverses.
//!
//! Each undo op names the identity of what it touches and is idempotent: done twice, or done when
//! there is nothing left to undo, it succeeds and changes nothing.

use serde::{Deserialize, Serialize};

use super::{
    Dev, Ending, EngineOp, FileCutOp, FileId, FileOwner, Init, InotifyStock, InsertionOp,
    Interposer, IoLimits, IoRule, LinkState, MountFlag, Mounted, Place, PowerOp, QuotaGroup,
    QuotaWas, Series, SoleOp, TimeOp,
};
use crate::units::Percent;

/// One primitive act in the host's kernel or at the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Op {
    /// Stack a clone of the mount at `place` on top of itself, with attributes set on the clone.
    /// No attributes: links across the boundary fail with EXDEV.
    StackClone {
        /// The mount point, or where no attribute is changed any directory.
        place: Place,
        /// Attributes to set on the clone.
        set: Vec<MountFlag>,
        /// Attributes to clear on the clone.
        #[serde(default)]
        clear: Vec<MountFlag>,
    },
    /// Detach what was stacked above mount `keep`. Nothing to do once `init` is gone: its mount
    /// namespace went with it.
    Unstack {
        /// The mount point.
        place: Place,
        /// The init whose namespace was changed.
        init: Init,
        /// Mount id that must be on top again.
        keep: u64,
    },
    /// Mount an empty tmpfs over `place`; `mark` is its source name.
    StackTmpfs {
        /// The mount point.
        place: Place,
        /// Source name that says the mount is ours.
        mark: String,
        /// Limit in bytes; none for the kernel's default (half of memory).
        size: Option<u64>,
        /// Limit in inodes; none for the kernel's default.
        inodes: Option<u64>,
        /// Permission bits of its root.
        mode: u32,
        /// Owner of its root.
        uid: u32,
        /// Group of its root.
        gid: u32,
    },
    /// Detach the top mount at `place` if its source is `mark`.
    UnstackMarked {
        /// The mount point.
        place: Place,
        /// The init whose namespace was changed.
        init: Init,
        /// Source name that says the mount is ours.
        mark: String,
    },
    /// Keep a clone of the mount at `place`, and detach the mount.
    DetachMount {
        /// The mount point.
        place: Place,
        /// Mount id that must be found there, alone.
        mount: u64,
        /// The directory that must be found there.
        root: FileId,
    },
    /// Attach what was detached: the kept clone, or else another one by way of the engine.
    AttachMount {
        /// The mount point.
        place: Place,
        /// The init whose namespace was changed.
        init: Init,
        /// The directory that must be mounted there again.
        root: FileId,
        /// The flags it had, for a clone made anew.
        flags: Vec<MountFlag>,
    },
    /// Set the limits of the tmpfs at `place`: `None` leaves a limit, 0 removes it.
    SetTmpfsLimits {
        /// A path on the tmpfs.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Limit in bytes.
        size: Option<u64>,
        /// Limit in inodes.
        inodes: Option<u64>,
    },
    /// Shrink the tmpfs limits to what is in use, plus what is to be left free.
    ExhaustTmpfs {
        /// A path on the tmpfs.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Bytes to leave free; `None` leaves the limit alone.
        leave_bytes: Option<u64>,
        /// Inodes to leave free; `None` leaves the limit alone.
        leave_inodes: Option<u64>,
    },
    /// Create empty files under `marker` until only `leave` inodes are free.
    FillInodes {
        /// The directory that gets the marker directory.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Name of the filler directory.
        marker: String,
        /// Inodes to leave free.
        leave: u64,
    },
    /// Allocate bytes under `marker` until only `leave` are free.
    FillBytes {
        /// The directory that gets the marker directory.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Name of the filler directory.
        marker: String,
        /// Bytes to leave free.
        leave: u64,
    },
    /// Remove the marker directory and nothing else.
    RemoveFiller {
        /// The directory that holds the marker directory.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Name of the filler directory.
        marker: String,
    },
    /// Drop what is clean of a file, or of every file below a directory, from the page cache.
    DropCache {
        /// The file or the directory.
        place: Place,
    },
    /// Freeze a filesystem on an image of the run: whoever changes it waits.
    Freeze {
        /// A path on the filesystem.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// File name of its image in the run's image directory.
        image: String,
    },
    /// Thaw it; one that is not frozen is left alone.
    Thaw {
        /// A path on the filesystem.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// File name of its image: the way to it when it is mounted nowhere any more.
        image: String,
        /// Its type: `ext4`.
        fs_type: String,
    },
    /// Something done to a whole filesystem that is not the run's.
    Sole(SoleOp),
    /// Set the limits of a container's I/O on one device, if they are what they were. Nothing to do
    /// once `init` is gone: its cgroup went with it.
    LimitIo {
        /// A path on the device.
        place: Place,
        /// The init whose cgroup is changed.
        init: Init,
        /// The whole disk.
        dev: Dev,
        /// The limits that must be found there.
        from: IoLimits,
        /// The limits to be put in force.
        to: IoLimits,
    },
    /// Make a filesystem refuse writes also through descriptors that are open already. Heals only
    /// when its every user unmounts it.
    BreakFilesystem {
        /// A path on the filesystem.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
    },
    /// Take every inotify instance, or watch, that a user has left, and hold them in a process of
    /// that user. It takes what is freed meanwhile, and ends with the worker. → `Held`
    HoldInotify {
        /// Among the process's arguments: says that it is ours.
        mark: String,
        /// The user.
        uid: u32,
        /// The group of the process.
        gid: u32,
        /// What to hold.
        stock: InotifyStock,
    },
    /// Read a file of ours round and round in a container's memory cgroup, in a process that ends
    /// with the worker.
    StreamFile {
        /// A directory on the filesystem that it is on.
        place: Place,
        /// Among the process's arguments: says that it is ours.
        mark: String,
        /// Bytes per second.
        rate: u64,
    },
    /// End the process with this mark, and wait until it is gone.
    EndHolder {
        /// Among the process's arguments.
        mark: String,
    },
    /// Switch on the quotas of a btrfs, and limit a group of its top subvolume so that this share of
    /// the limit is in use. → `Limited`
    SetQuota {
        /// A directory on the filesystem.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// The group; a parent is made where there is none.
        group: QuotaGroup,
        /// The share.
        used: Percent,
    },
    /// Put the quotas of a btrfs back to what they were.
    RestoreQuota {
        /// A directory on the filesystem.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// What they were.
        to: QuotaWas,
    },
    /// Take a read-only snapshot of a btrfs subvolume.
    TakeSnapshot {
        /// The subvolume's root.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Its name in the subvolume's root.
        name: String,
    },
    /// Discard the snapshot of this name, if it is one of this very subvolume.
    DiscardSnapshot {
        /// The subvolume's root.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Its name in the subvolume's root.
        name: String,
    },
    /// Replace a name by a copy of its file: same bytes, another inode.
    ReplaceByCopy {
        /// The file name to replace.
        place: Place,
    },
    /// Make overlayfs copy a file up, as the first write to it does.
    CopyUp {
        /// A file whose data is in a lower layer.
        place: Place,
    },
    /// Make `place` a hard link of `of` again.
    Relink {
        /// The name to put back.
        place: Place,
        /// A sibling that still has the file: an absolute path in the same container.
        of: String,
        /// The state that our fault left, so that a name replaced since by the subject is left
        /// alone. `None` where the outcome was lost.
        ours: Option<LinkState>,
    },
    /// Kill a container's init from the host, and with it every process of the container. To the
    /// engine it ended by itself.
    KillInit {
        /// The container; its path is not used.
        place: Place,
        /// The process that must still be its init.
        init: Init,
    },
    /// Allocate bytes of a file under `marker` on a tmpfs, charged to the container's own memory,
    /// until they are there, the tmpfs is full, or the kernel kills. → `OomKills`
    GrowTmpfs {
        /// The directory that gets the marker directory.
        place: Place,
        /// The superblock that must be found there.
        dev: Dev,
        /// Name of the filler directory.
        marker: String,
        /// Bytes to allocate.
        bytes: u64,
    },
    /// Use up a container's memory until the kernel has killed in it; then it is free again.
    /// → `OomKills`
    ExhaustMemory {
        /// The container; its path is not used.
        place: Place,
        /// The process that must still be its init.
        init: Init,
    },
    /// Set how much the kernel prefers a process of a container as a victim. Nothing to do once it
    /// is gone.
    SetOomScore {
        /// The container; its path is not used.
        place: Place,
        /// The process.
        process: Init,
        /// From -1000, never, to 1000, first: `oom_score_adj`, proc(5).
        score: i32,
    },
    /// Give a file to another owner, if it is this file and `from` owns it; otherwise someone else
    /// has changed it, and it is left alone.
    SetOwner {
        /// A file or a directory.
        place: Place,
        /// Which one must be found there.
        file: FileId,
        /// Its owner.
        from: FileOwner,
        /// Its new owner.
        to: FileOwner,
    },
    /// Set permission and set-id bits, if it is this file and it has the bits `from`; otherwise
    /// someone else has changed it, and it is left alone.
    SetMode {
        /// A file or a directory.
        place: Place,
        /// Which one must be found there.
        file: FileId,
        /// Its bits.
        from: u32,
        /// Its new bits.
        to: u32,
    },
    /// Set the `SELinux` label, if it is this file and it has the label `from`.
    SetLabel {
        /// A file or a directory.
        place: Place,
        /// Which one must be found there.
        file: FileId,
        /// Its label.
        from: String,
        /// Its new label.
        to: String,
    },
    /// Take a file's name away, or give it to a new file, and keep the file beside it.
    SetAside {
        /// The file.
        place: Place,
        /// Which one must be found there.
        file: FileId,
        /// The name, in the same directory, under which it is kept.
        kept: String,
        /// Content of the new file; none for no file.
        content: Option<String>,
    },
    /// Give the name back to the file that was kept, unless someone else has put something there.
    PutBack {
        /// The file.
        place: Place,
        /// The superblock that it was on; not known in journals of before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dev: Option<Dev>,
        /// The name, in the same directory, under which it was kept.
        kept: String,
        /// Content by which the new file is known as ours.
        content: Option<String>,
    },
    /// Make an empty directory of the run, for a bind mount. → `Directory`
    CreateBind {
        /// Its name in the run's bind directory.
        name: String,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
        /// Its `SELinux` label; that of the run's directory without one.
        label: Option<String>,
    },
    /// Put items into a directory made by `CreateBind`: directories `item-00000`, … with one file
    /// `data` each.
    SeedBind {
        /// Its name in the run's bind directory.
        name: String,
        /// How many.
        items: u32,
        /// Bytes of each file.
        size: u64,
    },
    /// Remove a directory made by `CreateBind` with all that is in it.
    RemoveBind {
        /// Its name in the run's bind directory.
        name: String,
    },
    /// Lay a filesystem image into the run's directory: sparse, with these bytes.
    CreateImage {
        /// File name in the run's image directory.
        name: String,
        /// Size in bytes.
        size: u64,
        /// How an engine mounts it; none where nobody does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mounted: Option<Mounted>,
    },
    /// Write bytes into an image of this run.
    WriteImage {
        /// File name in the run's image directory.
        name: String,
        /// Pairs of offset and base64 bytes.
        extents: Vec<(u64, String)>,
    },
    /// Attach an image to a free loop device.
    AttachLoop {
        /// File name in the run's image directory.
        name: String,
    },
    /// Detach the loop device that has this image as its backing file, found by inode.
    DetachLoop {
        /// File name in the run's image directory.
        name: String,
    },
    /// Remove an image of this run.
    RemoveImage {
        /// File name in the run's image directory.
        name: String,
    },
    /// End the engine that runs in the container.
    EndEngine {
        /// The container; its path is not used.
        place: Place,
        /// The process that must still be its engine.
        process: Init,
        /// By which signal.
        how: Ending,
    },
    /// Put a filesystem of ours between a volume and its users, or a disk of ours beneath it.
    /// → `Directory`, or `Loop`
    Interpose {
        /// What it is made of.
        interposer: Interposer,
    },
    /// End it: abort its connection, detach its mount, end its process. What still uses it gets
    /// errors.
    EndInterposer {
        /// Its name.
        name: String,
    },
    /// Put rules in force in an interposer.
    ArmRules {
        /// Its name.
        interposer: String,
        /// Name of the set of rules.
        set: String,
        /// Decides what a probability hits.
        seed: u64,
        /// The rules.
        rules: Vec<IoRule>,
        /// Just these are hit, whatever the rules' triggers say; none where the triggers decide. Trials
        /// are hit by the triggers in any case.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        again: Option<Vec<Series>>,
    },
    /// Put a set of rules out of force. Nothing to do once the interposer has ended; one that does
    /// not answer is cut off, so that whoever waits for it gets an error.
    DisarmRules {
        /// Its name.
        interposer: String,
        /// Name of the set of rules.
        set: String,
    },
    /// An interposer that is inserted under a running container, and withdrawn.
    Insertion(InsertionOp),
    /// Something done to the power of a disk.
    Power(PowerOp),
    /// Something done to clocks, or to the times of files.
    Time(TimeOp),
    /// A part of a power cut on an interposed volume.
    CutFiles(FileCutOp),
    /// Something the engine does.
    Engine(EngineOp),
    /// Do nothing and say so. What the vacuity test turns other ops into.
    Nothing,
}
