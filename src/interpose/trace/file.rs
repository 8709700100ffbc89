//! The file of a trace: whole lines, up to so many bytes. What comes after its end is counted.

use std::{fs::File, io, io::Write as _};

use crate::protocol::{TraceFacts, TracedOp};

/// Bytes that are written at a time.
const AT_ONCE: usize = 64 << 10;

/// The file, and what is to be written to it.
pub(super) struct TraceFile {
    file: File,
    most: u64,
    /// Lines on their way, and how many they are.
    pending: (Vec<u8>, u64),
    /// What is in the file, and what never will be.
    facts: TraceFacts,
    ended: bool,
}

impl TraceFile {
    pub(super) fn new(file: File, most: u64) -> Self {
        let (pending, ended) = Default::default();
        let facts = TraceFacts { most, ..TraceFacts::default() };
        Self { file, most, pending, facts, ended }
    }

    /// Adds a line. The first that does not fit ends the trace: what is in it is without a gap.
    pub(super) fn put(&mut self, op: &TracedOp) {
        let line = if self.ended { Vec::new() } else { serde_json::to_vec(op).unwrap_or_default() };
        let bytes = self.facts.bytes + (self.pending.0.len() + line.len() + 1) as u64;
        self.ended |= line.is_empty() || bytes > self.most;
        if self.ended {
            self.facts.after_end += 1;
            return;
        }
        self.pending.0.extend(line);
        self.pending.0.push(b'\n');
        self.pending.1 += 1;
        if self.pending.0.len() >= AT_ONCE {
            self.flush();
        }
    }

    /// Writes what is pending. What cannot be written ends the trace.
    pub(super) fn flush(&mut self) {
        let (text, lines) = std::mem::take(&mut self.pending);
        if text.is_empty() {
            return;
        }
        match self.file.write_all(&text) {
            Ok(()) => {
                self.facts.kept += lines;
                self.facts.bytes += text.len() as u64;
            }
            Err(error) => self.fail(lines, &error),
        }
    }

    fn fail(&mut self, lines: u64, error: &io::Error) {
        // a part of it may be there, and would end in the middle of a line
        let _ = self.file.set_len(self.facts.bytes);
        self.ended = true;
        self.facts.after_end += lines;
        self.facts.failed = Some(error.to_string());
    }

    pub(super) fn facts(&self) -> TraceFacts {
        self.facts.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(path: &str) -> TracedOp {
        TracedOp { op: "write".into(), path: path.into(), ..TracedOp::default() }
    }

    #[test]
    fn a_full_file_has_whole_lines_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        let mut file = TraceFile::new(File::create(&path).unwrap(), 1000);
        // a short one after a long one would fit again, and would hide that there is a gap
        (0..100).for_each(|n| file.put(&op(&"x".repeat(n % 7))));
        file.flush();
        let (facts, text) = (file.facts(), std::fs::read_to_string(&path).unwrap());
        assert!(text.len() <= 1000 && text.len() > 900, "{}", text.len());
        assert_eq!(facts.bytes, text.len() as u64);
        let found: Vec<TracedOp> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(found.iter().enumerate().all(|(n, op)| op.path.len() == n % 7), "no gap");
        assert_eq!(facts.kept, found.len() as u64);
        assert_eq!(facts.kept + facts.after_end, 100);
    }

    #[test]
    fn a_disk_that_is_full_ends_it_and_is_told() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut file = TraceFile::new(full, u64::MAX);
        file.put(&op("a"));
        file.flush();
        file.put(&op("b"));
        let facts = file.facts();
        assert_eq!((facts.kept, facts.after_end, facts.bytes), (0, 2, 0));
        assert!(facts.failed.unwrap().contains("No space"));
    }
}
