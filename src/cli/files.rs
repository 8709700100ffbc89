//! Finds and reads scenario files. Whatever cannot be read becomes a diagnostic, with all others.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use crate::scenario::LARGEST_FILE;

/// Deeper directories are a mistake, or a loop of links.
const DEPTH: usize = 16;

/// A file and its bytes, or why there are none.
pub(super) type Source = (PathBuf, Result<Vec<u8>, String>);

/// Every scenario file at or below the paths, in order; one that is named twice counts once.
pub(super) fn collect(paths: &[PathBuf]) -> Vec<Source> {
    let mut found = Vec::new();
    for path in paths {
        walk(path, DEPTH, true, &mut found);
    }
    let mut seen = BTreeSet::new();
    found.retain(|(path, _)| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone())));
    found
}

fn walk(path: &Path, depth: usize, named: bool, found: &mut Vec<Source>) {
    if !path.is_dir() {
        let yaml = path
            .extension()
            .is_some_and(|ext| ext == OsStr::new("yaml") || ext == OsStr::new("yml"));
        if named || yaml && !is_compose(path) {
            found.push((path.to_owned(), read(path)));
        }
        return;
    }
    if depth == 0 {
        let why = unreadable(format!("more than {DEPTH} directories deep"));
        found.push((path.to_owned(), Err(why)));
        return;
    }
    match entries(path) {
        Ok(children) => {
            let before = found.len();
            children.iter().for_each(|child| walk(child, depth - 1, false, found));
            if named && found.len() == before {
                found.push((
                    path.to_owned(),
                    Err("no scenario file (`*.yaml`) is in this directory\n\nhint: name a file, or a directory that has some".into()),
                ));
            }
        }
        Err(error) => found.push((path.to_owned(), Err(unreadable(error)))),
    }
}

/// By the names that Compose looks for, alone or behind others: `shop.compose.yaml`.
fn is_compose(path: &Path) -> bool {
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    stem.split('.').any(|word| word == "compose" || word == "docker-compose")
}

/// The bytes of a file, one more than may be at most: the loader says what is too large.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let kind = fs::metadata(path).map_err(unreadable)?;
    if !kind.is_file() {
        // a pipe or a device may have no end
        return Err(unreadable("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let most = LARGEST_FILE as u64 + 1;
    let file = File::open(path).map_err(unreadable)?;
    file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// A file beside a scenario, within the same limits; none where there is no such file.
pub(super) fn beside(path: &Path) -> Result<Option<Vec<u8>>, String> {
    if path.exists() { read(path).map(Some) } else { Ok(None) }
}

/// Why a file that a command line names cannot be read; none where it can. What would be said of a text
/// that is made around it would name that text.
pub(super) fn missing(path: &Path) -> Option<String> {
    let why = match beside(path) {
        Ok(Some(_)) => return None,
        Ok(None) => "there is no such file\n\nhint: check the path".to_owned(),
        Err(why) => why,
    };
    Some(format!("error: `{}`: {why}", path.display()))
}

fn unreadable(why: impl std::fmt::Display) -> String {
    format!("the file cannot be read: {why}\n\nhint: check the path and its permissions")
}

fn entries(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            children.push(entry.path());
        }
    }
    children.sort();
    Ok(children)
}

/// `VAR=VALUE` options as a map.
pub(super) fn assignments(set: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    set.iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => anyhow::bail!("`{text}` is not VAR=VALUE"),
        })
        .collect()
}
