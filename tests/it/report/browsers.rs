//! Which browser there is to test with.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What it is called, from distribution to distribution.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// `required`: where there is none, the tests in a browser fail.
const DEMAND: &str = "KEELHAUL_BROWSER";
/// Of a program that is a script, so much is looked at.
const SCRIPT: u64 = 64 << 10;

/// The program; none where there is none, and that is said by the test's name.
///
/// # Panics
/// When there is none, and one is demanded.
pub(super) fn wanted(test: &str) -> Option<PathBuf> {
    let demand = env::var(DEMAND).unwrap_or_default();
    found(&paths()).map_err(|why| skipped(test, &why, &demand)).ok()
}

fn skipped(test: &str, why: &str, demand: &str) {
    match demand {
        "" => _ = writeln!(std::io::stderr(), "skipped: {test}: {why}"),
        "required" => panic!("{test}: {why}, and {DEMAND} requires one"),
        other => panic!("{DEMAND} is `{other}`; it may only be `required`"),
    }
}

/// Every program with such a name on the search path, in the order of the names.
fn paths() -> Vec<PathBuf> {
    let search = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = env::split_paths(&search).collect();
    let of = |name: &str| directories.iter().map(|one| one.join(name)).collect::<Vec<_>>();
    NAMES.into_iter().flat_map(of).filter(|path| path.is_file()).collect()
}

/// The first that runs and is no snap.
fn found(paths: &[PathBuf]) -> Result<PathBuf, String> {
    let (snaps, others): (Vec<_>, Vec<_>) = paths.iter().partition(|path| is_snap(path));
    if let Some(path) = others.into_iter().find(|path| runs(path)) {
        return Ok(path.clone());
    }
    let none = format!("none of {} is here", NAMES.join(", "));
    Err(snaps.first().map_or(none, |path| {
        let path = path.display();
        format!("`{path}` is a snap, which sees neither our files nor our profile under /tmp")
    }))
}

/// A strict snap has a `/tmp` of its own and takes no home outside `/home`. Ubuntu's `chromium-browser`
/// is a script that starts one.
fn is_snap(path: &Path) -> bool {
    let is = |path: &Path| path.starts_with("/snap") || path == Path::new("/usr/bin/snap");
    is(path) || fs::canonicalize(path).is_ok_and(|path| is(&path)) || starts_snap(path)
}

fn starts_snap(path: &Path) -> bool {
    let mut begins = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(SCRIPT).read_to_end(&mut begins));
    let text = String::from_utf8_lossy(&begins);
    read.is_ok() && text.starts_with("#!") && text.contains("/snap/bin/")
}

fn runs(path: &Path) -> bool {
    let mut asked = Command::new(path);
    let asked = asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A program that can be asked for its version.
    fn program(at: &Path, name: &str, more: &str) -> PathBuf {
        let path = at.join(name);
        fs::write(&path, format!("#!/bin/sh\n{more}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_snap_is_taken_for_none_and_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let script = program(dir.path(), "chromium-browser", "exec /snap/bin/chromium \"$@\"");
        let why = found(std::slice::from_ref(&script)).unwrap_err();
        assert!(why.contains(&format!("`{}` is a snap", script.display())), "{why}");
        assert!(is_snap(Path::new("/snap/bin/chromium")) && is_snap(Path::new("/usr/bin/snap")));
        let other = program(dir.path(), "google-chrome", "exit 0");
        assert_eq!(found(&[script, other.clone()]), Ok(other));
    }

    #[test]
    fn what_does_not_run_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let broken = program(dir.path(), "chromium", "exit 1");
        let none = "none of chromium, chromium-browser, google-chrome is here";
        assert_eq!(found(&[broken]), Err(none.to_owned()));
    }

    #[test]
    fn what_is_not_demanded_is_skipped() {
        skipped("a test", "none is here", "");
    }

    #[test]
    #[should_panic(expected = "a test: none is here, and KEELHAUL_BROWSER requires one")]
    fn where_one_is_demanded_its_want_is_a_failure() {
        skipped("a test", "none is here", "required");
    }

    #[test]
    #[should_panic(expected = "KEELHAUL_BROWSER is `yes`; it may only be `required`")]
    fn a_demand_that_nobody_knows_is_a_failure() {
        skipped("a test", "none is here", "yes");
    }
}
