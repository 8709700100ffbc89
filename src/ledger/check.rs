//! Compares what was promised with what came back. Pure, exact, linear but for sorting.
//!
//! Judges nothing: it counts, and the caller's tolerances decide.

use std::collections::HashMap;

use super::decode::DecodeError;
use super::entry::{Event, Intent};
use super::log::Log;
use super::order::misplaced;
use super::payload::payload;
use super::rate::longest_gap;
use super::readback::ReadBack;
use super::record::{Record, RecordId, is_name_byte};
use super::report::{LedgerReport, Lost};

/// What the subject promised about order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Promise {
    /// Each writer's records come back in the order written: an append-only journal.
    #[default]
    Ordered,
    /// Nothing: a key-value store. `reordered` and `holes` stay 0.
    Unordered,
}

/// Counts what became of every record of `log`, given all that was read back afterwards.
///
/// A damaged piece is attributed to a record by its key or number, whichever its content agrees
/// with. Where neither can be read it counts as `corrupt` or `torn`, and its record, if it was
/// acknowledged, as `lost` as well.
pub fn check<'a>(
    log: &Log,
    found: impl IntoIterator<Item = ReadBack<'a>>,
    promise: Promise,
) -> LedgerReport {
    let mut book = Book::open(log);
    for piece in found {
        book.sort_in(piece);
    }
    book.close(promise, longest_gap(&log.entries))
}

/// When each record was acknowledged, of those whose acknowledgement counts: none that a fence voids.
#[must_use]
pub fn acknowledged(log: &Log) -> HashMap<RecordId, u64> {
    let rows = Book::open(log).rows;
    rows.iter().filter_map(|row| Some((row.intent.id, row.acknowledged_at()?))).collect()
}

/// How an attempt ended; a later variant overrides an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Indeterminate,
    Failed,
    Acknowledged { at_us: u64 },
}

/// One intended record.
struct Row<'l> {
    intent: &'l Intent,
    /// Fences before it.
    fences: u64,
    outcome: Outcome,
    intact: u64,
    damaged: u64,
}

impl Row<'_> {
    fn acknowledged_at(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Acknowledged { at_us } => Some(at_us),
            Outcome::Failed | Outcome::Indeterminate => None,
        }
    }
}

/// Every intended record, and the order in which they were met.
struct Book<'l> {
    run: &'l str,
    rows: Vec<Row<'l>>,
    by_id: HashMap<RecordId, usize>,
    by_key: HashMap<&'l str, usize>,
    /// Per writer, the sequences of first intact copies as the stream brought them; of acknowledged
    /// records only. One that its writer has given up on is still on its way while the next is
    /// written, and may be taken after it.
    met: HashMap<u32, Vec<u64>>,
    report: LedgerReport,
}

impl<'l> Book<'l> {
    fn open(log: &'l Log) -> Self {
        let mut book = Self {
            run: &log.run,
            rows: Vec::new(),
            by_id: HashMap::new(),
            by_key: HashMap::new(),
            met: HashMap::new(),
            report: LedgerReport::default(),
        };
        let mut fences = 0;
        for entry in &log.entries {
            match &entry.event {
                Event::Intent(intent) => book.intend(intent, fences),
                Event::Fenced {} => fences += 1,
                _ => {}
            }
        }
        let (mut fenced, mut fences) = (false, 0);
        for entry in &log.entries {
            match &entry.event {
                Event::Intent(_) => {}
                Event::Fenced {} => (fenced, fences) = (true, fences + 1),
                Event::Restored {} => fenced = false,
                Event::Acknowledged(id) if fenced || book.was_under_way(*id, fences) => {
                    book.settle(*id, Outcome::Indeterminate);
                }
                Event::Acknowledged(id) => {
                    book.settle(*id, Outcome::Acknowledged { at_us: entry.at_us });
                }
                Event::Failed { id, .. } => book.settle(*id, Outcome::Failed),
                Event::Indeterminate { id, .. } => book.settle(*id, Outcome::Indeterminate),
            }
        }
        book
    }

    /// It was asked for before the last of so many fences.
    fn was_under_way(&self, id: RecordId, fences: u64) -> bool {
        self.by_id.get(&id).is_some_and(|at| self.rows[*at].fences < fences)
    }

    fn intend(&mut self, intent: &'l Intent, fences: u64) {
        if self.by_id.contains_key(&intent.id) {
            return;
        }
        self.by_id.insert(intent.id, self.rows.len());
        self.by_key.insert(&intent.key, self.rows.len());
        let outcome = Outcome::Indeterminate;
        self.rows.push(Row { intent, fences, outcome, intact: 0, damaged: 0 });
    }

    fn settle(&mut self, id: RecordId, outcome: Outcome) {
        match self.by_id.get(&id) {
            // The first acknowledgement is the promise; a repeated one changes nothing.
            Some(at) if self.rows[*at].acknowledged_at().is_some() => {}
            Some(at) => self.rows[*at].outcome = self.rows[*at].outcome.max(outcome),
            None => self.report.stray_outcomes += 1,
        }
    }

    fn sort_in(&mut self, piece: ReadBack<'_>) {
        match Record::decode(piece.bytes) {
            Ok(record) => return self.whole(&record, piece.asked),
            Err(DecodeError::Torn { .. }) => self.report.torn += 1,
            Err(DecodeError::Corrupt(_) | DecodeError::Version) => self.report.corrupt += 1,
        }
        self.blame(piece);
    }

    /// A record that is right in itself; whether it is one of ours, and in its place, is seen here.
    fn whole(&mut self, record: &Record, asked: Option<&str>) {
        if record.run != self.run {
            self.report.foreign += 1;
            return;
        }
        let Some(at) = self.by_id.get(&record.id).copied() else {
            self.report.phantom += 1;
            return;
        };
        let misdirected = asked.is_some_and(|key| key != record.key);
        if misdirected || !self.rows[at].intent.is(record) {
            self.report.corrupt += 1;
            let owner = asked.map_or(Some(at), |key| self.by_key.get(key).copied());
            self.damage(owner);
            return;
        }
        let row = &mut self.rows[at];
        row.intact += 1;
        if row.intact > 1 {
            self.report.duplicated += 1;
        } else if asked.is_none() && row.acknowledged_at().is_some() {
            self.met.entry(record.id.writer).or_default().push(record.id.sequence);
        }
    }

    /// Finds the record a damaged piece was meant to be.
    fn blame(&mut self, piece: ReadBack<'_>) {
        if let Some(key) = piece.asked {
            let owner = self.by_key.get(key).copied();
            return self.damage(owner);
        }
        let traces = Traces::of(piece.bytes);
        let by_key = traces.key.and_then(|key| self.by_key.get(key)).copied();
        let by_id = traces.id.and_then(|id| self.by_id.get(&id)).copied();
        let owner = match (by_key, by_id) {
            (Some(key), Some(id)) if key != id && self.agrees(id, &traces) => Some(id),
            (key, id) => key.or(id),
        };
        self.damage(owner);
    }

    fn agrees(&self, row: usize, traces: &Traces<'_>) -> bool {
        let Intent { id, length, .. } = self.rows[row].intent;
        traces.payload.is_some_and(|found| {
            !found.is_empty()
                && payload(self.run, id.writer, id.sequence, *length).starts_with(found)
        })
    }

    fn damage(&mut self, row: Option<usize>) {
        if let Some(at) = row {
            self.rows[at].damaged += 1;
        }
    }

    fn close(mut self, promise: Promise, max_gap_us: u64) -> LedgerReport {
        self.report.max_gap_us = max_gap_us;
        self.report.attempted = self.rows.len() as u64;
        for row in &self.rows {
            tally(&mut self.report, row);
        }
        if promise == Promise::Ordered {
            self.report.reordered = self.met.values().map(|sequences| misplaced(sequences)).sum();
            self.report.holes = holes(&mut self.rows);
        }
        self.report
    }
}

/// Adds one record to the figures.
fn tally(report: &mut LedgerReport, row: &Row<'_>) {
    let present = row.intact > 0;
    report.present += u64::from(present);
    match row.outcome {
        Outcome::Failed => {
            report.failed += 1;
            report.resurrected += u64::from(present);
        }
        Outcome::Indeterminate => {
            report.indeterminate += 1;
            report.indeterminate_present += u64::from(present);
        }
        Outcome::Acknowledged { at_us } => {
            report.acknowledged += 1;
            if !present && row.damaged > 0 {
                report.damaged += 1;
            } else if !present {
                report.lost += 1;
                lose(report, Lost { id: row.intent.id, at_us });
            }
        }
    }
}

fn lose(report: &mut LedgerReport, lost: Lost) {
    if report.first_lost.is_none_or(|first| (lost.at_us, lost.id) < (first.at_us, first.id)) {
        report.first_lost = Some(lost);
    }
    if report.last_lost.is_none_or(|last| (lost.at_us, lost.id) > (last.at_us, last.id)) {
        report.last_lost = Some(lost);
    }
}

/// Gaps that a present record of the same writer follows. A record that was refused, or whose
/// outcome is unknown, may be absent without leaving a hole.
fn holes(rows: &mut [Row<'_>]) -> u64 {
    rows.sort_unstable_by_key(|row| row.intent.id);
    let mut holes = 0;
    let mut gap_of = None;
    for row in rows {
        let writer = row.intent.id.writer;
        if row.intact > 0 {
            holes += u64::from(gap_of.take() == Some(writer));
        } else if row.acknowledged_at().is_some() {
            gap_of = Some(writer);
        }
    }
    holes
}

/// What can still be read in a damaged line.
struct Traces<'a> {
    key: Option<&'a str>,
    id: Option<RecordId>,
    payload: Option<&'a [u8]>,
}

impl<'a> Traces<'a> {
    fn of(line: &'a [u8]) -> Self {
        let number = |digits: &str| digits.parse::<u64>().ok();
        let writer = value(line, b"writer=").and_then(number);
        let sequence = value(line, b"sequence=").and_then(number);
        let id = writer.zip(sequence).and_then(|(writer, sequence)| {
            Some(RecordId { writer: u32::try_from(writer).ok()?, sequence })
        });
        let payload = after(line, b"payload=").map(|rest| {
            let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            &rest[..end]
        });
        Self { key: value(line, b"key="), id, payload }
    }
}

/// The name or number after `field`. At the end of the line it may itself be cut short
/// (`sequence=1` of `sequence=17`), so that is none.
fn value<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a str> {
    let rest = after(line, field)?;
    let end = rest.iter().position(|byte| !is_name_byte(*byte))?;
    std::str::from_utf8(&rest[..end]).ok()
}

fn after<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    let at = line.windows(field.len()).position(|window| window == field)?;
    Some(&line[at + field.len()..])
}
