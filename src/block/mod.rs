//! What a disk may hold after its power was cut: the model, pure.
//!
//! A disk takes writes into a volatile cache, and a flush makes durable what was completed before it
//! was asked for. What is left after a cut is the durable part and some of the rest, as a profile
//! chooses: any of them is a state that a real disk may leave, and a right application survives all. Some
//! profiles go beyond: what a broken disk leaves, which a right application notices.
//! A recorded disk can be cut at every moment of its past, and `ways` picks those worth looking at; what is
//! found can be kept, as `packed` says, and exported, as `log_writes` does.
//! No clock, no file, no device: `interpose::disk` serves it to the kernel.

#[cfg(test)]
mod beyond_tests;
mod choose;
mod chunk;
mod data;
mod disk;
mod epochs;
mod exceeds;
mod filesystem;
mod image;
mod kept;
mod laid_out;
mod log_writes;
mod logged;
#[cfg(test)]
mod model_tests;
mod packed;
mod profile;
mod recording;
#[cfg(test)]
mod recording_tests;
mod shrink;
mod tree;
mod ways;

pub use choose::{Candidate, choose};
pub use chunk::{CHUNK, Shelf};
pub use disk::{Cut, Disk};
pub use filesystem::{filesystem, has_look_alikes, is_filesystem};
pub use image::Image;
pub use kept::{Fill, Kept};
pub use laid_out::laid_out;
pub use log_writes::LogWrites;
pub use logged::{Logged, is_log, read_log};
pub use packed::{pack, unpack};
pub use profile::Profile;
pub use recording::{Past, Point, Recording};
pub use shrink::shrink;
pub use ways::{Plan, Way, plan};
