//! Which descriptors of a set of processes are open for writing on a mount or a superblock.
//!
//! A mount made read-only by a clone on top does not reach them: they keep writing. The count says
//! how many. Only reads `/proc`; a process that ends meanwhile is left out.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::mountinfo::MountEntry;
use super::process::Identity;

/// The most descriptors that are named.
const LISTED: usize = 20;

/// Which files are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// `st_dev` of the files; `None` for any.
    pub dev: Option<u64>,
    /// The mount they were opened through, as in mountinfo; `None` for any.
    pub mount: Option<u64>,
}

impl Place {
    /// What was opened through this very mount.
    #[must_use]
    pub fn mount(mount: &MountEntry) -> Self {
        Self { dev: None, mount: Some(mount.id) }
    }
}

/// The descriptors open for writing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWriters {
    /// How many there are; one that several processes share counts once for each.
    pub count: usize,
    /// The first 20 by pid and descriptor.
    pub listed: Vec<OpenWriter>,
}

/// One descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenWriter {
    /// The process.
    pub process: Identity,
    /// Its command name.
    pub command: String,
    /// The descriptor's number.
    pub descriptor: u32,
    /// The path, as the process sees it.
    pub path: PathBuf,
}

/// Counts the writable descriptors of `processes` at a place.
///
/// Writable shared mappings whose descriptor is closed are not seen.
#[must_use]
pub fn open_writers(processes: &[Identity], place: Place) -> OpenWriters {
    let mut found = OpenWriters::default();
    for &process in processes {
        let mut numbers: Vec<u32> = match fs::read_dir(process.proc_path("fdinfo")) {
            Ok(entries) => {
                entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
            }
            Err(_) => continue,
        };
        numbers.sort_unstable();
        // a recycled pid must not be counted
        if !process.is_alive() {
            continue;
        }
        for descriptor in numbers.into_iter().filter(|&fd| is_writer(process, fd, place)) {
            found.count += 1;
            if found.listed.len() < LISTED {
                found.listed.push(describe(process, descriptor));
            }
        }
    }
    found
}

fn is_writer(process: Identity, descriptor: u32, place: Place) -> bool {
    let info = fs::read_to_string(process.proc_path(&format!("fdinfo/{descriptor}")));
    let Some((flags, mount)) = info.ok().as_deref().and_then(parse_fdinfo) else {
        return false;
    };
    let access = flags & libc::O_ACCMODE.cast_unsigned();
    // a descriptor made with O_PATH writes nothing, whatever else its flags say
    let writable = access != 0 && flags & libc::O_PATH.cast_unsigned() == 0;
    if !writable || place.mount.is_some_and(|wanted| wanted != mount) {
        return false;
    }
    place.dev.is_none_or(|dev| {
        let link = process.proc_path(&format!("fd/{descriptor}"));
        fs::metadata(link).is_ok_and(|meta| meta.dev() == dev)
    })
}

pub(super) fn parse_fdinfo(text: &str) -> Option<(u32, u64)> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let flags = u32::from_str_radix(value("flags:")?, 8).ok()?;
    Some((flags, value("mnt_id:")?.parse().ok()?))
}

fn describe(process: Identity, descriptor: u32) -> OpenWriter {
    let command = fs::read(process.proc_path("comm")).unwrap_or_default();
    let link = fs::read_link(process.proc_path(&format!("fd/{descriptor}")));
    OpenWriter {
        process,
        command: String::from_utf8_lossy(command.trim_ascii_end()).into_owned(),
        descriptor,
        path: link.unwrap_or_else(|_| Path::new("?").to_path_buf()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::mountinfo::MountTable;
    use crate::host::testing::{Target, root_or_skip};

    #[test]
    fn writers_are_counted_by_mount_and_named() {
        if !root_or_skip() {
            return;
        }
        let target = Target::start(
            "mount -t tmpfs t /mnt; exec 5>/mnt/one 6>>/mnt/two 7</mnt/one 8>/dev/null",
        );
        let process = target.identity();
        let table = MountTable::of(process).unwrap();
        let mount = *table.at(Path::new("/mnt")).last().unwrap();
        let found = open_writers(&[process], Place::mount(mount));
        assert_eq!(found.count, 2);
        let named: Vec<_> = found.listed.iter().map(|w| (w.descriptor, w.path.clone())).collect();
        assert_eq!(named, [(5, PathBuf::from("/mnt/one")), (6, PathBuf::from("/mnt/two"))]);
        assert_eq!(found.listed[0].command, "sh");
        let dev = rustix::fs::makedev(mount.dev.0, mount.dev.1);
        let by_dev = open_writers(&[process], Place { dev: Some(dev), mount: None });
        assert_eq!(by_dev, found);
        let elsewhere = Place { dev: None, mount: Some(mount.id + 100_000) };
        assert_eq!(open_writers(&[process], elsewhere).count, 0);
    }

    #[test]
    fn ten_thousand_open_files_are_counted_and_few_are_listed() {
        if !root_or_skip() {
            return;
        }
        let open = "ulimit -n 20000; for i in $(seq 10000); do exec {fd}>/mnt/$i; done";
        let wait = "echo ready; read line";
        let target =
            Target::start(&format!("mount -t tmpfs t /mnt; exec bash -c '{open}; {wait}'"));
        let process = target.identity();
        let table = MountTable::of(process).unwrap();
        let mount = *table.at(Path::new("/mnt")).last().unwrap();
        let started = std::time::Instant::now();
        let found = open_writers(&[process], Place::mount(mount));
        assert_eq!(found.count, 10_000);
        assert!(found.listed.len() < 100, "an answer has a bound: {}", found.listed.len());
        // a tenth of a second is usual; what grows with the square of it takes minutes
        assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
    }
}
