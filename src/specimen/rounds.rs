//! Rounds of rename and chmod over a tree, as a rolling update makes them: is all of it in force
//! afterwards?
//!
//! Each item is a directory with a file. A round gives both a new name that ends in the mode they
//! must have, and then that mode, so that what is out of sync shows by itself, after a restart too.
//! On an overlay without `redirect_dir` a directory of a lower layer cannot be renamed (EXDEV): it
//! is copied instead, as mv(1) does.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

const DIRECTORY: u32 = 0o750;
const FILE: u32 = 0o640;

/// How far it has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    /// Items in all.
    pub(super) items: u64,
    /// Those whose names and modes are what a round has made them.
    pub(super) in_sync: u64,
    /// Rounds made now.
    pub(super) rounds: u64,
    /// Every item was tried.
    pub(super) through: bool,
    /// The mean time of a round since the start, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mean_us: Option<u64>,
}

/// Rounds made since the start.
#[derive(Debug, Default)]
pub(super) struct Pace {
    made: AtomicU64,
    took_us: AtomicU64,
}

impl Pace {
    fn add(&self, made: u64, took: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.made.fetch_add(made, Ordering::Relaxed);
        self.took_us.fetch_add(took, Ordering::Relaxed);
    }

    fn mean_us(&self) -> Option<u64> {
        self.took_us.load(Ordering::Relaxed).checked_div(self.made.load(Ordering::Relaxed))
    }
}

/// Makes a round with each item that had none, as many as fit into the time.
pub(super) fn advance(
    root: &Path,
    time: Duration,
    rename_only: bool,
    pace: &Pace,
) -> io::Result<Report> {
    let started = Instant::now();
    let (mut rounds, mut through) = (0, true);
    for item in items(root)?.iter().filter(|item| item.extension().is_none()) {
        if started.elapsed() >= time {
            through = false;
            break;
        }
        // One that fails stays out of sync, which is what is counted.
        let _ = round(item, rename_only);
        rounds += 1;
    }
    if rounds > 0 {
        pace.add(rounds, started.elapsed());
    }
    Ok(Report { rounds, through, ..report(root, pace)? })
}

/// Counts what is in sync.
pub(super) fn report(root: &Path, pace: &Pace) -> io::Result<Report> {
    let items = items(root)?;
    let in_sync = items.iter().filter(|item| is_in_sync(item)).count() as u64;
    let mean_us = pace.mean_us();
    Ok(Report { items: items.len() as u64, in_sync, mean_us, ..Report::default() })
}

fn items(root: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root)?.map(|entry| Ok(entry?.path()));
    let mut items = entries.collect::<io::Result<Vec<_>>>()?;
    items.retain(|path| path.is_dir());
    items.sort_unstable();
    Ok(items)
}

fn round(item: &Path, rename_only: bool) -> io::Result<()> {
    let data = named(&item.join("data"), FILE);
    fs::rename(item.join("data"), &data)?;
    fs::set_permissions(&data, fs::Permissions::from_mode(FILE))?;
    let to = named(item, DIRECTORY);
    match fs::rename(item, &to) {
        Err(error) if error.raw_os_error() == Some(libc::EXDEV) && !rename_only => copy(item, &to)?,
        result => result?,
    }
    fs::set_permissions(&to, fs::Permissions::from_mode(DIRECTORY))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        // contents and permission bits
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    fs::remove_dir_all(from)
}

/// `item` → `item.750`.
fn named(path: &Path, mode: u32) -> PathBuf {
    path.with_extension(format!("{mode:o}"))
}

fn is_in_sync(item: &Path) -> bool {
    let has = |path: &Path, mode: u32| {
        let named = path.extension().and_then(|text| text.to_str()) == Some(&format!("{mode:o}"));
        let found = fs::metadata(path).map(|meta| meta.permissions().mode() & 0o7777);
        named && found.is_ok_and(|found| found == mode)
    };
    has(item, DIRECTORY) && has(&item.join("data.640"), FILE) && !item.join("data").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_in_sync_until_a_mode_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..3 {
            let item = dir.path().join(format!("item-{n}"));
            fs::create_dir(&item).unwrap();
            fs::write(item.join("data"), "x").unwrap();
        }
        let pace = Pace::default();
        let none = advance(dir.path(), Duration::ZERO, false, &pace).unwrap();
        assert_eq!((none.items, none.in_sync, none.rounds, none.through), (3, 0, 0, false));
        assert_eq!(none.mean_us, None);
        let all = advance(dir.path(), Duration::from_secs(60), false, &pace).unwrap();
        assert_eq!((all.items, all.in_sync, all.rounds, all.through), (3, 3, 3, true));
        assert!(all.mean_us.is_some());
        let data = dir.path().join("item-1.750/data.640");
        fs::set_permissions(data, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(report(dir.path(), &pace).unwrap().in_sync, 2);
        let over = advance(dir.path(), Duration::from_secs(60), false, &pace).unwrap();
        assert!(over.through && over.rounds == 0 && over.mean_us == all.mean_us);
    }

    #[test]
    fn a_copy_is_as_good_as_a_rename() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("item"), dir.path().join("item.750"));
        fs::create_dir(&from).unwrap();
        fs::write(from.join("data.640"), "x").unwrap();
        fs::set_permissions(from.join("data.640"), fs::Permissions::from_mode(FILE)).unwrap();
        copy(&from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(DIRECTORY)).unwrap();
        assert!(is_in_sync(&to) && !from.exists());
    }
}
