//! The first wrong state is kept as a file, and on request what came to it: beside the log of its load, from
//! where the command line fetches them piece by piece.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::look::{Look, is_wrong};
use crate::{
    block::{Kept, Profile, Way},
    crash_state::{Facts, Records, encode, hexadecimal},
    interpose::control::Ask,
    protocol::{Artifact, KeptFile, Reads, WrongState},
};

/// Raw bytes of a piece: base64 makes 2.7 MiB of them, and a frame holds 8 MiB.
const PIECE: u64 = 2 << 20;

/// So often a state that two cuts have left is made anew until it is wrong again.
const ANEW: usize = 8;

/// Where a load with this log has its files.
fn path_of(log: &Path, artifact: Artifact) -> PathBuf {
    log.with_extension(artifact.extension())
}

/// Some bytes of a file, in base64; none at its end.
pub(in super::super) fn piece(
    log: &Path,
    artifact: Artifact,
    from: u64,
) -> std::io::Result<String> {
    let mut file = File::open(path_of(log, artifact))?;
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(PIECE).read_to_end(&mut bytes)?;
    Ok(STANDARD.encode(bytes))
}

fn said(kept: Result<u64, String>) -> KeptFile {
    kept.map_or_else(|why| KeptFile::Missing { why }, |bytes| KeptFile::Held { bytes })
}

impl Look<'_> {
    /// Keeps the state that is reported, where it was wrong whenever it was looked at.
    pub(super) fn keep(&mut self, log: &Path) {
        let first = match self.shared.first() {
            Some(first) if first.confirmed => first,
            // a log that is asked for is kept in any case, with the disk as it was at its end
            _ if self.spec.log_writes => match self.last() {
                Some(last) => last,
                None => return,
            },
            _ => return,
        };
        let state = said(self.keep_state(first.clone(), log));
        let log_writes = self.spec.log_writes.then(|| said(self.keep_log(first.cut, log)));
        self.shared.note(|report| (report.state, report.log_writes) = (Some(state), log_writes));
    }

    /// The last moment, with nothing lost.
    fn last(&mut self) -> Option<WrongState> {
        let point = self.stage.past.points.len().checked_sub(1)?;
        let kept = vec![Kept::Whole; self.stage.past.points[point].writes.len()];
        self.second = None;
        let way = Way { point, profile: Profile::KeepAll, kept };
        self.wrong(&way, &way.kept, "nothing was found to be wrong")
    }

    /// What somebody was told is a file of its own: it may be more than a disk listens to.
    fn keep_log(&self, cut: u64, log: &Path) -> Result<u64, String> {
        let (to, told) = (path_of(log, Artifact::LogWrites), log.with_extension("told"));
        let places = serde_json::to_vec(&self.promises.places(cut));
        let places = places.map_err(|error| error.to_string())?;
        let written = fs::write(&told, places).map_err(|error| error.to_string());
        let kept =
            written.and_then(|()| self.stage.write(&Ask::Export { cut, told: told.clone(), to }));
        gone(fs::remove_file(&told))?;
        kept
    }

    fn keep_state(&mut self, mut first: WrongState, log: &Path) -> Result<u64, String> {
        let to = log.with_extension("image");
        let packed = self.write_image(&mut first, &to).and_then(|_| {
            fs::read(&to).map_err(|error| format!("the image cannot be read: {error}"))
        });
        gone(fs::remove_file(&to))?;
        let acknowledged = self.promises.by(first.cut);
        let facts = Facts {
            keelhaul: env!("CARGO_PKG_VERSION").into(),
            filesystem: self.stage.past.filesystem.clone(),
            records: records(&self.spec.reads),
            cut: first.cut,
            acknowledged: acknowledged as u64,
            wrong: first.wrong.clone(),
            beyond: self.stage.exceeds(first.cut, &first.kept)?,
            fsck: self.spec.fsck,
            digest: first.digest.clone(),
        };
        let state = encode(&facts, self.promises.log(acknowledged), &packed?);
        let written = state.and_then(|file| {
            fs::write(path_of(log, Artifact::State), &file).map(|()| file.len() as u64)
        });
        written.map_err(|error| error.to_string())
    }
}

impl Look<'_> {
    /// Writes the disk of a state to a file. One that two cuts have left is made anew, so it is looked at once
    /// more: what recovery writes need not be the same every time.
    fn write_image(&mut self, first: &mut WrongState, to: &Path) -> Result<u64, String> {
        let Some(second) = first.second.clone() else {
            let kept = first.kept.clone();
            return self.stage.write(&Ask::Keep { cut: first.cut, kept, to: to.to_owned() });
        };
        for _ in 0..ANEW {
            let digest = self.show_second((first.cut, &first.kept), &second)?;
            let bytes = self.stage.keep_shown(to.to_owned())?;
            let acknowledged = self.promises.by(first.cut);
            if !is_wrong(&self.settled(acknowledged, false)?) {
                continue;
            }
            first.digest = hexadecimal(&digest);
            let digest = first.digest.clone();
            self.shared.note(|report| {
                report.first.iter_mut().for_each(|first| first.digest.clone_from(&digest));
            });
            return Ok(bytes);
        }
        Err(format!("its recovery went another way whenever it was cut again, {ANEW} times"))
    }
}

fn gone(removed: std::io::Result<()>) -> Result<(), String> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// What of it holds on other hosts.
fn records(reads: &Reads) -> Records {
    match reads {
        Reads::File(file) => Records::File(file.clone()),
        Reads::Program { place, command } => {
            Records::Program { path: place.path.clone(), command: command.clone() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole_file() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("records.log");
        let whole: Vec<u8> = (0..3 * PIECE / 2).map(|at| (at % 251) as u8).collect();
        fs::write(dir.path().join("records.crash"), &whole).unwrap();
        let mut found = Vec::new();
        loop {
            let piece = piece(&log, Artifact::State, found.len() as u64).unwrap();
            if piece.is_empty() {
                break;
            }
            found.extend(STANDARD.decode(piece).unwrap());
        }
        assert!(found == whole);
        assert!(piece(&log, Artifact::LogWrites, 0).is_err());
    }
}
