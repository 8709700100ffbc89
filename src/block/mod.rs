//! What a disk may hold after its power was cut: the model, pure.
//!
//! A disk takes writes into a volatile cache, and a flush makes durable what was completed before it
//! was asked for. What is left after a cut is the durable part and some of the rest, as a profile
//! chooses: any of them is a state that a real disk may leave, and a right application survives all.
//! No clock, no file, no device: `interpose::disk` serves it to the kernel.

mod choose;
mod disk;
mod image;
#[cfg(test)]
mod model_tests;
mod profile;

pub use choose::{Candidate, Kept, choose};
pub use disk::{Cut, Disk};
pub use image::{CHUNK, Image};
pub use profile::Profile;
