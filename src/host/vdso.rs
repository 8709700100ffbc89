//! The code by which programs ask for the time without a system call: found in a process, and in
//! another form that adds seconds to what the kernel says.
//!
//! Pure, but for [`Vdso::of`], which reads. It writes nothing.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use super::error::{Context, HostError, HostResult};
use super::process::Identity;

/// The functions that tell the wall clock, as vdso(7) names them on x86-64.
const CLOCKS: [(&str, Code); 3] = [
    ("__vdso_clock_gettime", clock_gettime),
    ("__vdso_gettimeofday", gettimeofday),
    ("__vdso_time", time),
];

/// More than any kernel's is as long.
const LONGEST: u64 = 1 << 20;

const PAGE: usize = 4096;

/// The most symbols that are looked at.
const SYMBOLS: usize = 1000;

type Code = fn([u8; 4]) -> Vec<u8>;

/// Machine code at an offset of the image.
pub(super) type Piece = (usize, Vec<u8>);

/// The vDSO of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vdso {
    /// Where it is mapped.
    pub(super) range: Range<u64>,
    /// Its bytes.
    pub(super) image: Vec<u8>,
}

impl Vdso {
    /// Reads it; none where the process has none.
    ///
    /// # Errors
    /// [`HostError::Gone`], or the failed call.
    pub(super) fn of(process: Identity) -> HostResult<Option<Self>> {
        let gone = |_| HostError::Gone { pid: process.pid };
        let maps = fs::read_to_string(process.proc_path("maps")).map_err(gone)?;
        let Some(range) = maps.lines().find_map(mapped) else {
            process.check()?;
            return Ok(None);
        };
        let path = process.proc_path("mem");
        let memory = File::open(&path).op("open", &path)?;
        process.check()?;
        let length = usize::try_from((range.end - range.start).min(LONGEST)).unwrap_or(0);
        let mut image = vec![0; length];
        memory.read_exact_at(&mut image, range.start).op("read", &path)?;
        Ok(Some(Self { range, image }))
    }

    /// The code that shifts the wall clock by so many seconds, for each function that tells it.
    ///
    /// # Errors
    /// [`HostError::Malformed`] when a function is missing, or too short to be replaced.
    pub(super) fn shifted(&self, seconds: i32) -> HostResult<Vec<Piece>> {
        let functions = functions(&self.image).unwrap_or_default();
        let shift = CLOCKS.iter().map(|(name, code)| {
            let wrong =
                |detail: &str| HostError::malformed("the vDSO", format!("`{name}` {detail}"));
            let found = functions.iter().find(|(found, _)| found == name);
            let (_, place) = found.ok_or_else(|| wrong("is missing"))?;
            let code = code(seconds.to_le_bytes());
            if code.len() > place.len() || place.end > self.image.len() {
                return Err(wrong("is too short"));
            }
            // what lies in one page is written as a whole, or not at all
            if place.start / PAGE != (place.start + code.len()) / PAGE {
                return Err(wrong("lies in two pages"));
            }
            Ok((place.start, code))
        });
        shift.collect()
    }

    /// The bytes that are there now, where those pieces would be.
    pub(super) fn at(&self, pieces: &[Piece]) -> Vec<Piece> {
        let found = |(start, code): &Piece| {
            (*start, self.image.get(*start..start + code.len()).unwrap_or_default().to_vec())
        };
        pieces.iter().map(found).collect()
    }
}

fn mapped(line: &str) -> Option<Range<u64>> {
    let (range, _) = line.strip_suffix("[vdso]")?.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(number(start)?..number(end)?)
}

/// Names and places of the functions of an ELF image (elf(5)), 64 bits, little end first. The image
/// begins at address 0, so an address is an offset.
fn functions(image: &[u8]) -> Option<Vec<(String, Range<usize>)>> {
    const DYNSYM: u64 = 11;
    const SYMBOL: usize = 24;
    const SECTION: usize = 64;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let bytes = image.get(at..at.checked_add(bytes)?)?;
        Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
    };
    let offset = |at| usize::try_from(number(at, 8)?).ok();
    let (table, count) = (offset(0x28)?, usize::try_from(number(0x3c, 2)?).ok()?);
    let section = |index: usize| table.checked_add(index.checked_mul(SECTION)?);
    let symbols = (0..count)
        .filter_map(section)
        .find(|&header| number(header.wrapping_add(4), 4) == Some(DYNSYM))?;
    let names = section(usize::try_from(number(symbols.wrapping_add(0x28), 4)?).ok()?)?;
    let (names, start, size) = (
        offset(names.wrapping_add(0x18))?,
        offset(symbols.wrapping_add(0x18))?,
        offset(symbols.wrapping_add(0x20))?,
    );
    let symbol = |index: usize| {
        let at = start.wrapping_add(index * SYMBOL);
        let name = names.wrapping_add(usize::try_from(number(at, 4)?).ok()?);
        let name: Vec<u8> = image.get(name..)?.iter().copied().take_while(|b| *b != 0).collect();
        let (value, length) = (offset(at.wrapping_add(8))?, offset(at.wrapping_add(16))?);
        Some((String::from_utf8(name).ok()?, value..value.checked_add(length)?))
    };
    Some((0..(size / SYMBOL).min(SYMBOLS)).filter_map(symbol).collect())
}

/// `clock_gettime(2)`, with the seconds added for `CLOCK_REALTIME` (0), its coarse form (5) and
/// `CLOCK_TAI` (11).
fn clock_gettime(seconds: [u8; 4]) -> Vec<u8> {
    let mut code = vec![
        0xb8, 228, 0, 0, 0, // mov eax, SYS_clock_gettime
        0x0f, 0x05, // syscall
        0x85, 0xc0, // test eax, eax
        0x75, 21, // jnz end
        0x85, 0xff, // test edi, edi
        0x74, 10, // jz add
        0x83, 0xff, 5, // cmp edi, 5
        0x74, 5, // je add
        0x83, 0xff, 11, // cmp edi, 11
        0x75, 7, // jne end
        0x48, 0x81, 0x06, // add: add qword [rsi], seconds
    ];
    code.extend(seconds);
    code.push(0xc3); // end: ret
    code
}

/// `gettimeofday(2)`, likewise.
fn gettimeofday(seconds: [u8; 4]) -> Vec<u8> {
    let mut code = vec![
        0xb8, 96, 0, 0, 0, // mov eax, SYS_gettimeofday
        0x0f, 0x05, // syscall
        0x85, 0xc0, // test eax, eax
        0x75, 12, // jnz end
        0x48, 0x85, 0xff, // test rdi, rdi
        0x74, 7, // jz end
        0x48, 0x81, 0x07, // add qword [rdi], seconds
    ];
    code.extend(seconds);
    code.push(0xc3); // end: ret
    code
}

/// time(2), likewise.
fn time(seconds: [u8; 4]) -> Vec<u8> {
    let mut code = vec![
        0xb8, 201, 0, 0, 0, // mov eax, SYS_time
        0x0f, 0x05, // syscall
        0x48, 0x05, // add rax, seconds
    ];
    code.extend(seconds);
    code.extend([
        0x48, 0x85, 0xff, // test rdi, rdi
        0x74, 3, // jz end
        0x48, 0x89, 0x07, // mov [rdi], rax
        0xc3, // end: ret
    ]);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Vdso {
        Vdso::of(Identity::of(std::process::id()).unwrap()).unwrap().unwrap()
    }

    #[test]
    fn the_own_one_has_room_for_the_code_and_holds_other_bytes() {
        let vdso = own();
        let pieces = vdso.shifted(-3600).unwrap();
        assert_eq!(pieces.len(), 3);
        assert_ne!(vdso.at(&pieces), pieces);
        assert!(pieces.iter().all(|(_, code)| code.len() < 40 && code.ends_with(&[0xc3])));
    }

    #[test]
    fn what_is_no_elf_image_has_no_functions() {
        let Vdso { range, image } = own();
        for length in [0, 10, 64, image.len() / 2] {
            let cut = Vdso { range: range.clone(), image: image[..length].to_vec() };
            assert!(cut.shifted(1).is_err(), "{length}");
        }
        let zeros = Vdso { range, image: vec![0xff; image.len()] };
        assert!(zeros.shifted(1).is_err());
    }

    #[test]
    fn the_mapping_is_found_by_its_name() {
        let line =
            "7ff9960f3000-7ff9960f5000 r-xp 00000000 00:00 0                          [vdso]";
        assert_eq!(mapped(line), Some(0x7ff9_960f_3000..0x7ff9_960f_5000));
        assert_eq!(mapped("7ff9960ed000-7ff9960f1000 r--p 00000000 00:00 0   [vvar]"), None);
    }
}
