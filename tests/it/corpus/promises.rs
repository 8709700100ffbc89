//! What a subject had promised by a moment, held against what it reads afterwards: by the ledger, as
//! `explore` does it.

use keelhaul::ledger::{Entry, Event, Intent, Log, Promise, ReadBack, Record, RecordId, check};

/// The records that were to be kept, and when each was said to be safe.
pub(super) struct Promises {
    intents: Log,
    acknowledged: Vec<(RecordId, u64)>,
}

fn entry(event: Event) -> Entry {
    Entry { at_us: 0, event }
}

impl Promises {
    pub(super) fn of(run: &str) -> Self {
        let intents = Log { run: run.into(), ..Log::default() };
        Self { intents, acknowledged: Vec::new() }
    }

    pub(super) fn intend(&mut self, record: &Record) {
        self.intents.entries.push(entry(Event::Intent(Intent::from(record))));
    }

    /// All that was intended is safe, from this place in the sequence of the disk on.
    pub(super) fn acknowledge(&mut self, at: u64) {
        let new = self.intents.entries.iter().skip(self.acknowledged.len());
        let ids: Vec<_> = new
            .filter_map(|entry| match &entry.event {
                Event::Intent(intent) => Some((intent.id, at)),
                _ => None,
            })
            .collect();
        self.acknowledged.extend(ids);
    }

    /// How many had been promised by then.
    pub(super) fn by(&self, cut: u64) -> usize {
        self.acknowledged.partition_point(|(_, at)| *at <= cut)
    }

    /// The ledger as it was by then.
    pub(super) fn ledger(&self, cut: u64) -> Log {
        let mut log = self.intents.clone();
        let promised = self.acknowledged.iter().take(self.by(cut));
        log.entries.extend(promised.map(|(id, _)| entry(Event::Acknowledged(*id))));
        log
    }
}

/// What is wrong with what was read; none where every promise is kept, and nothing was made up.
pub(super) fn broken(ledger: &Log, read: &[u8]) -> Option<String> {
    let report = check(ledger, ReadBack::stream(read), Promise::Ordered);
    (!report.is_sound()).then(|| report.to_string())
}
