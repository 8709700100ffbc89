//! A log of `dm-log-writes` that [`Recording::log_writes`](super::Recording::log_writes) has written, read again:
//! the disk with its past, and where in that somebody was told something. Pure; whoever wrote the bytes need
//! not be us.

use super::{
    Disk, Image,
    log_writes::{CUT, DISCARD, FLUSH, MAGIC, MARK, SECTOR, SIZE, START, VERSION},
};

/// Bytes of the largest disk: a few words must not make a large table.
const LARGEST: u64 = 128 << 30;

/// The most moments at which it can be cut: of each there is a table.
const MOMENTS: u64 = 100_000;

/// What is in a log.
#[derive(Debug)]
pub struct Logged {
    /// The disk as it was at the end; it remembers all that came after the beginning.
    pub disk: Disk,
    /// What somebody was told, in the words of the log, and its place in the disk's sequence.
    pub told: Vec<(String, u64)>,
}

/// The bytes begin as such a log does.
#[must_use]
pub fn is_log(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC.to_le_bytes())
}

/// Reads one.
///
/// # Errors
/// In words: what keeps it from being played again. Nothing is repaired.
pub fn read_log(bytes: &[u8]) -> Result<Logged, String> {
    let (mut entries, count) = Entries::new(bytes)?;
    let size = size(&mut entries)?;
    let mut reader =
        Reader { disk: Disk::new(Image::new(size), u64::MAX), size, told: None, flushes: 0 };
    let mut base = true;
    for _ in 1..count {
        let entry = entries.next()?;
        if base && entry.flags == FLUSH {
            // what comes before it was on the disk when it began to be recorded
            reader.disk = Disk::new(reader.disk.live().clone(), u64::MAX);
            base = false;
        } else {
            reader.play(&entry)?;
        }
    }
    if !entries.rest.is_empty() {
        return Err(format!("{} bytes follow its last entry", entries.rest.len()));
    }
    let none = "nothing in it says where the past begins";
    Ok(Logged { disk: reader.disk, told: reader.told.ok_or(none)? })
}

struct Entry<'a> {
    offset: u64,
    length: u64,
    flags: u64,
    data: &'a [u8],
    mark: &'a str,
}

struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Entries<'a> {
    /// Those of a log, and how many there are to be.
    fn new(bytes: &'a [u8]) -> Result<(Self, u64), String> {
        if !is_log(bytes) {
            return Err("this is no log of dm-log-writes".into());
        }
        let mut this = Self { rest: bytes };
        let [_, version, count, sector] = words(this.sector()?);
        if version != VERSION || sector & 0xffff_ffff != SECTOR as u64 {
            return Err(format!("its format is {version}, in sectors of {sector} bytes"));
        }
        Ok((this, count))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or("it ends in the midst of an entry")?;
        self.rest = rest;
        Ok(taken)
    }

    fn sector(&mut self) -> Result<&'a [u8], String> {
        self.take(SECTOR)
    }

    fn next(&mut self) -> Result<Entry<'a>, String> {
        let header = self.sector()?;
        let [sector, sectors, flags, length] = words(header);
        let bytes = |count: u64| count.checked_mul(SECTOR as u64).ok_or("an entry is out of place");
        let (offset, length, text) = (bytes(sector)?, bytes(sectors)?, length);
        let data = match flags {
            0 => self.take(usize::try_from(length).unwrap_or(usize::MAX))?,
            FLUSH | DISCARD | MARK => &[],
            other => {
                return Err(format!("an entry has the flags {other:#x}, which none of ours has"));
            }
        };
        let end = usize::try_from(text).ok().and_then(|text| text.checked_add(HEADER));
        let mark = end.filter(|end| *end <= SECTOR).map(|end| &header[HEADER..end]);
        let mark = mark.and_then(|mark| std::str::from_utf8(mark).ok());
        Ok(Entry { offset, length, flags, data, mark: mark.ok_or("a mark is no text")? })
    }
}

/// Bytes before the text of a mark.
const HEADER: usize = 32;

fn words(sector: &[u8]) -> [u64; 4] {
    let (words, _) = sector[..HEADER].as_chunks::<8>();
    [0, 1, 2, 3].map(|at| u64::from_le_bytes(words[at]))
}

/// How large the disk is, which the first entry says.
fn size(entries: &mut Entries<'_>) -> Result<u64, String> {
    let first = entries.next()?;
    let size = first.mark.strip_prefix(SIZE).and_then(|size| size.parse::<u64>().ok());
    let size =
        size.ok_or("it does not say how large its disk is: an older keelhaul has written it")?;
    match size {
        0..=LARGEST => Ok(size),
        _ => Err(format!("a disk of {size} bytes is larger than any of ours")),
    }
}

struct Reader {
    disk: Disk,
    size: u64,
    /// None before the past begins.
    told: Option<Vec<(String, u64)>>,
    flushes: u64,
}

impl Reader {
    fn play(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        let &Entry { offset, length, flags, data, mark } = entry;
        if offset.checked_add(length).is_none_or(|end| end > self.size) {
            return Err(format!("{length} bytes at {offset} lie beyond its end"));
        }
        match flags {
            FLUSH => {
                self.flushes += 1;
                if self.flushes > MOMENTS {
                    return Err(format!("it has more than {MOMENTS} flushes"));
                }
                // one of which nobody knows whether it was done has made durable no less than it may have
                let submitted = self.disk.flush();
                self.disk.flushed(submitted);
            }
            DISCARD => {
                let submitted = self.disk.zero(offset, length);
                self.disk.written(submitted);
            }
            MARK => self.mark(mark),
            _ => {
                let submitted = self.disk.write(offset, data);
                self.disk.written(submitted);
            }
        }
        Ok(())
    }

    fn mark(&mut self, mark: &str) {
        match (&mut self.told, mark) {
            (None, START) => {
                self.disk.record(u64::MAX);
                self.told = Some(Vec::new());
            }
            (Some(_), CUT) | (None, _) => {}
            (Some(told), mark) => told.push((mark.to_owned(), self.disk.mark())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::block::{Kept, Past};

    const DISK: u64 = 1 << 20;

    /// A disk with something on it, in its cache, and on its way when it begins to be recorded, and after
    /// that with flushes and marks.
    fn recorded() -> Disk {
        let mut image = Image::new(DISK);
        image.write(40_960, &[5; 8192]);
        let mut disk = Disk::new(image, u64::MAX);
        let early = disk.write(0, &[1; 4096]);
        disk.written(early);
        disk.record(1 << 20);
        for byte in 3..9 {
            for (at, byte) in [(u64::from(byte) * 4096, byte), (8192, byte + 100)] {
                let write = disk.write(at, &[byte; 4096]);
                disk.written(write);
            }
            let zeros = disk.zero(45_056, 4096);
            disk.written(zeros);
            disk.mark();
            let flush = disk.flush();
            disk.flushed(flush);
        }
        let late = disk.write(65_536, &[77; 4096]);
        disk.written(late);
        disk.mark();
        disk
    }

    fn written(disk: &Disk) -> Vec<u8> {
        let recording = disk.recording().unwrap();
        let last = disk.last();
        let told = BTreeMap::from([(last, "w0-6".to_owned())]);
        let log = recording.log_writes(last, &told).unwrap();
        let mut bytes = Vec::new();
        log.write_to(&mut bytes).unwrap();
        bytes
    }

    /// What every loss of each moment's writes leaves: nothing, all, and each of them alone.
    fn states(past: &Past) -> Vec<[u8; 32]> {
        let mut states = Vec::new();
        for point in past.points() {
            let count = point.writes.len();
            let alone = |one| (0..count).map(move |at| Kept::if_so(at == one)).collect();
            let ways: Vec<Vec<Kept>> = (0..=count).map(alone).collect();
            let all = vec![Kept::Whole; count];
            for kept in ways.iter().chain([&all]) {
                states.push(past.image(point.cut, kept).unwrap().digest());
            }
        }
        states
    }

    #[test]
    fn every_state_of_the_past_is_the_one_that_it_was() {
        let disk = recorded();
        let logged = read_log(&written(&disk)).unwrap();
        let (was, is) = (disk.recording().unwrap().past(), logged.disk.recording().unwrap().past());
        let facts = |past: &Past| -> Vec<_> {
            past.points().iter().map(|it| (it.marks, it.writes.len())).collect()
        };
        assert_eq!(facts(&is), facts(&was));
        assert!(states(&was).len() > 30 && states(&is) == states(&was));
        assert_eq!(logged.disk.live().digest(), disk.live().digest());
        // each has its place, and the last one its name
        assert_eq!(logged.told.len(), 7);
        let (last, at) = logged.told.last().unwrap();
        assert!(last.ends_with(" w0-6") && *at == is.points().last().unwrap().cut, "{last} {at}");
    }

    #[test]
    fn what_cannot_be_played_again_is_refused_and_never_repaired() {
        let whole = written(&recorded());
        for end in (8..whole.len()).step_by(100) {
            assert!(read_log(&whole[..end]).is_err(), "{end}");
        }
        assert_eq!(read_log(b"KHCRASH\n").unwrap_err(), "this is no log of dm-log-writes");
        let with = |at: usize, word: u64| {
            let mut other = whole.clone();
            other[at..at + 8].copy_from_slice(&word.to_le_bytes());
            read_log(&other).unwrap_err()
        };
        assert!(with(8, 2).contains("format"));
        assert!(with(16, 3).contains("follow its last entry"));
        // the second entry: far away, too long, of another kind
        assert!(with(1024, u64::MAX).contains("out of place"));
        assert!(with(1024, 1 << 40).contains("beyond its end"));
        assert!(with(1024 + 16, 2).contains("flags"));
        let flush = {
            let mut entry = [0; SECTOR];
            entry[16..24].copy_from_slice(&FLUSH.to_le_bytes());
            entry
        };
        let flushes = usize::try_from(MOMENTS).unwrap() + 2;
        let mut long = [&whole[..2 * SECTOR], &flush.repeat(flushes)].concat();
        long[16..24].copy_from_slice(&(flushes as u64 + 1).to_le_bytes());
        assert!(read_log(&long).unwrap_err().contains("flushes"));
        let mut unsized_log = whole.clone();
        unsized_log[512 + 32] = b'S';
        assert!(read_log(&unsized_log).unwrap_err().contains("older keelhaul"));
    }
}
