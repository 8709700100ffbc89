//! The house rules as tests: sizes, layers, headers, words, and files that are generated.
//!
//! Reads the sources only; nothing is built or run. A number in here may only ever get smaller.

mod catalogue;
mod layers;
mod readme;
mod rows;
mod scenarios;
mod sizes;
mod traps;
mod words;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Root of the repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

/// Every file below `folders` whose name ends with one of `ends`, by path.
fn sources(folders: &[&str], ends: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| walk(&root().join(folder), &mut paths));
    paths.retain(|path| ends.iter().any(|end| path.to_string_lossy().ends_with(end)));
    paths.sort();
    let source = |path: PathBuf| Source {
        path: path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(),
        text: String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned(),
    };
    paths.into_iter().map(source).collect()
}

fn rust() -> Vec<Source> {
    let found = sources(&["src", "tests", "bench"], &[".rs"]);
    assert!(found.len() > 200, "the sources were not found");
    found
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// Fails with every offence, and what to do.
fn none(offences: &[String], what_to_do: &str) {
    assert!(offences.is_empty(), "{what_to_do}:\n  {}", offences.join("\n  "));
}

/// A generated file is what its sources give; `UPDATE=1` writes it anew.
fn is_current(path: &str, current: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, current).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(committed == current, "`{path}` is out of date: run `make generate`");
}
