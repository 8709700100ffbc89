//! Bad files and the exact text that refuses them.

use std::{fs, path::Path, process::Command};

use keelhaul::diagnostic::render;

use super::{env, folder, load, yaml_files};

#[test]
fn good_files_load() {
    let files = yaml_files(&folder("good"));
    let count = files.len();
    for file in files {
        if let Err(problems) = load(std::slice::from_ref(&file)) {
            panic!("{}", render(&problems));
        }
    }
    assert!(count >= 4, "only {count} good files");
}

/// What `keelhaul check` says of some files, held against the golden text; exit code 2, and
/// nothing on stdout.
fn difference(directory: &Path, files: &[&str], golden: &Path) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_keelhaul"))
        .arg("check")
        .args(files)
        .current_dir(directory)
        .envs(env())
        // nothing may be started: there is no engine to start it on
        .env("DOCKER_HOST", "unix:///nonexistent.sock")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(golden, &text).unwrap();
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    let refused = output.status.code() == Some(2) && output.stdout.is_empty();
    (text != expected || !refused).then(|| {
        format!("{}: {}\n--- expected\n{expected}--- got\n{text}", golden.display(), output.status)
    })
}

#[test]
fn bad_files_are_refused_with_position_and_advice() {
    let files = yaml_files(&folder("bad"));
    let count = files.len();
    let wrong: Vec<String> = files
        .into_iter()
        .filter_map(|file| {
            let name = file.file_name()?.to_str()?;
            difference(&folder("bad"), &[name], &file.with_extension("err"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 35, "only {count} bad files");
}

#[test]
fn files_that_clash_or_cannot_be_read_are_refused_together() {
    let pair = folder("bad-together");
    let paths = yaml_files(&pair);
    let mut files: Vec<&str> =
        paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    files.push("missing.yaml");
    let wrong = difference(&pair, &files, &pair.join("together.err"));
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

#[test]
fn every_problem_has_a_position_or_is_about_a_whole_file() {
    for file in yaml_files(&folder("bad")) {
        let problems = load(std::slice::from_ref(&file)).unwrap_err();
        let name = file.file_name().unwrap().to_string_lossy();
        for problem in problems {
            let place = problem.place.expect("a place");
            assert_eq!(place.file, name);
            let whole = name == "empty.yaml";
            assert_eq!(place.spot.is_none(), whole, "{name}: {}", problem.message);
        }
    }
}

#[test]
fn compose_files_are_refused_with_their_own_positions() {
    let files = yaml_files(&folder("bad-compose"));
    let count = files.len();
    let wrong: Vec<String> = files
        .into_iter()
        .filter_map(|file| {
            let name = file.file_name()?.to_str()?;
            difference(&folder("bad-compose"), &[name], &file.with_extension("err"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 8, "only {count} bad files");
}
