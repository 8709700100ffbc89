//! The traces of volumes (`--trace-io`), brought to the reports before their interposers are gone: with
//! the run's own clock, the ids of its faults, and no secret.

use std::{
    fmt, fs,
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{event::Event, files::trace_file, interrupt::LOGS, redact::Redactor, world::World};
use crate::{
    plan::Case,
    protocol::{FETCHING, MOST_TRACED, Read, Reading, TraceFacts, TracePiece, TracedOp},
    units::Size,
    volumes::{Layer, VolumeSpec, object_name},
};

/// The trace of a volume, as it is among the reports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IoTrace {
    /// Where: a line of JSON for each operation. None where there is no file.
    pub path: Option<String>,
    /// Operations in it.
    pub operations: u64,
    /// Operations that are missing in it; none where nobody knows.
    pub left_out: Option<u64>,
    /// Why they are, or why it ends early.
    pub why: Option<String>,
}

impl fmt::Display for IoTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, operations, left_out, why } = self;
        let why = why.as_deref().unwrap_or("nobody knows why");
        let Some(path) = path else { return write!(f, "there is none: {why}") };
        write!(f, "{operations} operations in `{path}`")?;
        match left_out {
            Some(0) => Ok(()),
            Some(left_out) => write!(f, "; {left_out} more are not in it: {why}"),
            None => write!(f, "; how many are missing is not known: {why}"),
        }
    }
}

/// Brings them all, each within its time.
pub(super) async fn bring(world: &World, attempt: u32) {
    if !world.trace_io {
        return;
    }
    let all = &world.case.scenario.volumes;
    let volumes: Vec<_> = all.iter().filter(|(name, spec)| is_traced(name, spec)).collect();
    if volumes.is_empty() {
        world.note("nothing is traced: no volume of this case has `interpose: file`");
    }
    for (volume, _) in volumes {
        let trace = one(world, attempt, volume).await;
        let (case, volume) = (world.id(), volume.clone());
        world.emit(Event::IoTraced { case, volume, trace });
    }
}

fn is_traced(name: &str, spec: &VolumeSpec) -> bool {
    spec.interpose() == Some(Layer::File) && !Case::is_theirs(name)
}

async fn one(world: &World, attempt: u32, volume: &str) -> IoTrace {
    let Some(directory) = world.recorder.directory() else {
        let why = Some("there are no reports to keep it in".to_owned());
        return IoTrace { why, ..IoTrace::default() };
    };
    let path = directory.join(trace_file((&world.case.id, attempt), volume));
    let mut bringing = match Bringing::new(world, volume, &path) {
        Ok(bringing) => bringing,
        Err(error) => {
            let why = Some(format!("`{}`: {error}", path.display()));
            return IoTrace { why, ..IoTrace::default() };
        }
    };
    let brought = world.interrupt.bound(FETCHING, LOGS, bringing.all()).await;
    let brought =
        brought.unwrap_or_else(|| Err("the helper had not sent the rest of it in time".into()));
    let trace = bringing.end(brought, &path);
    if trace.operations == 0 && trace.left_out.is_none() {
        let _ = fs::remove_file(&path);
        return IoTrace { path: None, ..trace };
    }
    trace
}

/// A trace on its way.
struct Bringing<'a> {
    world: &'a World,
    interposer: String,
    redactor: Redactor,
    file: BufWriter<File>,
    /// From the helper's clock to the run's.
    shift_us: Option<i64>,
    facts: Option<TraceFacts>,
    operations: u64,
}

impl<'a> Bringing<'a> {
    fn new(world: &'a World, volume: &str, path: &Path) -> std::io::Result<Self> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let file = BufWriter::new(File::create(path)?);
        let (interposer, redactor) = (object_name(&world.run, volume), world.recorder.redactor());
        let (shift_us, facts) = (None, None);
        Ok(Self { world, interposer, redactor, file, shift_us, facts, operations: 0 })
    }

    /// As much as there is when it begins: whoever uses the volume goes on.
    async fn all(&mut self) -> Result<(), String> {
        let (mut from, mut end) = (0, None);
        loop {
            let asked = self.world.recorder.now_us();
            let piece = self.piece(from).await?;
            let between = i64::midpoint(signed(asked), signed(self.world.recorder.now_us()));
            self.shift_us.get_or_insert(between - signed(piece.now_us));
            for line in piece.lines.lines() {
                self.put(line)?;
            }
            self.facts = piece.facts;
            from += piece.lines.len() as u64;
            if piece.lines.is_empty() || from >= *end.get_or_insert(piece.bytes) {
                return Ok(());
            }
        }
    }

    async fn piece(&self, from: u64) -> Result<TracePiece, String> {
        let question = Read::Trace { interposer: self.interposer.clone(), from };
        match self.world.helper.read(question).await {
            Ok(Reading::Trace(piece)) => Ok(piece),
            Ok(other) => Err(format!("the helper answered out of turn: {other:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    fn put(&mut self, line: &str) -> Result<(), String> {
        let op: TracedOp = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let shift = self.shift_us.unwrap_or_default();
        let hide = |text: String| self.redactor.text(text);
        let fault = |set: String| self.world.fault_of_rules(&set).unwrap_or(set);
        let op = TracedOp {
            at_us: op.at_us.saturating_add_signed(shift),
            path: hide(op.path),
            to: op.to.map(hide),
            process: op.process.map(hide),
            rules: op.rules.into_iter().map(fault).collect(),
            ..op
        };
        serde_json::to_writer(&mut self.file, &op).map_err(|error| error.to_string())?;
        self.file.write_all(b"\n").map_err(|error| error.to_string())?;
        self.operations += 1;
        Ok(())
    }

    fn end(mut self, brought: Result<(), String>, path: &Path) -> IoTrace {
        let written = self.file.flush().map_err(|error| error.to_string());
        let ended = brought.and(written);
        let (left_out, why) = match (ended, self.facts) {
            (Err(why), _) => (None, Some(why)),
            (Ok(()), None) => (None, Some("its interposer is gone".to_owned())),
            (Ok(()), Some(facts)) => (Some(facts.dropped + facts.after_end), why(&facts)),
        };
        let path = Some(path.display().to_string());
        IoTrace { path, operations: self.operations, left_out, why }
    }
}

fn signed(micros: u64) -> i64 {
    i64::try_from(micros).unwrap_or(i64::MAX)
}

/// Why some operations are missing.
fn why(facts: &TraceFacts) -> Option<String> {
    let TraceFacts { dropped, after_end, failed, .. } = facts;
    let fast = format!("{dropped} came faster than they could be written");
    let late = match failed {
        Some(failed) => format!("{after_end} came when it could not be written: {failed}"),
        None => format!("{after_end} came after its {} were full", Size(MOST_TRACED)),
    };
    let parts = [(*dropped, fast), (*after_end, late)];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
