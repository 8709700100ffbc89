//! The record of what was promised, and the pure checker that judges it.
//!
//! A workload writes [`Record`]s into the subject. Beside them it keeps its own [`Log`] of
//! intents and outcomes, on storage that no fault touches. At the end everything is read back,
//! and [`check`] compares the two: it counts what was lost, damaged, repeated or never asked for.
//!
//! No clock and no I/O of its own: bytes come from and go to readers and writers that the caller
//! passes. Times are microseconds since the start of the run.

mod check;
mod decode;
mod entry;
mod log;
mod order;
mod payload;
mod rate;
mod readback;
mod record;
mod report;
mod shared;

#[cfg(test)]
mod model_tests;

pub use check::{Promise, acknowledged, check};
pub use decode::DecodeError;
pub use entry::{Entry, Event, Intent};
pub use log::{Log, LogError, LogWriter};
pub use rate::{acks_per_second, longest_gap};
pub use readback::{ReadBack, whole_records};
pub use record::{MAX_LENGTH, Record, RecordError, RecordId};
pub use report::{LedgerReport, Lost};
pub use shared::{SharedLog, line as shared_line};
