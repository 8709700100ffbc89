//! The command line's side of the helper: start it, ask it, keep its lease, replace it, end it.

mod apply;
mod closed;
mod container;
mod helper;
mod launch;
mod link;
mod process;

pub use closed::closed_here;
pub use container::ContainerLauncher;
pub(in crate::helper) use container::refused;
pub use helper::Helper;
pub use launch::{Connection, Launcher};
pub use process::ProcessLauncher;
