//! What came back from the subject: pieces of bytes, each meant to be one record.
//!
//! Only cuts and labels; whether a piece is a right record is `decode`'s and `check`'s business.

use super::record::{MAGIC, Record};

/// One piece read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadBack<'a> {
    /// The key that was asked for; `None` when it was met in a stream, where order counts.
    pub asked: Option<&'a str>,
    /// What came, without a newline.
    pub bytes: &'a [u8],
}

impl<'a> ReadBack<'a> {
    /// The answer to a read of `key`. Order says nothing between such reads.
    #[must_use]
    pub fn value(key: &'a str, bytes: &'a [u8]) -> Self {
        Self { asked: Some(key), bytes }
    }

    /// Cuts a stream into pieces: at newlines, and where a record begins inside a line, as after
    /// a torn one that lost its newline. Empty lines are nothing.
    pub fn stream(bytes: &'a [u8]) -> impl Iterator<Item = Self> {
        bytes
            .split(|byte| *byte == b'\n')
            .flat_map(|line| Pieces { rest: line })
            .map(|bytes| Self { asked: None, bytes })
    }
}

/// The whole records of a file of lines, each with the end of its line. What comes after the last of
/// them is a torn tail: not even a record that lacks nothing but its newline is there.
pub fn whole_records(bytes: &[u8]) -> impl Iterator<Item = (Record, usize)> {
    let ends = bytes.split_inclusive(|byte| *byte == b'\n').scan(0, |at, line| {
        *at += line.len();
        Some((*at, line))
    });
    ends.filter(|(_, line)| line.ends_with(b"\n")).flat_map(|(end, line)| {
        let pieces = ReadBack::stream(line);
        pieces.filter_map(move |piece| Some((Record::decode(piece.bytes).ok()?, end)))
    })
}

/// The pieces of one line, each but the first beginning with the record's mark.
struct Pieces<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let marks = self.rest.iter().enumerate().skip(1).filter(|(_, byte)| **byte == MAGIC[0]);
        let end = marks
            .map(|(at, _)| at)
            .find(|at| self.rest[*at..].starts_with(MAGIC))
            .unwrap_or(self.rest.len());
        let (piece, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bytes: &[u8]) -> Vec<&[u8]> {
        ReadBack::stream(bytes).map(|piece| piece.bytes).collect()
    }

    #[test]
    fn lines_and_glued_records_are_told_apart() {
        let pieces = cut(b"@khl1 a\n\n@kh@khl1 b@khl1 c\n\0\0@khl1 d");
        let expected: [&[u8]; 6] =
            [b"@khl1 a", b"@kh", b"@khl1 b", b"@khl1 c", b"\0\0", b"@khl1 d"];
        assert_eq!(pieces, expected);
        assert!(cut(b"").is_empty());
        assert!(cut(b"\n\n").is_empty());
    }
}
