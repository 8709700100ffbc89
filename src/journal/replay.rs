//! What a journal says, whatever byte it ends at. Pure.

use std::collections::BTreeMap;

use super::{
    JournalError,
    frame::decode,
    record::{Header, Record},
};
use crate::protocol::{Entry, EntryId, EntryState, Outcome, VERSION};

/// One entry, and how far it has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// Acts and undo.
    pub entry: Entry,
    /// How far it has come. An undo that failed in part leaves it where it was.
    pub state: EntryState,
    /// What the acts had to say; empty where that was lost.
    pub outcomes: Vec<Outcome>,
    /// Milliseconds since boot at which it is undone by itself.
    pub expires_at_ms: Option<u64>,
}

/// A journal read back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Replay {
    /// The first line; `None` when the file ends before it does: then nothing was ever done.
    pub header: Option<Header>,
    /// Every entry, by number.
    pub slots: BTreeMap<EntryId, Slot>,
    /// The run ended and nothing is left to undo.
    pub closed: bool,
    /// Bytes that are whole records; what follows is torn and is overwritten.
    pub whole: u64,
    /// Bytes follow that are no whole record.
    pub torn: bool,
}

impl Replay {
    /// The entries that are not undone, last first: the order of rollback.
    #[must_use]
    pub fn open_entries(&self) -> Vec<EntryId> {
        let open = self.slots.iter().filter(|(_, slot)| slot.state != EntryState::Undone);
        open.map(|(id, _)| *id).rev().collect()
    }

    /// The number for the next entry.
    #[must_use]
    pub fn next_id(&self) -> EntryId {
        EntryId(self.slots.keys().next_back().map_or(1, |last| last.0 + 1))
    }

    /// Takes in one more record.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::Pending { id, entry, expires_at_ms } => {
                let state = EntryState::Pending;
                let slot = Slot { entry, state, outcomes: Vec::new(), expires_at_ms };
                self.slots.insert(id, slot);
            }
            Record::Applied { id, outcomes } => {
                if let Some(slot) = self.slots.get_mut(&id) {
                    slot.state = EntryState::Applied;
                    slot.outcomes = outcomes;
                }
            }
            Record::Undone { id, problems, pending } => {
                let complete = problems.is_empty() && pending.is_empty();
                if let Some(slot) = self.slots.get_mut(&id).filter(|_| complete) {
                    slot.state = EntryState::Undone;
                }
            }
            Record::Closed {} => self.closed = true,
        }
    }
}

/// Reads as many whole records as there are.
///
/// # Errors
/// When another format version wrote the file.
pub fn replay(bytes: &[u8]) -> Result<Replay, JournalError> {
    let mut replay = Replay::default();
    let mut rest = bytes;
    while let Some((json, length)) = decode(rest) {
        if replay.header.is_none() {
            replay.header = Some(header(json)?);
        } else {
            match serde_json::from_slice(json) {
                Ok(record) => replay.take(record),
                // whole by its checksum, yet not of this format: written by another build
                Err(error) => return Err(JournalError::Encode(error.to_string())),
            }
        }
        rest = &rest[length..];
    }
    replay.whole = (bytes.len() - rest.len()) as u64;
    replay.torn = rest.iter().any(|byte| *byte != 0);
    Ok(replay)
}

/// The whole records of a journal as lines of JSON, at most `limit` bytes: for people and programs
/// that read a copy. What is left out is said in a last line, which is an object too.
#[must_use]
pub fn lines(bytes: &[u8], limit: usize) -> String {
    let mut lines = String::new();
    let mut rest = bytes;
    while let Some((json, length)) = decode(rest) {
        if lines.len() + json.len() > limit {
            lines.push_str(&format!("{{\"left-out-bytes\":{}}}\n", rest.len()));
            break;
        }
        lines.push_str(&String::from_utf8_lossy(json));
        lines.push('\n');
        rest = &rest[length..];
    }
    lines
}

fn header(json: &[u8]) -> Result<Header, JournalError> {
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|error| JournalError::Encode(error.to_string()))?;
    let found = value.get("version").and_then(serde_json::Value::as_u64).unwrap_or_default();
    if found != u64::from(VERSION) {
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        return Err(JournalError::Version { found, known: VERSION });
    }
    serde_json::from_value(value).map_err(|error| JournalError::Encode(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::frame::encode;
    use super::*;
    use crate::protocol::{EngineOp, Op};

    fn header() -> Header {
        Header {
            version: VERSION,
            run: "r1".into(),
            build: "b".into(),
            boot_id: "boot".into(),
            created_ms: 1,
        }
    }

    fn entry(what: &str) -> Entry {
        let unpause = EngineOp::Unpause { container: what.into() };
        let undo = vec![Op::Engine(unpause)];
        Entry { what: what.into(), ops: vec![Op::Nothing], undo, expires_ms: None }
    }

    fn records() -> Vec<Record> {
        let (one, two) = (EntryId(1), EntryId(2));
        vec![
            Record::pending(one, &entry("first"), None),
            Record::Applied { id: one, outcomes: vec![Outcome::Done] },
            Record::pending(two, &entry("second"), Some(7)),
            Record::Undone { id: two, problems: vec!["no".into()], pending: vec![] },
            Record::Undone { id: two, problems: vec![], pending: vec![] },
            Record::Undone { id: one, problems: vec![], pending: vec![] },
            Record::Closed {},
        ]
    }

    fn written() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = encode(&serde_json::to_vec(&header()).unwrap());
        let mut ends = vec![bytes.len()];
        for record in records() {
            bytes.extend(encode(&serde_json::to_vec(&record).unwrap()));
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// What is known after so many whole records.
    fn expected(count: usize) -> Replay {
        let mut replay = Replay { header: Some(header()), ..Replay::default() };
        records().into_iter().take(count).for_each(|record| replay.take(record));
        replay
    }

    #[test]
    fn a_journal_cut_at_any_byte_reads_as_its_whole_records() {
        let (bytes, ends) = written();
        for cut in 0..=bytes.len() {
            let read = replay(&bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count();
            if whole == 0 {
                assert_eq!((read.header, read.slots.len()), (None, 0), "cut at {cut}");
                continue;
            }
            let wanted = expected(whole - 1);
            assert_eq!(read.whole, ends[whole - 1] as u64, "cut at {cut}");
            assert_eq!(read.torn, cut != ends[whole - 1], "cut at {cut}");
            assert_eq!(
                (read.header, read.slots, read.closed),
                (wanted.header, wanted.slots, wanted.closed)
            );
        }
    }

    #[test]
    fn an_entry_whose_undo_failed_in_part_is_still_open() {
        assert_eq!(expected(4).open_entries(), vec![EntryId(2), EntryId(1)]);
        assert_eq!(expected(5).open_entries(), vec![EntryId(1)]);
        assert_eq!(expected(6).open_entries(), vec![]);
        assert_eq!(expected(6).next_id(), EntryId(3));
    }

    #[test]
    fn a_copy_has_a_line_per_whole_record() {
        let (mut bytes, ends) = written();
        bytes.truncate(ends[3] + 5);
        let copy = lines(&bytes, 1 << 20);
        assert_eq!(copy.lines().count(), 4);
        for line in copy.lines().chain(lines(&bytes, 1000).lines()) {
            assert!(serde_json::from_str::<serde_json::Value>(line).unwrap().is_object());
        }
        assert!(lines(&bytes, 300).len() < 400);
    }

    #[test]
    fn preallocated_zeros_are_not_torn() {
        let (mut bytes, _) = written();
        bytes.extend([0; 4096]);
        assert!(!replay(&bytes).unwrap().torn);
    }

    #[test]
    fn what_an_earlier_build_did_not_know_may_be_missing() {
        let place = r#"{"container":"c","pid":1,"path":"/f","host_path":null}"#;
        let put_back = format!(r#"{{"put-back":{{"place":{place},"kept":"k","content":null}}}}"#);
        let read: Op = serde_json::from_str(&put_back).unwrap();
        assert!(matches!(read, Op::PutBack { dev: None, .. }), "{read:?}");
        let image = r#"{"create-image":{"name":"i","size":1}}"#;
        let read: Op = serde_json::from_str(image).unwrap();
        assert!(matches!(read, Op::CreateImage { mounted: None, .. }), "{read:?}");
    }

    #[test]
    fn another_version_is_named() {
        let mut other = serde_json::to_value(header()).unwrap();
        other["version"] = 9.into();
        let bytes = encode(&serde_json::to_vec(&other).unwrap());
        assert!(matches!(replay(&bytes), Err(JournalError::Version { found: 9, .. })));
    }
}
