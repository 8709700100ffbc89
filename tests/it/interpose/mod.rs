//! The interposers by themselves, without an engine: as a filesystem one must be such that nobody
//! notices, their rules strike what they name, and when one is killed nobody hangs.

mod bytes;
mod cuts;
mod disks;
pub(crate) mod filesystem;
mod fsx;
mod given_up;
mod hangs;
mod inserted;
mod killed;
mod latencies;
mod metadata;
pub(crate) mod mounted;
mod orders;
pub(crate) mod own_disk;
pub(crate) mod pasts;
mod posix;
mod scale;
mod steady;
mod strikes;
mod syncs;
pub(crate) mod tight;
mod told;
mod traced;
mod vast;
mod visibility;
mod ways;
