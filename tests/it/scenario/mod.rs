//! Scenario files: good ones load, bad ones are refused with the text beside them.
//!
//! `UPDATE=1 cargo test --test it scenario` writes the texts anew; read every one by eye.

mod cases;
mod compose;
mod composed;
mod explained;
mod golden;
mod hostile;
mod loops;
mod pairs;
mod parameters;
mod plans;
mod schema;
mod shells;
mod shipped;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use keelhaul::{
    diagnostic::Diagnostic,
    scenario::{self, Beside, Loaded, Sets},
};

/// The folder of these tests.
fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/scenario").join(name)
}

/// Files under their bare names, so that the expected texts hold anywhere.
fn load(paths: &[PathBuf]) -> Result<Vec<Loaded>, Vec<Diagnostic>> {
    let files: Vec<_> = paths
        .iter()
        .map(|path| {
            let bytes = fs::read(path).map_err(|error| error.kind().to_string());
            (PathBuf::from(path.file_name().unwrap()), bytes)
        })
        .collect();
    // what they name lies beside them
    let read = |name: &Path| {
        let folders = paths.iter().filter_map(|path| path.parent());
        Ok(folders.map(|folder| folder.join(name)).find_map(|path| fs::read(path).ok()))
    };
    let beside = Beside { read: &read, directory: Path::new("/here") };
    scenario::load_beside(&files, &Sets::new(), &env(), beside)
}

/// One scenario from a text.
fn load_text(text: &str, sets: &[(&str, &str)]) -> Result<Vec<Loaded>, Vec<Diagnostic>> {
    let sets = sets.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let file = (PathBuf::from("text.yaml"), Ok(text.as_bytes().to_vec()));
    scenario::load_all(&[file], &sets, &env())
}

fn env() -> BTreeMap<String, String> {
    let pairs = [("REGION", "eu"), ("TOKEN", "hunter22")];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}
