//! A second copy of a directory, brought up to date: what is new is copied, what is gone goes, and
//! what differs by SHA-256 is repaired, whatever size and date say.
//!
//! A source that is suddenly empty is no reason to empty the copy: that is how a lost mount looks.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::super::journal::sync_dir;
use super::super::weakness::Weakness;
use super::JobError;
use super::args::MirrorArgs;
use super::files::{digest, walk};

/// What was done.
#[derive(Debug, Default)]
struct Done {
    same: usize,
    copied: usize,
    /// They were there, and held something else.
    repaired: Vec<String>,
    removed: usize,
}

pub(super) fn mirror(args: &MirrorArgs) -> Result<String, JobError> {
    let visible = |name: &str| !name.starts_with('.') && name != "lost+found";
    let source = walk(&args.from, &visible)?;
    fs::create_dir_all(&args.to).map_err(JobError::io("create", &args.to))?;
    let copy = walk(&args.to, &visible)?;
    if source.is_empty() && !copy.is_empty() && !args.bugs.has(Weakness::MirrorsBlindly) {
        let files = copy.iter().filter(|path| args.to.join(path).is_file()).count();
        return Err(JobError::EmptySource { source_dir: args.from.clone(), files });
    }
    let mut done = Done::default();
    for path in &source {
        let (from, to) = (args.from.join(path), args.to.join(path));
        if from.is_dir() {
            fs::create_dir_all(&to).map_err(JobError::io("create", &to))?;
            continue;
        }
        let by_date = args.bugs.has(Weakness::ComparesByDate);
        one(&from, &to, &path.to_string_lossy(), by_date, &mut done)?;
    }
    // Children first.
    for path in copy.iter().rev().filter(|path| source.binary_search(path).is_err()) {
        let path = args.to.join(path);
        let gone = if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        gone.map_err(JobError::io("remove", &path))?;
        done.removed += 1;
    }
    Ok(done.to_string())
}

/// Makes one file the same.
fn one(from: &Path, to: &Path, name: &str, by_date: bool, done: &mut Done) -> Result<(), JobError> {
    if by_date && is_older(from, to) {
        done.same += 1;
        return Ok(());
    }
    let right = digest(from).map_err(JobError::io("read", from))?;
    match digest(to) {
        Ok(found) if found == right => {
            done.same += 1;
            return Ok(());
        }
        Ok(_) => done.repaired.push(name.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => done.copied += 1,
        // It cannot be read, so it is of no use: as good as altered.
        Err(_) => done.repaired.push(name.to_owned()),
    }
    replace(from, to).map_err(JobError::io("copy to", to))
}

/// Whether the copy is younger than what it is a copy of.
fn is_older(from: &Path, to: &Path) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified());
    matches!((written(from), written(to)), (Ok(from), Ok(to)) if from <= to)
}

/// Copies under a hidden name, durably, and renames.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let half = to.with_file_name(format!(".{name}.half"));
    fs::copy(from, &half)?;
    File::open(&half)?.sync_all()?;
    fs::rename(&half, to)?;
    sync_dir(to)
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { same, copied, repaired, removed } = self;
        write!(
            f,
            "{same} the same, {copied} copied, {} repaired, {removed} removed",
            repaired.len()
        )?;
        repaired.iter().try_for_each(|name| write!(f, "; drifted: {name}"))
    }
}
