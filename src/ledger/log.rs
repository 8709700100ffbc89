//! The driver's own log as a file: a version header, then one JSON line per entry.
//!
//! The file belongs to the caller, who also decides when to fsync it: entries gather in memory,
//! [`LogWriter::write_out`] hands over everything pending and says up to which entry, the caller
//! syncs once for all of them (group commit). Reading tolerates a torn last line, nothing else.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::{
    entry::{Entry, Event},
    record::MAX_LENGTH,
};

/// The only format this build writes and reads.
const VERSION: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(rename = "keelhaul-ledger")]
    version: u32,
    run: String,
}

/// Gathers entries and writes them in order.
#[derive(Debug)]
pub struct LogWriter<W> {
    sink: W,
    pending: Vec<u8>,
    appended: u64,
}

impl<W: Write> LogWriter<W> {
    /// Begins a log for `run`. Nothing reaches `sink` before [`write_out`](Self::write_out).
    ///
    /// # Errors
    /// When the header cannot be encoded.
    pub fn new(sink: W, run: &str) -> io::Result<Self> {
        let mut writer = Self { sink, pending: Vec::new(), appended: 0 };
        writer.line(&Header { version: VERSION, run: run.to_owned() })?;
        Ok(writer)
    }

    /// Adds an entry to those pending and returns its number, counted from 1.
    ///
    /// # Errors
    /// When the entry cannot be encoded.
    pub fn append(&mut self, entry: &Entry) -> io::Result<u64> {
        self.line(entry)?;
        self.appended += 1;
        Ok(self.appended)
    }

    /// Hands everything pending to the sink. Once the caller has synced it, every entry up to the
    /// returned number is durable.
    ///
    /// # Errors
    /// Those of the sink. What it took is not offered again, the rest stays pending.
    pub fn write_out(&mut self) -> io::Result<u64> {
        while !self.pending.is_empty() {
            match self.sink.write(&self.pending) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => drop(self.pending.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sink.flush()?;
        Ok(self.appended)
    }

    /// The sink, for the caller to sync.
    pub fn get_ref(&self) -> &W {
        &self.sink
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let start = self.pending.len();
        let encoded = serde_json::to_writer(&mut self.pending, value);
        if encoded.is_err() {
            self.pending.truncate(start);
        }
        encoded?;
        self.pending.push(b'\n');
        Ok(())
    }
}

/// A log read back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Log {
    /// The run that wrote it.
    pub run: String,
    /// Its entries, in order.
    pub entries: Vec<Entry>,
    /// Whether the last line was cut short, and left out.
    pub torn: bool,
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The reader failed.
    #[error("cannot read the ledger's log")]
    Read(#[from] io::Error),
    /// There is no whole header.
    #[error("the ledger's log has no header")]
    NoHeader,
    /// Another build wrote it.
    #[error("the ledger's log has format version {0}, this build reads {VERSION}")]
    Version(u32),
    /// A line that is not the last cannot be understood.
    #[error("line {line} of the ledger's log is damaged: {reason}")]
    Damaged {
        /// Line number, from 1.
        line: usize,
        /// What the parser said.
        reason: String,
    },
}

impl Log {
    /// Reads a log to its end. A last line that was cut short is left out and marked.
    ///
    /// # Errors
    /// When there is no header, the version is another, or a line before the last is damaged.
    pub fn read(mut reader: impl BufRead) -> Result<Self, LogError> {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        let header: Header = serde_json::from_slice(&line).map_err(|_| LogError::NoHeader)?;
        if header.version != VERSION {
            return Err(LogError::Version(header.version));
        }
        let mut log = Self { run: header.run, ..Self::default() };
        for number in 2.. {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let damaged = |reason: String| LogError::Damaged { line: number, reason };
            match serde_json::from_slice::<Entry>(&line) {
                // a payload is made of this many bytes when damage is traced
                Ok(Entry { event: Event::Intent(intent), .. }) if intent.length > MAX_LENGTH => {
                    return Err(damaged(format!("a payload of {} bytes", intent.length)));
                }
                Ok(entry) => log.entries.push(entry),
                Err(_) if line.last() != Some(&b'\n') => log.torn = true,
                Err(error) => return Err(damaged(error.to_string())),
            }
        }
        Ok(log)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Intent, RecordId};
    use super::*;

    const ID: RecordId = RecordId { writer: 1, sequence: 9 };

    fn entries() -> Vec<Entry> {
        let intent = Intent { id: ID, key: "k".into(), length: 5, checksum: 7, previous: u64::MAX };
        let events = [
            Event::Intent(intent),
            Event::Acknowledged(ID),
            Event::Failed { id: ID, reason: "507 \"ENOSPC\"\n".into() },
            Event::Indeterminate { id: ID, reason: "timed out".into() },
            Event::Fenced {},
            Event::Restored {},
        ];
        (1..).zip(events).map(|(at_us, event)| Entry { at_us, event }).collect()
    }

    fn written() -> Vec<u8> {
        let mut writer = LogWriter::new(Vec::new(), "r1").unwrap();
        for entry in entries() {
            writer.append(&entry).unwrap();
        }
        assert!(writer.get_ref().is_empty(), "nothing is written before the group is handed over");
        assert_eq!(writer.write_out().unwrap(), 6);
        writer.get_ref().clone()
    }

    #[test]
    fn entries_come_back_in_order() {
        let log = Log::read(written().as_slice()).unwrap();
        assert_eq!((log.run.as_str(), log.entries, log.torn), ("r1", entries(), false));
    }

    #[test]
    fn a_log_cut_anywhere_reads_as_a_prefix() {
        let bytes = written();
        let header = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        for cut in header..bytes.len() {
            let log = Log::read(&bytes[..cut]).unwrap();
            assert_eq!(log.entries, entries()[..log.entries.len()]);
            assert!(log.entries.len() < 6 || cut == bytes.len() - 1);
        }
        assert!(matches!(Log::read(&bytes[..header - 1]), Err(LogError::NoHeader)));
    }

    #[test]
    fn damage_in_the_middle_and_other_versions_are_refused() {
        let text = String::from_utf8(written()).unwrap();
        let damaged = text.replacen("acknowledged", "acknowl", 1);
        assert!(matches!(Log::read(damaged.as_bytes()), Err(LogError::Damaged { line: 3, .. })));
        let longer =
            |length: u32| text.replacen("\"length\":5", &format!("\"length\":{length}"), 1);
        assert!(Log::read(longer(MAX_LENGTH).as_bytes()).is_ok());
        let refused = Log::read(longer(MAX_LENGTH + 1).as_bytes());
        assert!(matches!(refused, Err(LogError::Damaged { line: 2, .. })));
        let newer = text.replacen(":1,", ":2,", 1);
        assert!(matches!(Log::read(newer.as_bytes()), Err(LogError::Version(2))));
    }

    /// Takes three bytes, then fails once.
    #[derive(Default)]
    struct Stutter(Vec<u8>, bool);

    impl Write for Stutter {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if !self.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = buf.len().min(3);
            self.0.extend_from_slice(&buf[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_failing_sink_loses_and_repeats_nothing() {
        let mut writer = LogWriter::new(Stutter::default(), "r1").unwrap();
        for entry in entries() {
            writer.append(&entry).unwrap();
        }
        let mut errors = 0;
        while writer.write_out().is_err() {
            errors += 1;
        }
        assert!(errors > 10);
        assert_eq!(Log::read(writer.get_ref().0.as_slice()).unwrap().entries, entries());
    }
}
