//! Where an ext4 keeps what it cannot do without, whether or not anything is there yet. Pure.
//!
//! Who made it has written to these places, zeros as a rule, which an image does not keep: a pool that
//! gives room to what is written has given it to them. Offsets are those of `fs/ext4/ext4.h` in Linux.

use std::ops::Range;

use super::{Image, filesystem};

const SUPERBLOCK: u64 = 1024;
/// Groups have descriptors of more than 32 bytes.
const INCOMPAT_64BIT: u32 = 0x80;
/// `EXT4_EXT_MAGIC`, of the tree by which the journal is found.
const EXTENTS: u16 = 0xf30a;
/// More extents than an inode has room for are no journal of ours.
const MOST_EXTENTS: u64 = 4;

/// Numbers on a disk, least significant byte first.
struct Numbers<'a>(&'a Image);

impl Numbers<'_> {
    fn u16(&self, at: u64) -> u64 {
        let mut bytes = [0; 2];
        self.0.read(at, &mut bytes);
        u16::from_le_bytes(bytes).into()
    }

    fn u32(&self, at: u64) -> u64 {
        let mut bytes = [0; 4];
        self.0.read(at, &mut bytes);
        u32::from_le_bytes(bytes).into()
    }
}

/// The ranges of its descriptors, bitmaps, inode tables and journal; none on another filesystem.
#[must_use]
pub fn laid_out(image: &Image) -> Vec<Range<u64>> {
    if filesystem(image) != Some("ext4") {
        return Vec::new();
    }
    let disk = Numbers(image);
    let at = |field: u64| disk.u32(SUPERBLOCK + field);
    let block = 1024 << at(0x18).min(6);
    let (first, per_group) = (at(0x14), at(0x20).max(1));
    let groups = at(0x4).saturating_sub(first).div_ceil(per_group);
    let wide = at(0x60) & u64::from(INCOMPAT_64BIT) != 0;
    let descriptor = if wide { disk.u16(SUPERBLOCK + 0xfe).max(32) } else { 32 };
    let table = (first + 1) * block;
    let reserved = disk.u16(SUPERBLOCK + 0xce) * block;
    let head = 0..table + (groups * descriptor).next_multiple_of(block) + reserved;
    let inodes = at(0x28) * disk.u16(SUPERBLOCK + 0x58);
    let of_group = |group: u64| {
        let group = table + group * descriptor;
        [(0x0, block), (0x4, block), (0x8, inodes)].map(|(field, length)| {
            let start = disk.u32(group + field) * block;
            start..start + length
        })
    };
    let journal = journal(&disk, block);
    std::iter::once(head).chain((0..groups).flat_map(of_group)).chain(journal).collect()
}

/// By the copy of its inode that the superblock has.
fn journal(disk: &Numbers<'_>, block: u64) -> Vec<Range<u64>> {
    let tree = SUPERBLOCK + 0x10c;
    let (magic, entries, depth) = (disk.u16(tree), disk.u16(tree + 2), disk.u16(tree + 6));
    if magic != u64::from(EXTENTS) || depth != 0 {
        return Vec::new();
    }
    let extent = |n: u64| {
        let extent = tree + 12 * (n + 1);
        let start = (disk.u16(extent + 6) << 32 | disk.u32(extent + 8)) * block;
        start..start + disk.u16(extent + 4) * block
    };
    (0..entries.min(MOST_EXTENTS)).map(extent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = 4096;

    /// One of two groups, with a journal of 64 blocks.
    fn ext4() -> Image {
        let mut image = Image::new(256 << 20);
        let fields: [(u64, u32); 7] = [
            (0x4, 65_536),
            (0x18, 2),
            (0x20, 32_768),
            (0x28, 1024),
            (0x38, 0xef53),
            (0x60, INCOMPAT_64BIT),
            (0xfc, 64 << 16),
        ];
        for (field, value) in fields {
            image.write(SUPERBLOCK + field, &value.to_le_bytes());
        }
        image.write(SUPERBLOCK + 0x58, &256_u16.to_le_bytes());
        image.write(SUPERBLOCK + 0xce, &7_u16.to_le_bytes());
        for (group, places) in [[20_u32, 30, 40], [32_800, 32_810, 32_820]].iter().enumerate() {
            for (n, place) in places.iter().enumerate() {
                let at = BLOCK + 64 * group as u64 + 4 * n as u64;
                image.write(at, &place.to_le_bytes());
            }
        }
        let tree: [u16; 12] = [EXTENTS, 1, 4, 0, 0, 0, 0, 0, 64, 0, 500, 0];
        for (n, value) in tree.iter().enumerate() {
            image.write(SUPERBLOCK + 0x10c + 2 * n as u64, &value.to_le_bytes());
        }
        image
    }

    #[test]
    fn everything_that_has_its_place_is_found() {
        let blocks = |range: Range<u64>| range.start / BLOCK..range.end / BLOCK;
        let found: Vec<_> = laid_out(&ext4()).into_iter().map(blocks).collect();
        let inodes = 1024 * 256 / BLOCK;
        assert_eq!(
            found,
            [
                0..1 + 1 + 7,
                20..21,
                30..31,
                40..40 + inodes,
                32_800..32_801,
                32_810..32_811,
                32_820..32_820 + inodes,
                500..564,
            ]
        );
    }

    #[test]
    fn nothing_is_known_of_others() {
        let mut xfs = Image::new(1 << 20);
        xfs.write(0, b"XFSB");
        assert_eq!(laid_out(&xfs), []);
    }
}
