//! An image as bytes that can be kept: what of it is not zeros. Pure.
//!
//! The image's size in 8 bytes; then, for each chunk of [`CHUNK`] bytes that is not all zeros, its number in
//! 4 bytes, in 2 how many bytes it has without the zeros at its end, and these. Numbers rise. Integers
//! have their least significant byte first. The same content is always the same bytes.

use super::{CHUNK, Image};

/// Bytes of the largest image that is unpacked: a few words must not make a large table.
const LARGEST: u64 = 128 << 30;
/// Chunks of the fullest one, 512 MiB: each is whole in memory, and seven bytes of a file may ask for one.
const FULLEST: usize = (512 << 20) / CHUNK;

/// The image in at most so many bytes; none where it takes more, or has more than can be unpacked.
#[must_use]
pub fn pack(image: &Image, most: u64) -> Option<Vec<u8>> {
    let mut packed = image.size().to_le_bytes().to_vec();
    for (number, (offset, chunk)) in image.data().enumerate() {
        let length = chunk.iter().rposition(|byte| *byte != 0)? + 1;
        packed.extend(u32::try_from(offset / CHUNK as u64).ok()?.to_le_bytes());
        packed.extend(u16::try_from(length).ok()?.to_le_bytes());
        packed.extend(&chunk[..length]);
        if packed.len() as u64 > most || number >= FULLEST {
            return None;
        }
    }
    Some(packed)
}

/// The image that was packed.
///
/// # Errors
/// What is wrong with the bytes, in words.
pub fn unpack(bytes: &[u8]) -> Result<Image, String> {
    unpack_at_most(bytes, FULLEST)
}

fn unpack_at_most(bytes: &[u8], fullest: usize) -> Result<Image, String> {
    let mut rest = bytes;
    let size = u64::from_le_bytes(taken(&mut rest)?);
    if size > LARGEST {
        return Err(format!("a disk of {size} bytes is larger than any of ours"));
    }
    let (mut image, mut least, mut chunks) = (Image::new(size), 0, 0);
    while !rest.is_empty() {
        let number: u64 = u32::from_le_bytes(taken(&mut rest)?).into();
        let length = usize::from(u16::from_le_bytes(taken(&mut rest)?));
        let offset = number * CHUNK as u64;
        let fits = (1..=CHUNK).contains(&length) && offset + length as u64 <= size;
        if number < least || !fits {
            return Err(format!("{length} bytes of chunk {number} are out of place"));
        }
        let (chunk, others) = rest.split_at_checked(length).ok_or_else(ends_early)?;
        image.write(offset, chunk);
        (rest, least, chunks) = (others, number + 1, chunks + 1);
        if chunks > fullest {
            return Err(format!("it has more than {} MiB of content", (fullest * CHUNK) >> 20));
        }
    }
    Ok(image)
}

fn ends_early() -> String {
    "it ends in the middle of a chunk".into()
}

fn taken<const LENGTH: usize>(rest: &mut &[u8]) -> Result<[u8; LENGTH], String> {
    let (word, others) = rest.split_first_chunk().ok_or_else(ends_early)?;
    *rest = others;
    Ok(*word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        let mut image = Image::new((64 << 20) + 512);
        image.write(0, &[1; 3]);
        image.write(5000, &[2; 8192]);
        image.write(64 << 20, &[3; 512]);
        image
    }

    #[test]
    fn what_is_packed_comes_back_and_zeros_take_no_room() {
        let packed = pack(&image(), u64::MAX).unwrap();
        assert_eq!(packed.len(), 8 + 5 * 6 + 3 + 4096 + 4096 + 904 + 512);
        assert_eq!(unpack(&packed).unwrap().digest(), image().digest());
        let mut same = image();
        same.write(1 << 20, &[7; 9]);
        same.zero(1 << 20, 9);
        assert_eq!(pack(&same, u64::MAX).unwrap(), packed, "by its content alone");
        assert_eq!(pack(&image(), 100), None);
    }

    #[test]
    fn a_small_file_does_not_take_all_memory() {
        let chunks = |count: u32| {
            let chunk = |number: u32| [&number.to_le_bytes()[..], &[1, 0, 7]].concat();
            let size = LARGEST.to_le_bytes().to_vec();
            (0..count).fold(size, |all, number| [all, chunk(number)].concat())
        };
        assert_eq!(unpack_at_most(&chunks(512), 512).unwrap().chunks(), 512);
        let error = unpack_at_most(&chunks(513), 512).unwrap_err();
        assert_eq!(error, "it has more than 2 MiB of content");
    }

    #[test]
    fn what_was_never_packed_is_refused() {
        let packed = pack(&image(), u64::MAX).unwrap();
        for end in [0, 7, 9, 13, packed.len() - 1] {
            assert_eq!(unpack(&packed[..end]).unwrap_err(), ends_early(), "{end}");
        }
        let with = |at: usize, bytes: &[u8]| {
            let mut other = packed.clone();
            other[at..at + bytes.len()].copy_from_slice(bytes);
            unpack(&other).unwrap_err()
        };
        assert!(with(0, &u64::MAX.to_le_bytes()).contains("larger than any"));
        assert!(with(0, &0_u64.to_le_bytes()).contains("out of place"));
        assert!(with(8, &u32::MAX.to_le_bytes()).contains("out of place"));
        assert!(with(12, &0_u16.to_le_bytes()).contains("out of place"));
        let twice = [&packed[..], &packed[8..8 + 9]].concat();
        assert!(unpack(&twice).unwrap_err().contains("out of place"), "numbers rise");
    }
}
