//! The keeper: main process of the helper's container.
//!
//! Holds the lease, the journal and the undo. It has no data path: whatever touches a mount that a
//! fault may be on is the worker's business, so the keeper cannot hang on one. When the command
//! line is gone, or the worker is, it reverts by itself.

mod book;
mod class;
mod clock;
mod earlier;
mod engine;
mod entries;
mod late;
mod lease;
mod rollback;
mod serve;
mod state;
#[cfg(test)]
mod tests;
mod worker_link;

pub use lease::main as lease;
pub use serve::main;
