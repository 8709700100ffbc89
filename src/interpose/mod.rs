//! The interposers. The file interposer is a FUSE filesystem under a container's volume, in which
//! rules strike; the block interposer, `disk`, a disk under a real filesystem, in which rules strike
//! too, and whose power is cut.
//!
//! `rules` decides, purely; `fs` hands every operation to the filesystem beneath; `serve` is the
//! process that runs both, and `control` the way to it from other processes. `crash` says, purely,
//! what a power cut takes of what is not durable, and `trace` writes
//! down all that is done. Where no rule can match and nothing is traced, the kernel reads and writes the
//! file beneath by itself. Nothing here knows faults.

mod armed;
mod backing;
pub mod control;
pub mod crash;
pub mod disk;
mod fs;
mod later;
pub mod left;
mod ruled;
pub mod rules;
pub mod serve;
mod session;
mod timer;
mod trace;
mod veil;

pub use backing::Beneath;
pub use session::{Session, Setup};
pub use trace::{TraceTo, now_us};
