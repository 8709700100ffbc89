//! The traces of volumes (`--trace-io`), brought to the reports before their interposers are gone: with
//! the run's own clock, the ids of its faults, and no secret.

use std::{
    collections::BTreeMap,
    fmt, fs,
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    event::Event,
    files::{inserted_trace_file, trace_file},
    interrupt::LOGS,
    redact::Redactor,
    world::World,
};
use crate::{
    plan::Case,
    protocol::{FETCHING, MOST_TRACED, Read, Reading, TraceFacts, TracePiece, TracedOp},
    units::Size,
    volumes::{Layer, VolumeSpec, object_name},
};

/// They are brought within this time, all told: there may be one for every time that a fault came and went.
const ALL: Duration = Duration::from_secs(120);

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

impl IoTrace {
    /// Of a volume, or of what a fault inserted.
    pub(super) fn told(&self, of: &str, inserted: bool) -> String {
        let what = if inserted { "what was inserted by " } else { "" };
        format!("trace of {what}`{of}`: {self}")
    }
}

/// What was traced.
struct Traced {
    /// Name of the volume, or of the fault.
    of: String,
    inserted: bool,
    interposer: String,
    /// Below the directory of the reports.
    file: PathBuf,
}

/// Brings them all, each within its time and all within theirs.
pub(super) async fn bring(world: &World, attempt: u32) {
    if !world.trace_io {
        return;
    }
    let case = (world.case.id.as_str(), attempt);
    let all: Vec<_> = volumes(world, case).chain(inserted(world, case)).collect();
    if all.is_empty() {
        world.note(
            "nothing is traced: no volume of this case has `interpose: file`, and no fault inserted an \
             interposer",
        );
    }
    let until = Instant::now() + ALL;
    for traced in all {
        let trace = one(world, &traced, until).await;
        let Traced { of: volume, inserted, interposer, .. } = traced;
        if inserted {
            // the next case is to have room for its own; what cannot be removed goes with the run
            let _ = world.helper.read(Read::ForgetTrace { interposer }).await;
        }
        world.emit(Event::IoTraced { case: world.id(), volume, inserted, trace });
    }
}

fn volumes<'w>(world: &'w World, case: (&'w str, u32)) -> impl Iterator<Item = Traced> + 'w {
    let all = world.case.scenario.volumes.iter();
    all.filter(|(name, spec)| is_traced(name, spec)).map(move |(name, _)| Traced {
        of: name.clone(),
        inserted: false,
        interposer: object_name(&world.run, name),
        file: trace_file(case, name),
    })
}

fn is_traced(name: &str, spec: &VolumeSpec) -> bool {
    spec.interpose() == Some(Layer::File) && !Case::is_theirs(name)
}

/// One fault may insert several, one after the other.
fn inserted<'w>(world: &'w World, case: (&'w str, u32)) -> impl Iterator<Item = Traced> + 'w {
    let mut many = BTreeMap::<String, usize>::new();
    world.inserted().into_iter().map(move |(fault, interposer)| {
        let nth = many.entry(fault.clone()).or_default();
        *nth += 1;
        let file = inserted_trace_file(case, &fault, *nth);
        Traced { of: fault, inserted: true, interposer, file }
    })
}

async fn one(world: &World, traced: &Traced, until: Instant) -> IoTrace {
    let Some(directory) = world.recorder.directory() else {
        let why = Some("there are no reports to keep it in".to_owned());
        return IoTrace { why, ..IoTrace::default() };
    };
    let path = directory.join(&traced.file);
    let mut bringing = match Bringing::new(world, &traced.interposer, &path) {
        Ok(bringing) => bringing,
        Err(error) => {
            let why = Some(format!("`{}`: {error}", path.display()));
            return IoTrace { why, ..IoTrace::default() };
        }
    };
    let patience = FETCHING.min(until.saturating_duration_since(Instant::now()));
    let brought = world.interrupt.bound(patience, LOGS, bringing.all()).await;
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
    fn new(world: &'a World, interposer: &str, path: &Path) -> std::io::Result<Self> {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        let file = BufWriter::new(File::create(path)?);
        let (interposer, redactor) = (interposer.to_owned(), world.recorder.redactor());
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
    let TraceFacts { dropped, after_end, failed, most, .. } = facts;
    let fast = format!("{dropped} came faster than they could be written");
    let late = match failed {
        Some(failed) => format!("{after_end} came when it could not be written: {failed}"),
        None if *most < MOST_TRACED => format!(
            "{after_end} came after the {} that other traces of this case had left were full",
            Size(*most)
        ),
        None => format!("{after_end} came after its {} were full", Size(*most)),
    };
    let parts = [(*dropped, fast), (*after_end, late)];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
