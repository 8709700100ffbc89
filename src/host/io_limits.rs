//! Limits of a cgroup's I/O on one block device: `blkio.throttle.*` on v1, `io.max` on v2.
//!
//! Reads and writes those files. Measured (kernel 6.18, v1): direct and synced writes of the
//! cgroup's own processes are held back; buffered ones only where their writer also syncs them. A
//! device is named by its number, so whoever undoes must know that it still is the same device.

use super::cgroup::{Cgroup, Version};
use super::error::{HostError, HostResult};
use crate::protocol::{Dev, IoLimits};

/// The files of v1, in the order of [`columns`].
const FILES: [&str; 4] = [
    "blkio.throttle.read_bps_device",
    "blkio.throttle.write_bps_device",
    "blkio.throttle.read_iops_device",
    "blkio.throttle.write_iops_device",
];
/// The file of v2, and its keys in the same order.
const FILE: &str = "io.max";
const KEYS: [&str; 4] = ["rbps", "wbps", "riops", "wiops"];

/// The limits that are in force on `dev`.
///
/// # Errors
/// `ENOENT` where the kernel, or the hierarchy, has no such limits.
pub fn read(cgroup: &Cgroup, dev: Dev) -> HostResult<IoLimits> {
    let mut found = [None; 4];
    match cgroup.version {
        Version::V1 => {
            for (limit, file) in found.iter_mut().zip(FILES) {
                *limit = number(line_of(&cgroup.read(file)?, dev))?;
            }
        }
        Version::V2 => {
            let text = cgroup.read(FILE)?;
            let line = line_of(&text, dev).unwrap_or_default();
            for (limit, key) in found.iter_mut().zip(KEYS) {
                let word =
                    line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
                *limit = number(word)?;
            }
        }
    }
    let [read_bytes, write_bytes, read_ops, write_ops] = found;
    Ok(IoLimits { read_bytes, write_bytes, read_ops, write_ops })
}

/// Puts all four in force; a missing one is lifted.
///
/// # Errors
/// `ENODEV` when the device is gone, `EINVAL` for a value that the kernel does not take.
pub fn write(cgroup: &Cgroup, dev: Dev, limits: IoLimits) -> HostResult<()> {
    match cgroup.version {
        Version::V1 => {
            for (limit, file) in columns(limits).iter().zip(FILES) {
                // 0 lifts it
                cgroup.write(file, &format!("{dev} {}", limit.unwrap_or_default()))?;
            }
            Ok(())
        }
        Version::V2 => cgroup.write(FILE, &line(dev, limits)),
    }
}

fn columns(limits: IoLimits) -> [Option<u64>; 4] {
    [limits.read_bytes, limits.write_bytes, limits.read_ops, limits.write_ops]
}

fn line(dev: Dev, limits: IoLimits) -> String {
    let word = |(key, limit): (&str, &Option<u64>)| match limit {
        Some(limit) => format!(" {key}={limit}"),
        None => format!(" {key}=max"),
    };
    let words: String = KEYS.into_iter().zip(&columns(limits)).map(word).collect();
    format!("{dev}{words}")
}

/// What a file says of a device, after its number.
fn line_of(text: &str, dev: Dev) -> Option<&str> {
    let dev = dev.to_string();
    text.lines().find_map(|line| line.strip_prefix(&dev)?.strip_prefix(' '))
}

fn number(word: Option<&str>) -> HostResult<Option<u64>> {
    match word.map(str::trim) {
        None | Some("max" | "") => Ok(None),
        Some(word) => {
            let parsed = word.parse().map(Some);
            parsed.map_err(|_| HostError::malformed("an I/O limit", format!("`{word}`")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const DEV: Dev = Dev { major: 7, minor: 1 };

    fn cgroup(version: Version, dir: &tempfile::TempDir) -> Cgroup {
        Cgroup { version, dir: dir.path().to_path_buf() }
    }

    #[test]
    fn version_1_has_a_file_for_each_and_a_line_for_each_device() {
        let dir = tempfile::tempdir().unwrap();
        for file in FILES {
            fs::write(dir.path().join(file), "7:11 5\n").unwrap();
        }
        fs::write(dir.path().join(FILES[1]), "7:11 5\n7:1 4096\n").unwrap();
        let cgroup = cgroup(Version::V1, &dir);
        let limits = IoLimits { write_bytes: Some(4096), ..IoLimits::default() };
        assert_eq!(read(&cgroup, DEV), Ok(limits));
        for file in FILES {
            fs::write(dir.path().join(file), "").unwrap();
        }
        write(&cgroup, DEV, IoLimits { read_ops: Some(9), ..limits }).unwrap();
        let written = FILES.map(|file| fs::read_to_string(dir.path().join(file)).unwrap());
        assert_eq!(written, ["7:1 0", "7:1 4096", "7:1 9", "7:1 0"]);
    }

    #[test]
    fn version_2_has_one_line_for_each_device() {
        let dir = tempfile::tempdir().unwrap();
        let text =
            "7:11 rbps=1 wbps=2 riops=3 wiops=4\n7:1 rbps=max wbps=4096 riops=max wiops=20\n";
        fs::write(dir.path().join(FILE), text).unwrap();
        let cgroup = cgroup(Version::V2, &dir);
        let limits =
            IoLimits { write_bytes: Some(4096), write_ops: Some(20), ..IoLimits::default() };
        assert_eq!(read(&cgroup, DEV), Ok(limits));
        assert_eq!(read(&cgroup, Dev { major: 8, minor: 0 }), Ok(IoLimits::default()));
        assert_eq!(line(DEV, limits), "7:1 rbps=max wbps=4096 riops=max wiops=20");
        assert_eq!(line(DEV, IoLimits::default()), "7:1 rbps=max wbps=max riops=max wiops=max");
    }

    #[test]
    fn what_is_no_number_is_an_error() {
        assert!(number(Some("fast")).is_err());
        assert_eq!((number(Some("max")), number(None)), (Ok(None), Ok(None)));
    }
}
