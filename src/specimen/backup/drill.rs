//! The drill: a restore into a place of its own, and the proof that the service could live on it.
//!
//! A whole archive can still be a useless one: every file as it was copied, and no two of them of
//! the same moment.

use std::fs;
use std::path::Path;
use std::time::Instant;

use super::super::console::Console;
use super::super::journal::survey;
use super::super::session::Saved;
use super::args::DrillArgs;
use super::restore::{choose, remove, unpack};
use super::{JobError, parts, snapshot};

pub(super) fn drill(args: &DrillArgs, console: &Console) -> Result<String, JobError> {
    let began = Instant::now();
    let data = parts::data(args.into.join("data"));
    let identity = args.with_identity.then(|| parts::identity(args.into.join("identity")));
    let wanted: Vec<_> = identity.into_iter().chain([data.clone()]).collect();
    let snapshot = snapshot::is_one(&args.from);
    let source = match snapshot {
        true => args.from.clone(),
        false => choose(&args.from, &wanted, &args.bugs, console)?,
    };
    for part in &wanted {
        remove(&part.root)?;
    }
    let files = match snapshot {
        true => snapshot::copy(&source, &data)?,
        false => unpack(&source, &wanted)?,
    };
    let records = coherent(&data.root)?;
    let took = began.elapsed();
    if let Some(limit) = args.within.filter(|limit| took > *limit) {
        let (took, limit) = (took.as_secs_f64(), limit.as_secs_f64());
        return Err(JobError::Late { took, limit });
    }
    let (source, took) = (source.display(), took.as_millis());
    Ok(format!("{source} restored in {took} ms: {files} files, {records} records"))
}

/// Fails when the files of a data directory are not of one moment; the number of records.
fn coherent(data: &Path) -> Result<u64, JobError> {
    let read = |name: &str| {
        let path = data.join(name);
        fs::read(&path).map_err(JobError::io("read", &path))
    };
    let journal = read("journal.log")?;
    let (keys, whole) = survey(&journal);
    if whole < journal.len() {
        return Err(JobError::Torn(format!("the journal is cut off after byte {whole}")));
    }
    let records = keys.len() as u64;
    let state = read("state.json")?;
    let saved: Saved = serde_json::from_slice(&state)
        .map_err(|error| JobError::Torn(format!("the state cannot be read: {error}")))?;
    if saved.records != records {
        let told = saved.records;
        return Err(JobError::Torn(format!(
            "the state tells of {told} records, and the journal holds {records}"
        )));
    }
    Ok(records)
}
