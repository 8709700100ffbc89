//! The file interposer by itself, without an engine: as a filesystem it must be one that nobody
//! notices, its rules strike what they name, and when it is killed nobody hangs.

mod bytes;
mod cuts;
mod fsx;
mod hangs;
mod inserted;
mod killed;
mod mounted;
mod pasts;
mod posix;
mod scale;
mod strikes;
mod syncs;
mod told;
