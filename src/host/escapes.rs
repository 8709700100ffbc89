//! What processes hold of a directory since before something was mounted over it.
//!
//! A mount on top reaches whoever resolves the path from then on, and nothing that is open, mapped
//! or a working directory already. Only reads `/proc`; a process that ends meanwhile is left out.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

use super::open_files::parse_fdinfo;
use super::process::Identity;

/// A directory, and what covers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The directory, as the processes see it.
    pub at: PathBuf,
    /// Id of the mount below the cover.
    pub mount: u64,
    /// Device of the cover: what is mapped from that does not escape it.
    pub cover: (u32, u32),
}

/// How much escapes the cover.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Escapes {
    /// Open files and directories.
    pub files: u64,
    /// Working directories.
    pub directories: u64,
    /// Mapped files, each once for a process.
    pub maps: u64,
}

/// Counts what `processes` hold below the cover.
#[must_use]
pub fn escapes(processes: &[Identity], covered: &Covered) -> Escapes {
    let mut found = Escapes::default();
    for process in processes {
        let (files, maps) = (files(*process, covered), maps(*process, covered));
        let works_there = covered.holds_cwd(*process);
        // a recycled pid must not be counted
        if process.is_alive() {
            found.files += files;
            found.maps += maps;
            found.directories += u64::from(works_there);
        }
    }
    found
}

fn files(process: Identity, covered: &Covered) -> u64 {
    let Ok(entries) = fs::read_dir(process.proc_path("fdinfo")) else { return 0 };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let escape = numbers.filter(|number| {
        let info = fs::read_to_string(process.proc_path(&format!("fdinfo/{number}")));
        covered.is_mount_of(info.ok().as_deref())
            && covered.has(&process.proc_path(&format!("fd/{number}")))
    });
    escape.count() as u64
}

fn maps(process: Identity, covered: &Covered) -> u64 {
    let text = fs::read_to_string(process.proc_path("maps")).unwrap_or_default();
    let mapped = text.lines().filter_map(parse_map);
    let escape = mapped.filter(|(dev, path)| *dev != covered.cover && covered.is_below(path));
    escape.map(|(_, path)| path).collect::<BTreeSet<_>>().len() as u64
}

/// Device and path of a mapped file: `7f…-7f… r--p 00000000 fd:01 1234   /data/index`.
fn parse_map(line: &str) -> Option<((u32, u32), &Path)> {
    let dev = line.split_ascii_whitespace().nth(3)?;
    let (major, minor) = dev.split_once(':')?;
    let hex = |text| u32::from_str_radix(text, 16).ok();
    let path = &line[line.find('/')?..];
    Some(((hex(major)?, hex(minor)?), Path::new(path)))
}

impl Covered {
    fn is_mount_of(&self, fdinfo: Option<&str>) -> bool {
        fdinfo.and_then(parse_fdinfo).is_some_and(|(_, mount)| mount == self.mount)
    }

    fn is_below(&self, path: &Path) -> bool {
        path.starts_with(&self.at)
    }

    fn has(&self, link: &Path) -> bool {
        fs::read_link(link).is_ok_and(|path| self.is_below(&path))
    }

    fn holds_cwd(&self, process: Identity) -> bool {
        let link = process.proc_path("cwd");
        if !self.has(&link) {
            return false;
        }
        // the link itself does not say through which mount: a descriptor of ours does
        let Ok(cwd) = open(&link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) else {
            return false;
        };
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", cwd.as_raw_fd()));
        self.is_mount_of(info.ok().as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::mountinfo::MountTable;
    use crate::host::testing::{Target, root_or_skip};

    #[test]
    fn what_is_held_of_a_covered_directory_is_counted_and_what_is_opened_later_is_not() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start(
            "mount -t tmpfs t /mnt; mkdir /mnt/a /mnt/b; cd /mnt/a; \
             exec 5>/mnt/a/one 6</mnt/a 7>/mnt/b/elsewhere; \
             mount -t tmpfs cover /mnt/a; exec 8>/mnt/a/later",
        );
        let process = target.identity();
        let table = MountTable::of(process).unwrap();
        let cover = *table.at(Path::new("/mnt/a")).last().unwrap();
        let covered = Covered { at: "/mnt/a".into(), mount: cover.parent, cover: cover.dev };
        let found = escapes(&[process], &covered);
        assert_eq!(found, Escapes { files: 2, directories: 1, maps: 0 });
        let wider = Covered { at: "/mnt".into(), ..covered.clone() };
        assert_eq!(escapes(&[process], &wider).files, 3);
        let another = Covered { mount: cover.parent + 100_000, ..covered };
        assert_eq!(escapes(&[process], &another), Escapes::default());
    }

    #[test]
    fn a_mapped_file_is_known_by_its_device_and_path() {
        let line = "7f01-7f02 r--p 00000000 fd:1a 1234                       /data/a b";
        assert_eq!(parse_map(line), Some(((0xfd, 0x1a), Path::new("/data/a b"))));
        assert_eq!(parse_map("7f01-7f02 rw-p 00000000 00:00 0 [heap]"), None);
    }
}
