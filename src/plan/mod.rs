//! What will happen, fully decided, before anything is touched.
//!
//! Pure: no clock, no Docker, no randomness of its own; the seed comes from the command line.

pub mod attached;
mod choose;
pub mod chosen;
mod expand;
mod hash;
pub mod needs;
pub mod radius;
pub mod text;

pub use expand::{Case, ControlCase, Controls, Select, SelectError, Shard, expand};
