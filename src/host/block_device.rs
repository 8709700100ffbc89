//! The disk beneath a filesystem, by number. Only looks, in sysfs.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{Context, HostError, HostResult};
use crate::protocol::Dev;

/// Where the kernel lists block devices by number.
const DEVICES: &str = "/sys/dev/block";

/// The whole disk that a block device is, or is a partition of; `None` when there is no block
/// device of this number. Limits of I/O are taken for whole disks only.
///
/// # Errors
/// The failed call.
pub fn whole_disk(dev: Dev) -> HostResult<Option<Dev>> {
    below(Path::new(DEVICES), dev)
}

/// Bytes in a sector of the kernel's counters, whatever the device's own are.
const SECTOR: u64 = 512;
/// Which of a device's counters is that of sectors written: `Documentation/block/stat.rst` of Linux.
const WRITTEN: usize = 6;

/// Bytes that a device has taken since it is there.
///
/// # Errors
/// The failed call, and counters of another form.
pub fn written(dev: Dev) -> HostResult<u64> {
    let path = Path::new(DEVICES).join(dev.to_string()).join("stat");
    let text = fs::read_to_string(&path).op("read", &path)?;
    let sectors =
        text.split_whitespace().nth(WRITTEN).and_then(|number| number.parse::<u64>().ok());
    let wrong = || HostError::malformed(path.display().to_string(), format!("`{}`", text.trim()));
    Ok(sectors.ok_or_else(wrong)?.saturating_mul(SECTOR))
}

fn below(devices: &Path, dev: Dev) -> HostResult<Option<Dev>> {
    let entry = devices.join(dev.to_string());
    let dir = match fs::canonicalize(&entry) {
        Ok(dir) => dir,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).op("open", entry),
    };
    if !dir.join("partition").exists() {
        return Ok(Some(dev));
    }
    let disk: PathBuf = dir.parent().map(|disk| disk.join("dev")).unwrap_or_default();
    let text = fs::read_to_string(&disk).op("read", &disk)?;
    let number = text.trim().split_once(':').and_then(|(major, minor)| {
        Some(Dev { major: major.parse().ok()?, minor: minor.parse().ok()? })
    });
    let wrong = || HostError::malformed(disk.display().to_string(), format!("`{}`", text.trim()));
    number.map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_leads_to_its_disk_and_a_disk_to_itself() {
        let sys = tempfile::tempdir().unwrap();
        let disk = sys.path().join("devices/sda");
        fs::create_dir_all(disk.join("sda1")).unwrap();
        fs::write(disk.join("dev"), "8:0\n").unwrap();
        fs::write(disk.join("sda1/partition"), "1\n").unwrap();
        let devices = sys.path().join("block");
        fs::create_dir(&devices).unwrap();
        for (name, target) in [("8:0", disk.clone()), ("8:1", disk.join("sda1"))] {
            std::os::unix::fs::symlink(target, devices.join(name)).unwrap();
        }
        let of = |minor| below(&devices, Dev { major: 8, minor }).unwrap();
        assert_eq!(
            (of(0), of(1)),
            (Some(Dev { major: 8, minor: 0 }), Some(Dev { major: 8, minor: 0 }))
        );
        assert_eq!(of(2), None);
    }
}
