//! The terminal: progress while a run goes on, and the screen at its end.
//!
//! Progress and failures as they happen go to stderr, the summary to stdout. Every meaning is in
//! words; colour only repeats it.

mod line;
mod live;
mod look;
mod summary;

pub use live::{Live, Progress};
pub use look::Look;
pub use summary::summary;
