//! What a power cut would take: operations that were done and are not durable. Pure: what undoes
//! one is the caller's.
//!
//! After POSIX, as strictly as it can be read: a sync of a file makes its bytes and its size
//! durable, a sync of a directory its names, and neither the other. A rename is one step. States
//! after a cut are what was durable and any of the others, as long as an operation that is there
//! has all that it is built on.

mod choose;
mod log;
#[cfg(test)]
mod tests;

pub use choose::Cut;
pub use log::{Key, Log};
