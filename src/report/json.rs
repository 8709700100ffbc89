//! JSON: the run record as one document, or the events as lines.

use std::io::{self, Write};

use serde::Serialize;

use super::{exit_code, totals::Totals};
use crate::{
    run::{RunRecord, Stamped},
    verdict::Verdict,
};

/// Version of the document. Any change of shape raises it, but a new field that may be left out, as in
/// the events.
pub const VERSION: u32 = 2;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    verdict: Verdict,
    /// As documented for the command; none for a run that was cut short.
    exit_code: Option<i32>,
    totals: Totals,
    run: &'a RunRecord,
}

/// Writes the record as one document.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        version: VERSION,
        verdict: record.verdict(),
        exit_code: record.ended.map(|_| exit_code(record, Verdict::Pass) as i32),
        totals: Totals::of(record),
        run: record,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

/// Writes one event as a line, as in the event file.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_event(stamped: &Stamped, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, stamped)?;
    writeln!(out)?;
    out.flush()
}
