//! What must be in an archive: every file with its size and SHA-256. The last entry of the archive,
//! so that an archive that was cut off has none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::JobError;
use super::files::Hashing;
use super::parts::Part;

/// Its name in the archive.
pub(super) const NAME: &str = "MANIFEST.json";
/// The format this build writes, and the newest it reads.
const VERSION: u32 = 1;
/// The most of it that is read.
const LARGEST: u64 = 64 << 20;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    /// By name in the archive.
    pub(super) files: BTreeMap<String, Content>,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) size: u64,
    pub(super) sha256: String,
}

impl Manifest {
    pub(super) fn new() -> Self {
        Self { version: VERSION, files: BTreeMap::new() }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|content| content.size).sum()
    }

    /// Fails when something is not in it without which these parts are of no use.
    pub(super) fn suffices(&self, archive: &Path, parts: &[Part]) -> Result<(), JobError> {
        let required = parts.iter().flat_map(Part::required);
        let missing: Vec<_> = required.filter(|name| !self.files.contains_key(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(JobError::Missing { archive: archive.to_owned(), missing })
    }
}

/// Reads an archive to its end and holds it against its own manifest.
pub(super) fn verify(archive: &Path) -> Result<Manifest, JobError> {
    let corrupt = |why: String| JobError::Corrupt { archive: archive.to_owned(), why };
    let file = File::open(archive).map_err(JobError::io("open", archive))?;
    let (said, found) = survey(file).map_err(|error| corrupt(error.to_string()))?;
    let said = said.ok_or_else(|| corrupt("it ends before its manifest".into()))?;
    if said.version > VERSION {
        return Err(corrupt(format!("its format is {}, we read up to {VERSION}", said.version)));
    }
    let names = said.files.keys().chain(found.keys());
    match names.into_iter().find(|name| said.files.get(*name) != found.get(*name)) {
        Some(name) => Err(corrupt(format!("`{name}` is not what the manifest says"))),
        None => Ok(said),
    }
}

type Found = BTreeMap<String, Content>;

fn survey(file: File) -> io::Result<(Option<Manifest>, Found)> {
    let (mut said, mut found) = (None, BTreeMap::new());
    for entry in tar::Archive::new(file).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path()?.to_string_lossy().into_owned();
        if name == NAME {
            let mut text = Vec::new();
            entry.take(LARGEST).read_to_end(&mut text)?;
            said = Some(serde_json::from_slice(&text)?);
            continue;
        }
        let mut content = Hashing::new(&mut entry);
        io::copy(&mut content, &mut io::sink())?;
        let (size, sha256) = content.finish();
        found.insert(name, Content { size, sha256 });
    }
    Ok((said, found))
}

/// Archives in a directory by name, the newest first; a file stands for itself.
pub(super) fn archives(from: &Path) -> Result<Vec<PathBuf>, JobError> {
    if from.is_file() {
        return Ok(vec![from.to_owned()]);
    }
    let entries = std::fs::read_dir(from).map_err(JobError::io("list", from))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(JobError::io("list", from))?.path();
        if path.extension().is_some_and(|extension| extension == "tar") {
            found.push(path);
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}
