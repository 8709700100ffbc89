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
        left, now_us,
    },
    protocol::{MOST_TRACED, MOST_TRACED_IN_ALL, TraceFacts, TracePiece},
};

/// Bytes of one answer; as text within JSON it has some more, and a frame holds 8 MiB.
const PER_ANSWER: u64 = 1 << 20;

fn file(dir: &Path, name: &str) -> Result<PathBuf, HelperError> {
    // one plain component
    image::own(dir, DIRECTORY, name)?;
    Ok(left::trace_file(&socket(dir, name)))
}

/// Where one that is traced is to leave it.
pub(super) fn wanted(dir: &Path, name: &str, traced: bool) -> Result<Option<TraceTo>, HelperError> {
    let to = |file| TraceTo { file, most: MOST_TRACED };
    traced.then(|| file(dir, name).map(to)).transpose()
}

/// Likewise, one that is inserted: there may be many of them, one after the other, so it gets what the others
/// have left.
pub(super) fn wanted_inserted(
    dir: &Path,
    name: &str,
    traced: bool,
) -> Result<Option<TraceTo>, HelperError> {
    let Some(to) = wanted(dir, name, traced)? else { return Ok(None) };
    let left = MOST_TRACED_IN_ALL.saturating_sub(bytes_of_all(dir));
    Ok(Some(TraceTo { most: to.most.min(left), ..to }))
}

/// Bytes of the traces that are there now.
fn bytes_of_all(dir: &Path) -> u64 {
    let all = fs::read_dir(dir.join(DIRECTORY)).into_iter().flatten().flatten();
    let traces = all.filter(|entry| left::is_trace(&entry.path()));
    traces.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// It was brought, and all that was done was undone: nobody asks for it any more. One that goes on for what
/// is open has none that could be found.
pub(super) fn forget(dir: &Path, name: &str) -> Result<(), HelperError> {
    let path = file(dir, name)?;
    let at = socket(dir, name);
    match control::ask(&at, &Ask::Ping, ANSWER) {
        Err(error) if is_gone(&error) => {
            let _ = fs::remove_file(&at);
            left::forget(&at);
        }
        _ => {
            // its process keeps the file: it is to be without its bytes
            let _ = File::options().write(true).open(&path).and_then(|file| file.set_len(0));
            left::forget_trace(&at);
        }
    }
    Ok(())
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
        Err(error) if is_gone(&error) => Ok(left::traced(&at)),
        Err(error) => Err(unreachable(name, &error)),
    }
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
        forget(dir.path(), "kh").unwrap();
        assert!(piece(dir.path(), "kh", 0).is_err() && piece(dir.path(), "../x", 0).is_err());
        assert!(forget(dir.path(), "../x").is_err());
    }

    #[test]
    fn what_is_inserted_has_the_room_that_others_have_left_and_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let most = |name: &str| wanted_inserted(dir.path(), name, true).unwrap().unwrap().most;
        fs::create_dir(dir.path().join(DIRECTORY)).unwrap();
        assert_eq!(most("first"), MOST_TRACED);
        // a hole
        let before = File::create(file(dir.path(), "before").unwrap()).unwrap();
        before.set_len(MOST_TRACED_IN_ALL - 1000).unwrap();
        assert_eq!(most("second"), 1000);
        before.set_len(MOST_TRACED_IN_ALL + 1).unwrap();
        assert_eq!(most("third"), 0);
        assert_eq!(wanted(dir.path(), "volume", true).unwrap().unwrap().most, MOST_TRACED);
        let at = socket(dir.path(), "before");
        fs::write(left::facts_file(&at), "{}").unwrap();
        forget(dir.path(), "before").unwrap();
        assert_eq!(most("third"), MOST_TRACED);
        assert!(!left::facts_file(&at).exists(), "it has ended");
    }
}
