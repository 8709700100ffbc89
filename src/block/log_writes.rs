//! What happened to a disk as a log of the kernel's `dm-log-writes`, for `replay-log` and whatever else
//! reads one, us included. Pure: it writes to a sink that the caller has.
//!
//! The layout is that of `drivers/md/dm-log-writes.c` in Linux: a sector with the superblock, then for
//! each entry a sector of its own with its header, in which a mark has its name, and after that the data.
//! All integers have their least significant byte first. Writes come in the order in which they were
//! completed, and a flush when it was asked for: all before it are durable once it is done.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{self, Write},
};

use super::{Recording, data::Data, disk::Change, recording::Event};

/// Bytes of a sector, in which offsets and lengths are counted.
pub(super) const SECTOR: usize = 512;
/// `WRITE_LOG_MAGIC` and `WRITE_LOG_VERSION`.
pub(super) const MAGIC: u64 = 0x006a_7366_7773_6872;
pub(super) const VERSION: u64 = 1;
/// `LOG_FLUSH_FLAG`, `LOG_DISCARD_FLAG` and `LOG_MARK_FLAG`.
pub(super) const FLUSH: u64 = 1 << 0;
pub(super) const DISCARD: u64 = 1 << 2;
pub(super) const MARK: u64 = 1 << 3;
/// What the first mark begins with, before the bytes of the disk; the mark where the past begins, and the last.
pub(super) const SIZE: &str = "size ";
pub(super) const START: &str = "start";
pub(super) const CUT: &str = "cut";

/// What an entry has.
#[derive(Debug)]
enum Source<'a> {
    Bytes(Cow<'a, [u8]>),
    /// It may be put away, and is got when it is written.
    Data(&'a Data),
}

impl Source<'_> {
    fn none() -> Self {
        Self::Bytes(Cow::Borrowed(&[]))
    }

    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Data(data) => data.len(),
        }
    }

    fn write_to(&self, sink: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => sink.write_all(bytes),
            Self::Data(data) => sink.write_all(&data.to_vec()),
        }
    }
}

/// One entry: sectors are counted in [`SECTOR`] bytes.
#[derive(Debug)]
struct Entry<'a> {
    sector: u64,
    sectors: u64,
    flags: u64,
    data: Source<'a>,
    mark: String,
}

/// A log, before it is written.
#[derive(Debug, Default)]
pub struct LogWrites<'a> {
    entries: Vec<Entry<'a>>,
}

impl<'a> LogWrites<'a> {
    fn push(&mut self, flags: u64, mark: String) {
        self.entries.push(Entry { sector: 0, sectors: 0, flags, data: Source::none(), mark });
    }

    /// A write, or zeros, which are a discard here: it reads as zeros afterwards.
    fn change(&mut self, offset: u64, change: &'a Change) -> Result<(), String> {
        match change {
            Change::Data(data) => self.write(offset, (data.len() as u64, 0), Source::Data(data)),
            Change::Zeros(length) => self.write(offset, (*length, DISCARD), Source::none()),
        }
    }

    fn write(
        &mut self,
        offset: u64,
        (length, flags): (u64, u64),
        data: Source<'a>,
    ) -> Result<(), String> {
        let sector = SECTOR as u64;
        if !offset.is_multiple_of(sector) || !length.is_multiple_of(sector) {
            return Err(format!("{length} bytes at {offset} are no whole sectors of {SECTOR}"));
        }
        let (sector, sectors) = (offset / sector, length / sector);
        self.entries.push(Entry { sector, sectors, flags, data, mark: String::new() });
        Ok(())
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let data: usize = self.entries.iter().map(|entry| SECTOR + entry.data.len()).sum();
        (SECTOR + data) as u64
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn write_to(&self, sink: &mut impl Write) -> io::Result<()> {
        let words = [MAGIC, VERSION, self.entries.len() as u64, SECTOR as u64];
        sink.write_all(&sector(&words, &[]))?;
        for Entry { sector: at, sectors, flags, data, mark } in &self.entries {
            let words = [*at, *sectors, *flags, mark.len() as u64];
            sink.write_all(&sector(&words, mark.as_bytes()))?;
            data.write_to(sink)?;
        }
        sink.flush()
    }
}

/// A sector that begins with these words; the superblock's last has half the bytes, and is followed by
/// zeros likewise.
fn sector(words: &[u64; 4], text: &[u8]) -> [u8; SECTOR] {
    let mut sector = [0; SECTOR];
    let begin = words.iter().flat_map(|word| word.to_le_bytes()).chain(text.iter().copied());
    // a name ends with a zero, as the kernel's do
    sector[..SECTOR - 1].iter_mut().zip(begin).for_each(|(to, byte)| *to = byte);
    sector
}

impl Recording {
    /// All that happened until a place in the sequence: first a mark with the `size` of the disk and what was
    /// on it when it began to be recorded, then the mark `start`, then the writes, with a mark `at NUMBER`
    /// wherever somebody was told something, and what that was, if it is among those `told`; and at last the
    /// mark `cut`. A write that was not completed by then is not in it.
    ///
    /// # Errors
    /// In words: nothing is remembered of that place, or a write was of no whole sectors.
    pub fn log_writes(
        &self,
        cut: u64,
        told: &BTreeMap<u64, String>,
    ) -> Result<LogWrites<'_>, String> {
        let (first, last) = (self.start().last(), self.numbered().last());
        if cut < first || last.map_or(first, |(number, _)| number) < cut {
            return Err(format!("nothing is remembered of {cut}"));
        }
        let mut log = LogWrites::default();
        log.push(MARK, format!("{SIZE}{}", self.start().base().size()));
        for (offset, data) in self.start().base().data() {
            log.write(offset, (data.len() as u64, 0), Source::Bytes(data))?;
        }
        log.push(FLUSH, String::new());
        let mut cached: Vec<_> = self.start().cached().filter(|it| it.1.is_some()).collect();
        cached.sort_unstable_by_key(|it| it.1);
        for (_, _, offset, change) in cached {
            log.change(offset, change)?;
        }
        log.push(MARK, START.into());
        for (number, event) in self.numbered().take_while(|(number, _)| *number <= cut) {
            match event {
                Event::Submit(..) | Event::Flushed(_) => {}
                Event::Written(submitted) => {
                    if let Some((offset, change)) = self.submitted(*submitted) {
                        log.change(offset, change)?;
                    }
                }
                Event::Flush => log.push(FLUSH, String::new()),
                Event::Mark => {
                    let what = told.get(&number).map(|what| format!(" {what}"));
                    log.push(MARK, format!("at {number}{}", what.unwrap_or_default()));
                }
            }
        }
        log.push(MARK, CUT.into());
        Ok(log)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::block::{Disk, Image, Kept};

    const SIZE: usize = 1 << 20;

    /// Reads a log as `replay-log` does, onto a disk of zeros: each mark, and what was there by then.
    fn replayed(log: &[u8]) -> Vec<(String, Vec<u8>, u64)> {
        let word = |at: usize| u64::from_le_bytes(log[at..at + 8].try_into().unwrap());
        let sector = u32::from_le_bytes(log[24..28].try_into().unwrap()) as usize;
        let index = |word: u64| usize::try_from(word).unwrap() * sector;
        let (mut disk, mut marks, mut flushes, mut at) = (vec![0; SIZE], Vec::new(), 0, sector);
        for _ in 0..word(16) {
            let (from, length, flags, name) =
                (word(at), word(at + 8), word(at + 16), word(at + 24));
            let (from, length) = (index(from), index(length));
            let data = at + sector;
            assert!(flags & 8 != 0 || (name == 0 && log[at + 32] == 0), "the rest of it is zeros");
            at = data;
            match flags {
                0 => {
                    disk[from..from + length].copy_from_slice(&log[data..data + length]);
                    at += length;
                }
                1 => flushes += 1,
                4 => disk[from..from + length].fill(0),
                8 => {
                    let text = &log[data - sector + 32..][..usize::try_from(name).unwrap()];
                    let text = String::from_utf8(text.to_vec()).unwrap();
                    marks.push((text, disk.clone(), flushes));
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!(at, log.len());
        marks
    }

    fn written(disk: &Disk, cut: u64) -> Vec<u8> {
        let log = disk.recording().unwrap().log_writes(cut, &BTreeMap::new()).unwrap();
        let mut bytes = Vec::new();
        log.write_to(&mut bytes).unwrap();
        assert_eq!(log.bytes(), bytes.len() as u64);
        bytes
    }

    fn bytes(image: &Image) -> Vec<u8> {
        let mut bytes = vec![0; SIZE];
        image.read(0, &mut bytes);
        bytes
    }

    #[test]
    fn the_first_sectors_are_those_of_the_kernel() {
        let mut disk = Disk::new(Image::new(SIZE as u64), u64::MAX);
        disk.record(1 << 20);
        let write = disk.write(8192, &[7; 1024]);
        disk.written(write);
        let log = written(&disk, write + 1);
        let superblock = [
            0x72, 0x68, 0x73, 0x77, 0x66, 0x73, 0x6a, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0,
            0, 0, 0, 2, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(log[..32], superblock);
        // mark `size`, flush, mark `start`, the write with its data, mark `cut`
        let header = |nth: usize| &log[512 * nth..512 * nth + 44];
        let words = |words: [u64; 4], text: &[u8]| {
            let words = words.iter().flat_map(|word| word.to_le_bytes());
            let mut all: Vec<u8> = words.chain(text.iter().copied()).collect();
            all.resize(44, 0);
            all
        };
        assert_eq!(header(1), words([0, 0, 8, 12], b"size 1048576"));
        assert_eq!(header(2), words([0, 0, 1, 0], b""));
        assert_eq!(header(3), words([0, 0, 8, 5], b"start"));
        assert_eq!(header(4), words([16, 2, 0, 0], b""));
        assert_eq!(log[512 * 5..512 * 7], [7; 1024]);
        assert_eq!(header(7), words([0, 0, 8, 3], b"cut"));
        assert_eq!(log.len(), 512 * 8);
    }

    #[test]
    fn whoever_reads_it_comes_to_the_disk_as_it_was_at_every_mark() {
        let mut image = Image::new(SIZE as u64);
        image.write(40_960, &[5; 9000]);
        let mut disk = Disk::new(image, u64::MAX);
        // one is in the cache when the record begins, and one on its way
        let early = disk.write(0, &[1; 4096]);
        disk.written(early);
        let late = disk.write(4096, &[2; 4096]);
        disk.record(1 << 20);
        let mut states =
            vec![("start".to_owned(), bytes(&disk.left(&[Kept::Whole, Kept::Nothing])), 1)];
        disk.written(late);
        for byte in 3..9 {
            let write = disk.write(u64::from(byte) * 512, &[byte; 4096]);
            disk.written(write);
            let zeros = disk.zero(45_056, 4096);
            disk.written(zeros);
            let flush = disk.flush();
            disk.flushed(flush);
            let at = disk.mark();
            states.push((format!("at {at}"), bytes(disk.live()), u64::from(byte) - 1));
        }
        let cut = disk.mark();
        disk.write(0, &[99; 4096]);
        let mut found = replayed(&written(&disk, cut + 1));
        let size = found.remove(0);
        assert_eq!((size.0.as_str(), size.2), ("size 1048576", 0));
        states.extend([
            (format!("at {cut}"), states[6].1.clone(), 7),
            ("cut".into(), states[6].1.clone(), 7),
        ]);
        assert!(found == states, "{:?}", found.iter().map(|it| (&it.0, it.2)).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_remembered_and_what_is_no_sector_is_refused() {
        let mut disk = Disk::new(Image::new(SIZE as u64), u64::MAX);
        disk.mark();
        disk.record(1 << 20);
        let recording = |disk: &Disk, cut| {
            let log = disk.recording().unwrap().log_writes(cut, &BTreeMap::new());
            log.map(|it| it.bytes())
        };
        assert_eq!(recording(&disk, 1), Ok(512 * 5));
        assert!(recording(&disk, 0).is_err() && recording(&disk, 2).is_err());
        let write = disk.write(100, &[1; 512]);
        disk.written(write);
        assert!(recording(&disk, 3).unwrap_err().contains("no whole sectors"));
    }
}
