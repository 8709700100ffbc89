//! `df` and `mounts`: how full file systems are, bytes and inodes, and what is mounted where.

use std::{
    collections::BTreeSet,
    io::Write,
    path::{Path, PathBuf},
};

use super::look::{each, print};
use crate::host::{
    mountinfo::{MountEntry, MountTable},
    statfs::FsUsage,
};

const HEAD: [&str; 9] =
    ["TYPE", "BYTES", "USED", "FREE", "INODES", "USED", "FREE", "FLAGS", "PATH"];

/// How full the file systems of these paths are; of every mount without any.
pub(super) fn df(
    paths: &[PathBuf],
    mounts: &MountTable,
    out: &mut dyn Write,
) -> Result<(), String> {
    let all: Vec<PathBuf> = if paths.is_empty() { mount_points(mounts) } else { paths.to_vec() };
    row(&HEAD.map(str::to_owned), out)?;
    each(&all, |path| {
        let usage = FsUsage::of(path).map_err(|error| error.to_string())?;
        // those without room of their own: proc, sysfs, cgroup
        if paths.is_empty() && usage.bytes_total == 0 {
            return Ok(());
        }
        row(&columns(path, &usage), out)
    })
}

/// The mount table, in the order of mounting.
pub(super) fn mounts(mounts: &MountTable, out: &mut dyn Write) -> Result<(), String> {
    for entry in &mounts.0 {
        let stacked = mounts.at(&entry.mount_point).len() > 1;
        print(out, format_args!("{}", describe(entry, stacked)))?;
    }
    Ok(())
}

fn describe(entry: &MountEntry, stacked: bool) -> String {
    let (major, minor) = entry.dev;
    let note = if stacked { "  [stacked]" } else { "" };
    format!(
        "{}  {} from {}  {}  device {major}:{minor}{note}",
        entry.mount_point.display(),
        entry.fs_type,
        entry.source,
        entry.options,
    )
}

fn mount_points(mounts: &MountTable) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let points = mounts.0.iter().map(|entry| entry.mount_point.clone());
    points.filter(|point| seen.insert(point.clone())).collect()
}

fn columns(path: &Path, usage: &FsUsage) -> [String; 9] {
    let inodes =
        |number: u64| if usage.inodes_total == 0 { "-".into() } else { number.to_string() };
    [
        usage.fs_type.clone(),
        usage.bytes_total.to_string(),
        usage.bytes_used().to_string(),
        usage.bytes_free.to_string(),
        inodes(usage.inodes_total),
        inodes(usage.inodes_used()),
        inodes(usage.inodes_free),
        if usage.read_only { "ro" } else { "rw" }.to_owned(),
        path.display().to_string(),
    ]
}

fn row(columns: &[String; 9], out: &mut dyn Write) -> Result<(), String> {
    let [kind, bytes, used, free, inodes, iused, ifree, flags, path] = columns;
    print(
        out,
        format_args!(
            "{kind:<8} {bytes:>15} {used:>15} {free:>15} {inodes:>10} {iused:>10} {ifree:>10} {flags:<5} {path}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::mountinfo;

    #[test]
    fn stacked_mounts_are_marked() {
        let text = b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /data rw - ext4 /dev/sdb rw\n3 2 8:2 / /data ro - ext4 /dev/sdb rw\n";
        let mut out = Vec::new();
        mounts(&mountinfo::parse(text).unwrap(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "/  ext4 from /dev/sda1  rw  device 8:1");
        assert_eq!(lines[2], "/data  ext4 from /dev/sdb  ro  device 8:2  [stacked]");
    }

    #[test]
    fn a_path_that_is_not_there_is_named_and_the_others_are_shown() {
        let table = MountTable(Vec::new());
        let mut out = Vec::new();
        let paths = [PathBuf::from("/no/such"), PathBuf::from("/")];
        assert!(df(&paths, &table, &mut out).unwrap_err().contains("/no/such"));
        assert_eq!(String::from_utf8(out).unwrap().lines().count(), 2);
    }
}
