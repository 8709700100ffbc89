//! What had been promised by a moment, and whether a recovered file keeps it. No I/O but the log's.

use std::{fs::File, io::BufReader, path::Path};

use crate::ledger::{
    Entry, Event, LedgerReport, Log, Promise, ReadBack, RecordId, acknowledged, check,
    whole_records,
};

/// The intents of a load, and its acknowledgements in the order of a disk.
#[derive(Debug, Clone)]
pub(super) struct Promises {
    /// Intents, followed by as many acknowledgements as were asked for last.
    log: Log,
    intents: usize,
    acks: Vec<(Entry, u64)>,
}

impl Promises {
    /// Reads the load's log.
    pub(super) fn read(path: &Path, marks: &[(RecordId, u64)]) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("the ledger's log: {error}"))?;
        let log = Log::read(BufReader::new(file)).map_err(|error| error.to_string())?;
        Ok(Self::new(log, marks))
    }

    fn new(mut log: Log, marks: &[(RecordId, u64)]) -> Self {
        // a record that was given up, and whose answer came late, is promised all the same; one whose
        // acknowledgement was never noted, or came while the storage was cut, is not
        let times = acknowledged(&log);
        let ack = |(id, at): &(RecordId, u64)| {
            let at_us = *times.get(id)?;
            Some((Entry { at_us, event: Event::Acknowledged(*id) }, *at))
        };
        let acks = marks.iter().filter_map(ack).collect();
        log.entries.retain(|entry| matches!(entry.event, Event::Intent(_)));
        Self { intents: log.entries.len(), log, acks }
    }

    /// Those of a state that was kept: its log holds none that came later.
    pub(super) fn kept(log: Log) -> Self {
        let acknowledged = log.entries.iter().filter_map(|entry| match entry.event {
            Event::Acknowledged(id) => Some((id, 0)),
            _ => None,
        });
        let marks: Vec<_> = acknowledged.collect();
        Self::new(log, &marks)
    }

    /// The log of a load as it was when the first so many were acknowledged.
    pub(super) fn log(&mut self, acknowledged: usize) -> &Log {
        self.log.entries.truncate(self.intents);
        let acks = self.acks.iter().take(acknowledged).map(|(entry, _)| entry.clone());
        self.log.entries.extend(acks);
        &self.log
    }

    /// Which record of which run was acknowledged at which place, up to one.
    pub(super) fn places(&self, cut: u64) -> Vec<(u64, String)> {
        let id = |event: &Event| match event {
            Event::Acknowledged(id) => Some(format!("{} {id}", self.log.run)),
            _ => None,
        };
        let acks = self.acks.iter().take(self.by(cut));
        acks.filter_map(|(entry, at)| Some((*at, id(&entry.event)?))).collect()
    }

    /// Acknowledgements that came at or before a place in the sequence.
    pub(super) fn by(&self, cut: u64) -> usize {
        self.acks.partition_point(|(_, at)| *at <= cut)
    }

    /// What became of the first so many in a file as it was recovered. A torn tail is what whoever
    /// opens the file cuts off; it is not judged.
    pub(super) fn judge(&mut self, acknowledged: usize, file: &[u8]) -> LedgerReport {
        let whole = whole_records(file).last().map_or(0, |(_, end)| end);
        check(self.log(acknowledged), ReadBack::stream(&file[..whole]), Promise::Ordered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Intent, Record};

    fn records(count: u64) -> Vec<Record> {
        let mut previous = 0;
        let make = |sequence| {
            let id = RecordId { writer: 0, sequence };
            let record = Record::new("r1", id, &id.to_string(), 8, previous).unwrap();
            previous = record.link();
            record
        };
        (0..count).map(make).collect()
    }

    /// Three records, acknowledged at 10, 20 and 30.
    fn promises() -> (Promises, Vec<String>) {
        let records = records(3);
        let event =
            |record: &Record| [Event::Intent(Intent::from(record)), Event::Acknowledged(record.id)];
        let events = records.iter().flat_map(event);
        let entries = events.map(|event| Entry { at_us: 5, event }).collect();
        let log = Log { run: "r1".into(), entries, torn: false };
        let marks: Vec<_> = records.iter().map(|it| it.id).zip([10, 20, 30]).collect();
        let lines = records.iter().map(|record| format!("{}\n", record.encode())).collect();
        (Promises::new(log, &marks), lines)
    }

    #[test]
    fn what_was_acknowledged_by_then_must_be_there_and_no_more() {
        let (mut promises, lines) = promises();
        assert_eq!([9, 10, 29, 30].map(|cut| promises.by(cut)), [0, 1, 2, 3]);
        for there in 0..=3 {
            let file = lines[..there].concat();
            for acknowledged in [3, 0, 2, 1] {
                let report = promises.judge(acknowledged, file.as_bytes());
                assert_eq!(report.lost, acknowledged.saturating_sub(there) as u64);
                assert_eq!(report.is_sound(), there >= acknowledged);
            }
        }
    }

    #[test]
    fn each_acknowledgement_has_its_place() {
        let (promises, _) = promises();
        let place = |at: u64, id: &str| (at, id.to_owned());
        assert_eq!(promises.places(29), [place(10, "r1 w0-0"), place(20, "r1 w0-1")]);
    }

    #[test]
    fn a_torn_tail_is_not_judged_and_a_torn_middle_is() {
        let (mut promises, lines) = promises();
        let torn = &lines[1][..40];
        let tail = promises.judge(1, format!("{}{torn}", lines[0]).as_bytes());
        assert!(tail.is_sound(), "{tail:?}");
        let middle = promises.judge(1, format!("{}{torn}{}", lines[0], lines[2]).as_bytes());
        assert!(!middle.is_sound(), "{middle:?}");
    }

    #[test]
    fn what_was_acknowledged_behind_a_fence_is_not_promised() {
        let (mut promises, _) = promises();
        let marks: Vec<_> = records(3).iter().map(|it| it.id).zip([10, 20, 30]).collect();
        let mut log = std::mem::take(&mut promises.log.entries);
        // before the cut, while it was cut, and afterwards, though it was asked for before
        let event = |event| Entry { at_us: 5, event };
        let ack = |at: usize| event(Event::Acknowledged(marks[at].0));
        log.extend([ack(0), event(Event::Fenced {}), ack(1), event(Event::Restored {}), ack(2)]);
        let log = Log { run: "r1".into(), entries: log, torn: false };
        assert_eq!(Promises::new(log, &marks).acks.len(), 1);
    }

    #[test]
    fn a_kept_state_is_judged_as_it_was_when_it_was_found() {
        let (mut promises, lines) = promises();
        for acknowledged in 0..=3 {
            let mut kept = Promises::kept(promises.log(acknowledged).clone());
            assert_eq!(kept.by(0), acknowledged);
            for there in 0..=3 {
                let file = lines[..there].concat();
                let again = kept.judge(acknowledged, file.as_bytes());
                assert_eq!(again, promises.judge(acknowledged, file.as_bytes()));
            }
        }
    }

    #[test]
    fn what_was_never_noted_is_not_promised() {
        let (promises, _) = promises();
        let unknown = RecordId { writer: 9, sequence: 9 };
        assert_eq!(Promises::new(promises.log, &[(unknown, 1)]).by(99), 0);
    }
}
