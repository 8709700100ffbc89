//! Which filesystem is on a disk, by what each leaves at its place. Pure.

use super::Image;

/// Type, offset and bytes of the marks of `ext4`, `xfs` and `btrfs` (the on-disk layouts in
/// `fs/ext4/ext4.h`, `fs/xfs/libxfs/xfs_format.h` and `fs/btrfs/disk-io.h` of Linux).
const MARKS: [(&str, u64, &[u8]); 3] =
    [("ext4", 1024 + 0x38, &[0x53, 0xef]), ("xfs", 0, b"XFSB"), ("btrfs", 0x1_0040, b"_BHRfS_M")];

/// Whether a type is one of those that we make, and may have a kernel mount.
#[must_use]
pub fn is_filesystem(name: &str) -> bool {
    MARKS.iter().any(|(known, ..)| *known == name)
}

/// Whether several devices may have the same one at a time, and none is taken for another. A device of a
/// btrfs is known by the filesystem's id alone (`device_list_add` in `fs/btrfs/volumes.c` of Linux).
#[must_use]
pub fn has_look_alikes(name: &str) -> bool {
    name != "btrfs"
}

/// The type by which it is mounted; none where it is none of those that we know.
#[must_use]
pub fn filesystem(image: &Image) -> Option<&'static str> {
    let found = MARKS.iter().find(|(_, offset, mark)| {
        let mut bytes = vec![0; mark.len()];
        image.read(*offset, &mut bytes);
        bytes == *mark
    });
    found.map(|(name, ..)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_by_its_mark() {
        for (name, offset, mark) in MARKS {
            let mut image = Image::new(1 << 20);
            assert_eq!(filesystem(&image), None);
            image.write(offset, mark);
            assert_eq!(filesystem(&image), Some(name));
            assert!(is_filesystem(name));
        }
    }

    #[test]
    fn only_one_device_at_a_time_has_a_btrfs() {
        let several = MARKS.map(|(name, ..)| has_look_alikes(name));
        assert_eq!(several, [true, true, false]);
    }

    #[test]
    fn what_is_no_disks_is_none_of_ours() {
        for name in ["", "proc", "sysfs", "devtmpfs", "fuse", "overlay", "EXT4", "ext4 "] {
            assert!(!is_filesystem(name), "{name}");
        }
    }
}
