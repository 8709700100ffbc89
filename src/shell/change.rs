//! `write`, `touch`, `mkdir`, `rm`: the few changes that help to try something out.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{look::each, target::said};

/// Replaces a file's contents by one line, and waits until it is on disk.
pub(super) fn write(path: &Path, text: &str) -> Result<(), String> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    written.map_err(|error| said(path, &error))
}

/// Makes files, or sets their times to now.
pub(super) fn touch(paths: &[PathBuf]) -> Result<(), String> {
    each(paths, |path| {
        let opened = OpenOptions::new().create(true).append(true).open(path);
        let touched = opened.and_then(|file| file.set_modified(SystemTime::now()));
        touched.map_err(|error| said(path, &error))
    })
}

/// Makes directories.
pub(super) fn mkdir(paths: &[PathBuf], parents: bool) -> Result<(), String> {
    each(paths, |path| {
        let made = if parents { fs::create_dir_all(path) } else { fs::create_dir(path) };
        made.map_err(|error| said(path, &error))
    })
}

/// Removes files, and with `recursive` directories; links are not followed.
pub(super) fn rm(paths: &[PathBuf], recursive: bool, force: bool) -> Result<(), String> {
    each(paths, |path| {
        if path == Path::new("/") {
            return Err("rm: `/` stays".into());
        }
        match remove(path, recursive) {
            Err(error) if force && error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other.map_err(|error| said(path, &error)),
        }
    })
}

fn remove(path: &Path, recursive: bool) -> io::Result<()> {
    let directory = fs::symlink_metadata(path)?.is_dir();
    if directory && recursive { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_and_what_is_removed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write(&at("a"), "one two").unwrap();
        assert_eq!(fs::read_to_string(at("a")).unwrap(), "one two\n");
        touch(&[at("a"), at("b")]).unwrap();
        assert_eq!(fs::read_to_string(at("a")).unwrap(), "one two\n");
        assert!(at("b").exists());
        mkdir(&[at("d/e")], true).unwrap();
        assert!(mkdir(&[at("x/y")], false).unwrap_err().contains("ENOENT"));
        assert!(rm(&[at("d")], false, true).is_err());
        rm(&[at("d"), at("a"), at("b")], true, false).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        rm(&[at("a")], false, true).unwrap();
        assert!(rm(&[at("a")], false, false).is_err());
        assert!(rm(&[PathBuf::from("/")], true, true).is_err());
    }
}
