//! The block interposer: a disk of ours under a real filesystem, in which rules strike, and whose
//! power can be cut.
//!
//! One file, served by FUSE past the page cache to a loop device; the mount is in nobody's tree, and
//! lives as long as the device has the file. What a cut leaves is decided by `block`, purely; `past` shows
//! what earlier ones would have left, on disks beside it.

mod load;
mod past;
mod power;
mod pulse;
mod served;
mod session;
mod spill;
mod struck;

pub use past::{Opened, PAST_BYTES, past_marks};
pub use session::{Power, Session, Setup};
