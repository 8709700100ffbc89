//! Reading a record's line back, telling a torn one from a corrupt one.
//!
//! *Torn* means: the bytes are a proper prefix of a right line, so a write stopped half-way.
//! *Corrupt* means: some byte is not what was written. Nothing is repaired here.

use super::payload::payload;
use super::record::{MAGIC, MAX_LENGTH, Record, RecordId, is_name_byte};

/// Why a line is not a whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The line stops early, and all of it up to there is right. A tail of zero bytes counts as
    /// missing: filesystems leave zeros where a file grew but its data never arrived.
    #[error("record torn after {kept} bytes")]
    Torn {
        /// Bytes that did arrive.
        kept: usize,
    },
    /// Something in the line is not what was written.
    #[error("record corrupt: {0}")]
    Corrupt(&'static str),
    /// Written in a format this build does not read.
    #[error("record has another format version")]
    Version,
}

impl Record {
    /// Reads one line, without its newline.
    ///
    /// # Errors
    /// [`DecodeError`] says whether the line was cut short, damaged, or of another version.
    pub fn decode(line: &[u8]) -> Result<Self, DecodeError> {
        let kept = line.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let mut cursor = Cursor { line: &line[..kept], at: 0 };
        if cursor.line.starts_with(b"@khl")
            && !cursor.line.starts_with(MAGIC)
            && kept >= MAGIC.len()
        {
            return Err(DecodeError::Version);
        }
        cursor.literal(MAGIC)?;
        let run = cursor.name(b"run=")?;
        let writer = cursor.number(b"writer=")?;
        let sequence = cursor.number(b"sequence=")?;
        let key = cursor.name(b"key=")?;
        let length: u32 = cursor.number(b"length=")?;
        let previous = cursor.hex(b"previous=", 16)?;
        cursor.literal(b" ")?;
        if length > MAX_LENGTH {
            return Err(DecodeError::Corrupt("length out of range"));
        }
        cursor.literal(b"payload=")?;
        cursor.payload(&payload(&run, writer, sequence, length))?;
        let body = cursor.at;
        let checksum = cursor.hex(b" checksum=", 8)?;
        if cursor.at != kept {
            return Err(DecodeError::Corrupt("bytes after the checksum"));
        }
        if u64::from(crc32fast::hash(&line[..body])) != checksum {
            return Err(DecodeError::Corrupt("checksum differs"));
        }
        let checksum = u32::try_from(checksum).map_err(|_| DecodeError::Corrupt("checksum"))?;
        Ok(Self { run, id: RecordId { writer, sequence }, key, length, checksum, previous })
    }
}

/// Walks a line; running out of bytes is `Torn`, a wrong byte is `Corrupt`.
struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.line[self.at..]
    }

    fn torn(&self) -> DecodeError {
        DecodeError::Torn { kept: self.line.len() }
    }

    fn literal(&mut self, expected: &[u8]) -> Result<(), DecodeError> {
        let rest = self.rest();
        if rest.starts_with(expected) {
            self.at += expected.len();
            return Ok(());
        }
        Err(if expected.starts_with(rest) {
            self.torn()
        } else {
            DecodeError::Corrupt("field marks differ")
        })
    }

    /// A field's value up to the blank that ends it, which is consumed too.
    fn value(&mut self, field: &[u8], good: fn(u8) -> bool) -> Result<&'a str, DecodeError> {
        self.literal(field)?;
        let rest = self.rest();
        let end = rest.iter().position(|byte| !good(*byte)).unwrap_or(rest.len());
        let value =
            std::str::from_utf8(&rest[..end]).map_err(|_| DecodeError::Corrupt("not text"))?;
        self.at += end;
        self.literal(b" ")?;
        Ok(value)
    }

    fn name(&mut self, field: &[u8]) -> Result<String, DecodeError> {
        let name = self.value(field, is_name_byte)?;
        if name.is_empty() { Err(DecodeError::Corrupt("empty name")) } else { Ok(name.to_owned()) }
    }

    fn number<N: std::str::FromStr>(&mut self, field: &[u8]) -> Result<N, DecodeError> {
        let digits = self.value(field, |byte| byte.is_ascii_digit())?;
        digits.parse().map_err(|_| DecodeError::Corrupt("number out of range"))
    }

    /// A field of exactly `digits` lower-case hexadecimal digits.
    fn hex(&mut self, field: &[u8], digits: usize) -> Result<u64, DecodeError> {
        self.literal(field)?;
        let rest = self.rest();
        let text = &rest[..digits.min(rest.len())];
        if !text.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DecodeError::Corrupt("not hexadecimal"));
        }
        if text.len() < digits {
            return Err(self.torn());
        }
        self.at += digits;
        let text = std::str::from_utf8(text).map_err(|_| DecodeError::Corrupt("not text"))?;
        u64::from_str_radix(text, 16).map_err(|_| DecodeError::Corrupt("not hexadecimal"))
    }

    fn payload(&mut self, expected: &[u8]) -> Result<(), DecodeError> {
        let rest = self.rest();
        if rest.starts_with(expected) {
            self.at += expected.len();
            return Ok(());
        }
        Err(if expected.starts_with(rest) {
            self.torn()
        } else {
            DecodeError::Corrupt("payload is not this record's")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(length: u32) -> Record {
        Record::new("run-1", RecordId { writer: 3, sequence: 41 }, "w3-41", length, 0xfeed).unwrap()
    }

    #[test]
    fn whole_lines_come_back_equal() {
        for length in [0, 1, 64, 4096] {
            let record = record(length);
            assert_eq!(Record::decode(record.encode().as_bytes()), Ok(record));
        }
    }

    #[test]
    fn every_proper_prefix_is_torn_and_so_is_a_tail_of_zeros() {
        let line = record(40).encode().into_bytes();
        for cut in 0..line.len() {
            assert_eq!(Record::decode(&line[..cut]), Err(DecodeError::Torn { kept: cut }), "{cut}");
            let mut zeroed = line.clone();
            zeroed[cut..].fill(0);
            assert_eq!(Record::decode(&zeroed), Err(DecodeError::Torn { kept: cut }), "{cut}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let line = record(40).encode().into_bytes();
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut damaged = line.clone();
                damaged[at] ^= 1 << bit;
                assert!(Record::decode(&damaged).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn a_flip_in_a_whole_line_is_corrupt_not_torn() {
        let line = record(40).encode().into_bytes();
        for at in MAGIC.len()..line.len() {
            let mut damaged = line.clone();
            damaged[at] = if damaged[at] == b'x' { b'y' } else { b'x' };
            let error = Record::decode(&damaged).unwrap_err();
            assert!(matches!(error, DecodeError::Corrupt(_)), "byte {at}: {error}");
        }
    }

    #[test]
    fn content_of_another_record_is_not_accepted_under_this_name() {
        let other =
            Record::new("run-1", RecordId { writer: 3, sequence: 42 }, "w3-42", 40, 0).unwrap();
        let mut stale = record(40);
        let head = String::from_utf8(stale.body()).unwrap();
        let head = head.split("payload=").next().unwrap();
        let mut body = head.as_bytes().to_vec();
        body.extend_from_slice(b"payload=");
        body.extend_from_slice(&other.payload());
        stale.checksum = crc32fast::hash(&body);
        body.extend_from_slice(format!(" checksum={:08x}", stale.checksum).as_bytes());
        let error = Record::decode(&body).unwrap_err();
        assert_eq!(error, DecodeError::Corrupt("payload is not this record's"));
    }

    #[test]
    fn other_versions_are_named_and_garbage_is_corrupt() {
        assert_eq!(Record::decode(b"@khl2 run=a"), Err(DecodeError::Version));
        assert!(matches!(Record::decode(b"hello"), Err(DecodeError::Corrupt(_))));
        let trailing = format!("{}x", record(4).encode());
        assert!(matches!(Record::decode(trailing.as_bytes()), Err(DecodeError::Corrupt(_))));
    }
}
