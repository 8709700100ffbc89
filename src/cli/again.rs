//! `run --replay`: the run whose faults on I/O are to strike the same again.

use std::{
    fs::{self, File},
    io::BufReader,
    path::Path,
};

use super::{args::REPORTS, report};
use crate::{
    plan::Case,
    run::{RunRecord, Strikes},
};

/// What faults of an earlier run struck in these cases; or why they cannot strike it again.
pub(super) fn strikes(run: &str, out: &Path, cases: &[Case]) -> Result<Strikes, String> {
    let directory = report::directory(run, out);
    let events = directory.join(report::EVENTS);
    let shown = events.display();
    let file = File::open(&events).map_err(|error| {
        format!("cannot read `{shown}`: {error}\n\nhint: {}", report::known(out))
    })?;
    let record = RunRecord::read_whole(BufReader::new(file)).map_err(|why| {
        format!(
            "`{shown}` is no whole run: {why}\n\nhint: its faults may have struck more than is \
             recorded; name a run that came to its end"
        )
    })?;
    let id = record.start.as_ref().map_or(run, |start| start.run.as_str());
    Strikes::of(&place(id, &directory, out), &record, cases)
}

/// How a command line finds the run when `latest` is another: by its id where it looks for that, and
/// by its directory elsewhere.
fn place(id: &str, directory: &Path, out: &Path) -> String {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let (by_id, found) = (out.join(id), real(directory));
    match found {
        Some(found) if real(&by_id).as_ref() != Some(&found) => found.display().to_string(),
        _ if out == Path::new(REPORTS) => id.to_owned(),
        _ => by_id.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_run_is_named_by_what_stays_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (out, elsewhere) = (dir.path().join("out"), dir.path().join("kept"));
        fs::create_dir_all(out.join("k234567")).unwrap();
        fs::create_dir_all(&elsewhere).unwrap();
        symlink("k234567", out.join("latest")).unwrap();
        let own = out.join("k234567").display().to_string();
        assert_eq!(place("k234567", &out.join("latest"), &out), own, "`latest` moves on");
        let kept = fs::canonicalize(&elsewhere).unwrap().display().to_string();
        assert_eq!(place("k234567", &elsewhere, &out), kept, "a copy is not the run of that id");
        // where nobody says where reports are, the id is enough
        let gone = Path::new(REPORTS).join("k234567");
        assert_eq!(place("k234567", &gone, Path::new(REPORTS)), "k234567");
    }
}
