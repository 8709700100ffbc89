//! The session: what the service remembers across restarts, and how it notices that it cannot.
//!
//! `state.json` is replaced as a whole: temporary file, fsync, rename, fsync of the directory. A
//! marker in the data directory says that a state has been saved before; marker without state
//! means that the state was lost, which is reported and not glossed over.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::args::SpecimenArgs;
use super::journal::sync_dir;
use super::weakness::Weakness;

/// The format this build writes, and the newest it reads.
const SCHEMA: u32 = 1;

/// Says that a state has been saved in this directory before.
pub(super) const MARKER: &str = "initialised";

/// What is saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) schema: u32,
    pub(super) session: String,
    /// Starts of this session, the first included.
    pub(super) starts: u64,
    /// Records kept when it was saved.
    pub(super) records: u64,
}

/// The session as it came up.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) saved: Saved,
    pub(super) resumed: bool,
    pub(super) lost_state: bool,
}

/// Why no session could be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// May work later.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Never will: reading it as ours would misread it.
    #[error(
        "state has schema {0}, this build reads up to {SCHEMA}\n\nhint: start the newer build, or move the state away"
    )]
    Newer(u32),
    /// State without what it needs beside it.
    #[error(
        "`{0}` is missing, and there is a state that belongs to it\n\nhint: restore it from the backup that the state came from"
    )]
    Incomplete(String),
}

/// Where the state is kept.
pub(super) struct StateFile {
    state: PathBuf,
    marker: PathBuf,
    reads_anything: bool,
}

impl StateFile {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        let volatile = args.runtime_state.as_ref().filter(|_| args.has(Weakness::TmpfsState));
        let dir = volatile.unwrap_or(&args.data);
        Self {
            state: dir.join("state.json"),
            marker: args.data.join(MARKER),
            reads_anything: args.has(Weakness::ReadsAnything),
        }
    }

    pub(super) fn exists(&self) -> io::Result<bool> {
        self.state.try_exists()
    }

    /// Resumes the saved session, or begins a new one.
    pub(super) fn load(&self) -> Result<Session, SessionError> {
        match fs::read(&self.state) {
            Ok(bytes) => self.resume(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(self.begin()?),
            Err(error) => Err(error.into()),
        }
    }

    fn resume(&self, bytes: &[u8]) -> Result<Session, SessionError> {
        /// The one field every schema has.
        #[derive(Deserialize)]
        struct Schema {
            schema: u32,
        }
        match serde_json::from_slice(bytes) {
            Ok(Schema { schema }) if schema > SCHEMA && !self.reads_anything => {
                return Err(SessionError::Newer(schema));
            }
            // Unreadable is as good as absent, and as bad.
            Err(_) => return Ok(self.begin()?),
            Ok(_) => {}
        }
        let Ok(mut saved) = serde_json::from_slice::<Saved>(bytes) else {
            return Ok(self.begin()?);
        };
        saved.starts += 1;
        Ok(Session { saved, resumed: true, lost_state: false })
    }

    fn begin(&self) -> io::Result<Session> {
        let mut hasher = DefaultHasher::new();
        (SystemTime::now(), std::process::id(), &self.state).hash(&mut hasher);
        let session = format!("{:016x}", hasher.finish());
        let saved = Saved { schema: SCHEMA, session, starts: 1, records: 0 };
        Ok(Session { saved, resumed: false, lost_state: self.marker.try_exists()? })
    }

    /// Replaces the saved state, durably, or leaves the old one as it was. `home` fails when the
    /// data directory is no longer ours.
    pub(super) fn save(&self, saved: &Saved, home: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let mut text = serde_json::to_vec(saved)?;
        text.push(b'\n');
        home()?;
        replace(&self.state, &text)?;
        if !self.marker.try_exists()? {
            // The sync took its time, and the path may lead elsewhere by now.
            home()?;
            File::create(&self.marker)?.sync_all()?;
            sync_dir(&self.marker)?;
        }
        Ok(())
    }
}

/// Replaces a file as a whole. Needs a free inode for a moment.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&temporary, path)) {
        // An unfinished copy must not keep what the next attempt needs.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_dir(path)
}
