//! A log that several writers share: lines that name their writer and carry a checksum.
//!
//! `WRITER NUMBER PAYLOAD CHECKSUM`, the checksum over all that comes before it. A line that two
//! wrote at once, or that one never finished, does not agree with its checksum. Pure.

use std::collections::BTreeMap;

/// One line of it, newline included.
#[must_use]
pub fn line(writer: &str, number: u64, payload: &str) -> String {
    let body = format!("{writer} {number} {payload}");
    format!("{body} {:08x}\n", crc32fast::hash(body.as_bytes()))
}

/// What a shared log holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedLog {
    /// Whole records by their writer.
    pub writers: BTreeMap<String, u64>,
    /// Lines that are no whole record: torn, or interleaved with another writer's.
    pub broken: Vec<String>,
    /// Bytes after the last newline: a record that is being written, or that nobody will finish.
    pub unfinished: usize,
}

impl SharedLog {
    /// Reads it.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let mut log = Self::default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        log.unfinished = bytes.len() - whole;
        for line in String::from_utf8_lossy(&bytes[..whole]).lines() {
            match writer_of(line) {
                Some(writer) => *log.writers.entry(writer.to_owned()).or_default() += 1,
                None => log.broken.push(line.to_owned()),
            }
        }
        log
    }

    /// Whole records of all writers.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.writers.values().sum()
    }
}

/// Who wrote this line; none when it is no whole record.
fn writer_of(line: &str) -> Option<&str> {
    let (body, checksum) = line.rsplit_once(' ')?;
    let agrees = u32::from_str_radix(checksum, 16) == Ok(crc32fast::hash(body.as_bytes()));
    let mut words = body.split(' ');
    let (writer, number) = (words.next()?, words.next()?);
    (agrees && !writer.is_empty() && number.parse::<u64>().is_ok()).then_some(writer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_records_are_counted_by_writer() {
        let text =
            [line("one", 1, "aaaa"), line("two", 1, "bbbb"), line("one", 2, "aaaa")].concat();
        let log = SharedLog::read(text.as_bytes());
        assert_eq!(log.writers, BTreeMap::from([("one".into(), 2), ("two".into(), 1)]));
        assert_eq!((log.records(), log.broken.len(), log.unfinished), (3, 0, 0));
        assert_eq!(SharedLog::read(b""), SharedLog::default());
    }

    #[test]
    fn a_cut_anywhere_is_unfinished_and_what_is_written_after_it_is_broken() {
        let (one, two) = (line("one", 1, "aaaa"), line("two", 1, "bbbb"));
        for cut in 1..one.len() {
            let torn = &one[..cut];
            let log = SharedLog::read(torn.as_bytes());
            assert_eq!((log.records(), log.unfinished), (0, cut), "{torn}");
            let after = SharedLog::read(format!("{torn}{two}").as_bytes());
            assert_eq!((after.records(), after.broken.len()), (0, 1), "{torn}");
        }
    }

    #[test]
    fn two_that_write_at_once_break_each_others_records() {
        let (one, two) = (line("one", 1, "aaaa"), line("two", 1, "bbbb"));
        let mixed = format!("{}{}{}{}", &one[..6], &two[..9], &one[6..], &two[9..]);
        let log = SharedLog::read(mixed.as_bytes());
        assert_eq!((log.records(), log.broken.len(), log.unfinished), (0, 2, 0), "{mixed}");
    }
}
