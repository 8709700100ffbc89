//! Finds and reads scenario files. Whatever cannot be read becomes a diagnostic, with all others.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

/// Deeper directories are a mistake, or a loop of links.
const DEPTH: usize = 16;

/// A file and its bytes, or why there are none.
pub(super) type Source = (PathBuf, Result<Vec<u8>, String>);

/// Every scenario file at or below the paths, in order.
pub(super) fn collect(paths: &[PathBuf]) -> Vec<Source> {
    let mut found = Vec::new();
    for path in paths {
        walk(path, DEPTH, true, &mut found);
    }
    found
}

fn walk(path: &Path, depth: usize, named: bool, found: &mut Vec<Source>) {
    if !path.is_dir() {
        let yaml = path
            .extension()
            .is_some_and(|ext| ext == OsStr::new("yaml") || ext == OsStr::new("yml"));
        if named || yaml {
            let bytes = fs::read(path).map_err(|error| error.to_string());
            found.push((path.to_owned(), bytes));
        }
        return;
    }
    if depth == 0 {
        let why = format!("more than {DEPTH} directories deep");
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
                    Err("no scenario file (*.yaml) in this directory".into()),
                ));
            }
        }
        Err(error) => found.push((path.to_owned(), Err(error.to_string()))),
    }
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
