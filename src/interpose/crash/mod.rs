//! What a power cut would take: operations that were done and are not durable. Pure: what undoes
//! one is the caller's.
//!
//! States after a cut are what was durable and any of the others, as long as an operation that is
//! there has all that it is built on, and all that it is not there without on the filesystem whose
//! promises are kept. A rename is one step, and so is a write; but not on ext4.
//!
//! - `posix-strict`: a sync of a file makes its bytes and its size durable, one of a directory its
//!   names, and neither the other, nor a size without its bytes (POSIX, `fsync`; fsync(2): "does not necessarily ensure that the
//!   entry in the directory containing the file has also reached disk").
//! - `ext4`, in `data=ordered` and without `fast_commit`: all names go through one journal in order
//!   (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, table 1), so a cut leaves a
//!   prefix of them. `ext4_sync_file` has that transaction committed in which the inode was last
//!   changed, and with it all before; a sync of a file that was only written over in place commits
//!   none, nor does `fdatasync` of one that was only renamed (`i_datasync_tid`). No stale bytes are
//!   ever seen, but zeros are in place of those that were written behind the end: a size is in the
//!   journal when the write has returned, where its block was there already (`ext4_da_write_end`), and
//!   otherwise with blocks that are marked as unwritten until their bytes are there
//!   (`dioread_nolock`, the default since Linux 5.6). So a size and its bytes are two operations. For
//!   the same reason `auto_da_alloc` (Documentation/admin-guide/ext4.rst: the bytes of a file that is
//!   renamed over another are on the disk before the rename is committed) is no promise here: on a
//!   disk of ours, Linux 6.18 left the new name, even after a sync of its directory, with zeros in it.
//!   tests/it/interpose/orders.rs holds what real ones leave of each file by itself against this.
//!   What is said of xfs and btrfs below is from their sources; they may leave zeros where this leaves
//!   a file short.
//! - `xfs`: names likewise; `xfs_file_fsync` forces the log up to the inode's own last item in it. A
//!   size waits for its bytes: it is logged when they are written (`xfs_setfilesize`).
//! - `btrfs`: `fs/btrfs/tree-log.c` writes a log of the inode that is synced, with its names and the
//!   new directories above it. Everything else goes with the transaction, which is whole or not
//!   there at all; as a sync may end one at any time, a cut leaves a prefix of the other names.
//!
//! What a failed sync has given up is on none of them: its pages are marked clean and are not written
//! again (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020), so a cut
//! undoes it in every profile, where nothing that was written later is on the disk. Sizes, and that a
//! file was cut short, are not given up: they are in the journal.
//!
//! That a file was cut short is taken for data, which is weaker than any of the three journals is.

mod choose;
mod log;
mod lost;
#[cfg(test)]
mod lost_tests;
mod order;
#[cfg(test)]
mod order_tests;
#[cfg(test)]
mod tests;

pub use choose::{Cut, Gone};
pub use log::{About, Act, Key, Log, Sync};
