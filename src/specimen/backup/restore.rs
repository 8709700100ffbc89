//! Restoring: prove the archive, unpack beside the target, then move into place.
//!
//! Nothing of the target is touched before the archive is proven whole and sufficient, and a
//! service that waits for its state finds it only when all else is there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::super::console::Console;
use super::super::weakness::Weakness;
use super::JobError;
use super::args::{Bugs, RestoreArgs};
use super::files::{sync_all, walk};
use super::manifest::{archives, verify};
use super::parts::{self, Part};

/// Where an archive is unpacked, on the target's own filesystem.
const STAGE: &str = ".restore";
/// What a service that waits looks for.
const LAST: &str = "state.json";

pub(super) fn restore(args: &RestoreArgs, console: &Console) -> Result<String, JobError> {
    let identity = args.identity.clone().map(parts::identity);
    // The data comes last: with it the service begins.
    let wanted: Vec<Part> = identity.into_iter().chain([parts::data(args.data.clone())]).collect();
    let state = args.data.join(LAST);
    if state.exists() {
        return Err(JobError::Occupied(args.data.clone()));
    }
    let archive = choose(&args.from, &wanted, &args.bugs, console)?;
    let files = unpack(&archive, &wanted)?;
    Ok(format!("{} files from {}", files, archive.display()))
}

/// The newest archive that is whole and holds all of `wanted`.
pub(super) fn choose(
    from: &Path,
    wanted: &[Part],
    bugs: &Bugs,
    console: &Console,
) -> Result<PathBuf, JobError> {
    let mut rejected = None;
    for archive in archives(from)? {
        if bugs.has(Weakness::AcceptsCorruption) {
            return Ok(archive);
        }
        match verify(&archive).and_then(|manifest| manifest.suffices(&archive, wanted)) {
            Ok(()) => return Ok(archive),
            Err(error) => {
                console.say(format!("rejected: {error}"));
                rejected.get_or_insert(error);
            }
        }
    }
    Err(rejected.unwrap_or_else(|| JobError::NoArchive(from.to_owned())))
}

/// Unpacks the parts into their directories, durably; how many files.
pub(super) fn unpack(archive: &Path, wanted: &[Part]) -> Result<usize, JobError> {
    let mut files = 0;
    for part in wanted {
        let stage = part.root.join(STAGE);
        remove(&stage)?;
        fs::create_dir_all(&stage).map_err(JobError::io("create", &stage))?;
        extract(archive, part.name, &stage)?;
        let paths = walk(&stage, &|_| true)?;
        sync_all(&stage, &paths)?;
        files += paths.iter().filter(|path| stage.join(path).is_file()).count();
        move_into_place(&stage, &part.root)?;
        remove(&stage)?;
    }
    Ok(files)
}

fn extract(archive: &Path, part: &str, stage: &Path) -> Result<(), JobError> {
    let corrupt = |error: std::io::Error| JobError::Corrupt {
        archive: archive.to_owned(),
        why: error.to_string(),
    };
    let file = File::open(archive).map_err(JobError::io("open", archive))?;
    let mut tar = tar::Archive::new(file);
    tar.set_preserve_permissions(true);
    tar.set_preserve_ownerships(true);
    for entry in tar.entries().map_err(corrupt)? {
        let mut entry = entry.map_err(corrupt)?;
        let name = entry.path().map_err(corrupt)?.into_owned();
        let Ok(inside) = name.strip_prefix(part) else { continue };
        let to = stage.join(inside);
        // Of our own making, and still: no entry leaves the stage.
        if inside.components().any(|step| !matches!(step, std::path::Component::Normal(_))) {
            continue;
        }
        entry.unpack(&to).map_err(JobError::io("restore", &to))?;
    }
    Ok(())
}

fn move_into_place(stage: &Path, root: &Path) -> Result<(), JobError> {
    let entries = fs::read_dir(stage).map_err(JobError::io("list", stage))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(JobError::io("list", stage))?.file_name());
    }
    names.sort_by_key(|name| name == LAST);
    for name in names {
        let to = root.join(&name);
        if to.is_dir() {
            remove(&to)?;
        }
        fs::rename(stage.join(&name), &to).map_err(JobError::io("restore", &to))?;
    }
    sync_all(root, &[])
}

/// Removes a directory with all in it; one that is not there is removed already.
pub(super) fn remove(dir: &Path) -> Result<(), JobError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(JobError::io("remove", dir)(error))
        }
        _ => Ok(()),
    }
}
