//! The history: what every run came to, in one SQLite file next to the run directories.
//!
//! A run adds to it when it is over; nothing else depends on it, and a run without it is as good.
//! The only module that knows SQLite. What is asked of the history is computed by pure functions
//! from the runs that were read.

mod add;
mod compare;
mod entry;
mod error;
mod file;
mod html;
mod human;
mod kinds;
mod read;
mod remember;
mod standing;
mod summary;
mod trend;

pub use add::{Added, MOST_CASES, MOST_RUNS};
pub use compare::{Comparison, compare};
pub use entry::{CaseEntry, Recovery, RunEntry};
pub use error::HistoryError;
pub use file::{FILE, History};
pub use html::{changes_page, overview_page};
pub use human::{changes, overview};
pub use read::Filter;
pub use summary::{Summary, summary};
