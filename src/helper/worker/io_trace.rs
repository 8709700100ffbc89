//! The trace that an interposer leaves in the run's directory, piece by piece.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use super::{
    super::HelperError,
    image,
    interpose::{ANSWER, DIRECTORY, is_gone, socket, sys, unreachable},
};
use crate::{
    interpose::{
        TraceTo,
        control::{self, Answer, Ask},
        now_us,
        serve::traced_file,
    },
    protocol::{MOST_TRACED, TraceFacts, TracePiece},
};

/// Bytes of one answer; as text within JSON it has some more, and a frame holds 8 MiB.
const PER_ANSWER: u64 = 1 << 20;

fn file(dir: &Path, name: &str) -> Result<PathBuf, HelperError> {
    image::own(dir, DIRECTORY, &format!("{name}.trace"))
}

/// Where one that is traced is to leave it.
pub(super) fn wanted(dir: &Path, name: &str, traced: bool) -> Result<Option<TraceTo>, HelperError> {
    let to = |file| TraceTo { file, most: MOST_TRACED };
    traced.then(|| file(dir, name).map(to)).transpose()
}

/// Nobody wants it any more.
pub(super) fn remove(dir: &Path, name: &str) {
    if let Ok(file) = file(dir, name) {
        let _ = fs::remove_file(file);
    }
}

/// Whole lines from a byte on.
pub(super) fn piece(dir: &Path, name: &str, from: u64) -> Result<TracePiece, HelperError> {
    let path = file(dir, name)?;
    let facts = facts(dir, name)?;
    let lines = sys("read", &path, lines(&path, from))?;
    let bytes = match &facts {
        Some(facts) => facts.bytes,
        None => sys("stat", &path, fs::metadata(&path))?.len(),
    };
    Ok(TracePiece { facts, bytes, now_us: now_us(), lines })
}

/// How much there is; none where the interposer is gone, and has not ended by itself.
fn facts(dir: &Path, name: &str) -> Result<Option<TraceFacts>, HelperError> {
    let at = socket(dir, name);
    match control::ask(&at, &Ask::Traced, ANSWER) {
        Ok(Answer::Traced(Some(facts))) => Ok(Some(facts)),
        Ok(Answer::Traced(None)) => {
            Err(HelperError::Refused(format!("`{name}` has no trace, or not in time")))
        }
        Ok(other) => Err(HelperError::Refused(format!("`{name}` answered {other:?}"))),
        Err(error) if is_gone(&error) => Ok(left(&traced_file(&at))),
        Err(error) => Err(unreachable(name, &error)),
    }
}

/// What one that has ended by itself has said of it.
fn left(file: &Path) -> Option<TraceFacts> {
    serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
}

fn lines(path: &Path, from: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(PER_ANSWER).read_to_end(&mut bytes)?;
    // one that was killed may have left a part of a line
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    bytes.truncate(whole);
    String::from_utf8(bytes).map_err(std::io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_lines_and_what_is_no_line_is_not_among_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "kh").unwrap();
        fs::create_dir(path.parent().unwrap()).unwrap();
        let line = format!("{}\n", "x".repeat(999));
        fs::write(&path, format!("{}half", line.repeat(1500))).unwrap();
        let first = piece(dir.path(), "kh", 0).unwrap();
        assert_eq!((first.facts, first.bytes), (None, 1_500_004), "nobody answers");
        assert_eq!(first.lines.len(), 1_048_000);
        let second = piece(dir.path(), "kh", 1_048_000).unwrap();
        assert_eq!(first.lines.len() + second.lines.len(), 1_500_000);
        assert_eq!(piece(dir.path(), "kh", 1_500_000).unwrap().lines, "");
        remove(dir.path(), "kh");
        assert!(piece(dir.path(), "kh", 0).is_err() && piece(dir.path(), "../x", 0).is_err());
    }
}
