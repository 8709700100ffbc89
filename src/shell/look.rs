//! `ls`, `cat`, `stat`: reads what the subject sees; changes nothing, access times apart.

use std::{
    fs::{self, File, FileType, Metadata},
    io::{self, Write},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use super::target::said;

/// Lists directories, and files by their names.
pub(super) fn ls(paths: &[PathBuf], out: &mut dyn Write) -> Result<(), String> {
    each(paths, |path| {
        let meta = fs::symlink_metadata(path).map_err(|error| said(path, &error))?;
        if !meta.is_dir() {
            return line(&path.display().to_string(), path, &meta, out);
        }
        if paths.len() > 1 {
            print(out, format_args!("{}:", path.display()))?;
        }
        let mut entries = fs::read_dir(path)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(|error| said(path, &error))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().display().to_string();
            match entry.metadata() {
                Ok(meta) => line(&name, &entry.path(), &meta, out)?,
                Err(error) => print(out, format_args!("?  {}", said(&entry.path(), &error)))?,
            }
        }
        Ok(())
    })
}

/// Prints files.
pub(super) fn cat(paths: &[PathBuf], out: &mut dyn Write) -> Result<(), String> {
    each(paths, |path| {
        let copied = File::open(path).and_then(|mut file| io::copy(&mut file, out));
        copied.map(drop).map_err(|error| said(path, &error))
    })
}

/// Says what the kernel says of a file.
pub(super) fn stat(paths: &[PathBuf], out: &mut dyn Write) -> Result<(), String> {
    each(paths, |path| {
        let meta = fs::symlink_metadata(path).map_err(|error| said(path, &error))?;
        let (major, minor) = (rustix::fs::major(meta.dev()), rustix::fs::minor(meta.dev()));
        print(
            out,
            format_args!(
                "{}\n  type {}  mode {:04o}  owner {}:{}  links {}\n  size {}  blocks {}  inode {}  device {major}:{minor}\n  modified {}  changed {}",
                path.display(),
                kind(meta.file_type()),
                meta.mode() & 0o7777,
                meta.uid(),
                meta.gid(),
                meta.nlink(),
                meta.size(),
                meta.blocks(),
                meta.ino(),
                time(meta.mtime()),
                time(meta.ctime()),
            ),
        )
    })
}

fn line(name: &str, path: &Path, meta: &Metadata, out: &mut dyn Write) -> Result<(), String> {
    let link = fs::read_link(path).map(|to| format!(" -> {}", to.display())).unwrap_or_default();
    print(
        out,
        format_args!(
            "{}{} {:>3} {:>5}:{:<5} {:>12} {} {name}{link}",
            letter(meta.file_type()),
            mode(meta.mode()),
            meta.nlink(),
            meta.uid(),
            meta.gid(),
            meta.size(),
            time(meta.mtime()),
        ),
    )
}

fn kind(of: FileType) -> &'static str {
    match letter(of) {
        'd' => "directory",
        'l' => "link",
        'b' => "block-device",
        'c' => "character-device",
        'p' => "fifo",
        's' => "socket",
        _ => "file",
    }
}

fn letter(of: FileType) -> char {
    let known = [
        (of.is_dir(), 'd'),
        (of.is_symlink(), 'l'),
        (of.is_block_device(), 'b'),
        (of.is_char_device(), 'c'),
        (of.is_fifo(), 'p'),
        (of.is_socket(), 's'),
    ];
    known.into_iter().find_map(|(is, letter)| is.then_some(letter)).unwrap_or('-')
}

fn mode(bits: u32) -> String {
    let triple = |shift: u32| {
        ['r', 'w', 'x']
            .into_iter()
            .zip([4, 2, 1])
            .map(move |(letter, bit)| if bits >> shift & bit == 0 { '-' } else { letter })
    };
    [6, 3, 0].into_iter().flat_map(triple).collect()
}

fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string())
}

/// Goes on after an error, and returns all of them.
pub(super) fn each(
    paths: &[PathBuf],
    mut work: impl FnMut(&Path) -> Result<(), String>,
) -> Result<(), String> {
    let errors: Vec<String> = paths.iter().filter_map(|path| work(path).err()).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

/// Prints a line.
pub(super) fn print(out: &mut dyn Write, text: std::fmt::Arguments<'_>) -> Result<(), String> {
    writeln!(out, "{text}").map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(work: impl FnOnce(&mut Vec<u8>) -> Result<(), String>) -> String {
        let mut out = Vec::new();
        work(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_listing_shows_kinds_sizes_and_where_links_lead() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "12345").unwrap();
        fs::create_dir(dir.path().join("dir")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        let paths = [dir.path().to_owned()];
        let listing = text(|out| ls(&paths, out));
        let lines: Vec<&str> = listing.lines().collect();
        assert!(lines[0].starts_with("drwx") && lines[0].ends_with(" dir"), "{listing}");
        assert!(lines[1].starts_with("-rw-") && lines[1].contains(" 5 "), "{listing}");
        assert!(lines[2].ends_with("link -> nowhere"), "{listing}");
    }

    #[test]
    fn one_bad_path_does_not_hide_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good");
        fs::write(&good, "here").unwrap();
        let mut out = Vec::new();
        let said = cat(&[dir.path().join("bad"), good], &mut out).unwrap_err();
        assert!(said.contains("ENOENT"), "{said}");
        assert_eq!(out, b"here");
    }

    #[test]
    fn modes_are_written_as_usual() {
        assert_eq!(mode(0o100_640), "rw-r-----");
        assert_eq!(mode(0o755), "rwxr-xr-x");
    }
}
