//! One record: what a workload asks the subject to keep, and its line of text.
//!
//! ```text
//! @khl1 run=r7 writer=0 sequence=12 key=w0-12 length=8 previous=00…0 payload=ZOK6mIIK checksum=8c0f3a11
//! ```
//! One self-describing line. The checksum covers everything before it. `@` appears nowhere else
//! in a line, so that a record glued to the torn tail of another is still found.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::payload::payload;

/// Longest payload in bytes; a damaged length cannot ask for more.
pub const MAX_LENGTH: u32 = 1 << 20;

/// What every record begins with: mark, format version, blank.
pub(super) const MAGIC: &[u8] = b"@khl1 ";

/// Longest run id or key, in bytes.
const MAX_NAME: usize = 128;

/// Which record of a run: its writer, and its place in that writer's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// The writer's number within the run.
    pub writer: u32,
    /// Rises by one with each record of that writer.
    pub sequence: u64,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}-{}", self.writer, self.sequence)
    }
}

impl std::str::FromStr for RecordId {
    type Err = ();

    /// As it is displayed: `w0-12`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (writer, sequence) =
            text.strip_prefix('w').and_then(|rest| rest.split_once('-')).ok_or(())?;
        let id = Self {
            writer: writer.parse().map_err(drop)?,
            sequence: sequence.parse().map_err(drop)?,
        };
        // a sign, or a zero before a number, is no name of ours
        (id.to_string() == text).then_some(id).ok_or(())
    }
}

/// A record without its payload, which follows from the other fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The run that wrote it.
    pub run: String,
    /// Writer and sequence.
    pub id: RecordId,
    /// The name it is stored under; used once per run.
    pub key: String,
    /// Payload length in bytes.
    pub length: u32,
    /// CRC-32 (IEEE) of the encoded line up to the checksum field.
    pub checksum: u32,
    /// [`Record::link`] of this writer's previous record, 0 for its first.
    pub previous: u64,
}

/// Why a record cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A run id or key is empty, too long, or has characters that would need quoting.
    #[error("`{0}` cannot name a record\n\nhint: 1 to {MAX_NAME} letters, digits or `._:/-`")]
    Name(String),
    /// The payload would be longer than [`MAX_LENGTH`].
    #[error("a payload of {0} bytes is too long\n\nhint: at most {MAX_LENGTH} bytes")]
    Length(u32),
}

impl Record {
    /// Makes a record and computes its checksum.
    ///
    /// # Errors
    /// When `run` or `key` is not a plain name, or `length` is over [`MAX_LENGTH`].
    pub fn new(
        run: &str,
        id: RecordId,
        key: &str,
        length: u32,
        previous: u64,
    ) -> Result<Self, RecordError> {
        if let Some(bad) = [run, key].into_iter().find(|name| !is_name(name.as_bytes())) {
            return Err(RecordError::Name(bad.to_owned()));
        }
        if length > MAX_LENGTH {
            return Err(RecordError::Length(length));
        }
        let mut record =
            Self { run: run.to_owned(), id, key: key.to_owned(), length, checksum: 0, previous };
        record.checksum = crc32fast::hash(&record.body());
        Ok(record)
    }

    /// The line of text, without a newline.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut line = self.body();
        line.extend_from_slice(format!(" checksum={:08x}", self.checksum).as_bytes());
        String::from_utf8(line).expect("names and payload are ASCII by construction")
    }

    /// Everything before the checksum field.
    pub(super) fn body(&self) -> Vec<u8> {
        let RecordId { writer, sequence } = self.id;
        let mut line = format!(
            "@khl1 run={} writer={writer} sequence={sequence} key={} length={} previous={:016x} payload=",
            self.run, self.key, self.length, self.previous
        )
        .into_bytes();
        line.extend_from_slice(&self.payload());
        line
    }

    /// The payload, derived from run, writer, sequence and length.
    #[must_use]
    pub fn payload(&self) -> Vec<u8> {
        payload(&self.run, self.id.writer, self.id.sequence, self.length)
    }

    /// What the writer's next record carries as `previous`: the first 64 bits of the SHA-256 of
    /// this line. Chains the records, so that order can be proven without the log.
    #[must_use]
    pub fn link(&self) -> u64 {
        let digest = Sha256::digest(self.encode().as_bytes());
        digest.iter().take(8).fold(0, |link, byte| link << 8 | u64::from(*byte))
    }
}

/// Whether `name` can stand in a line unquoted.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && name.iter().all(|byte| is_name_byte(*byte))
}

pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u64, previous: u64) -> Record {
        let id = RecordId { writer: 0, sequence };
        Record::new("r7", id, &id.to_string(), 8, previous).unwrap()
    }

    #[test]
    fn the_line_is_a_fixed_format() {
        let line = record(12, 0).encode();
        assert!(line.starts_with("@khl1 run=r7 writer=0 sequence=12 key=w0-12 length=8 previous=0000000000000000 payload="), "{line}");
        assert_eq!(line.rfind(" checksum="), Some(line.len() - 18));
    }

    #[test]
    fn an_id_is_read_as_it_is_displayed_and_in_no_other_way() {
        let id = RecordId { writer: 3, sequence: 12 };
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in
            ["", "w3", "3-12", "w3-", "w+3-12", "w03-12", "w3-12 ", "w3-99999999999999999999"]
        {
            assert_eq!(other.parse::<RecordId>(), Err(()), "{other}");
        }
    }

    #[test]
    fn the_chain_depends_on_every_earlier_record() {
        let first = record(1, 0);
        let second = record(2, first.link());
        assert_ne!(second.link(), record(2, first.link() ^ 1).link());
        assert_ne!(second.checksum, record(2, 0).checksum, "the checksum covers the link");
    }

    #[test]
    fn names_that_would_need_quoting_are_refused() {
        let id = RecordId { writer: 0, sequence: 1 };
        for bad in ["", "a b", "a@b", "a=b", "a\nb", "ä", &"x".repeat(129)] {
            assert!(Record::new("r", id, bad, 1, 0).is_err(), "{bad:?}");
            assert!(Record::new(bad, id, "k", 1, 0).is_err(), "{bad:?}");
        }
        assert_eq!(
            Record::new("r", id, "k", MAX_LENGTH + 1, 0),
            Err(RecordError::Length(MAX_LENGTH + 1))
        );
    }
}
