//! The ledger's checker on 100,000 records, against one pass of CRC-32 over the same bytes.

use std::{hint::black_box, time::Instant};

use keelhaul::ledger::{Entry, Event, Log, Promise, ReadBack, Record, RecordId, check};

use crate::{
    injection::millis,
    record::{Measurement, Side},
    samples::Samples,
};

const ROUNDS: usize = 9;
const WRITERS: u32 = 8;
const RECORDS: u64 = 100_000;
const LENGTH: u32 = 256;
const RUN: &str = "bench";

pub(crate) fn measure() -> anyhow::Result<Vec<Measurement>> {
    let (log, stream) = sound()?;
    let (mut pass, mut checked) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        let started = Instant::now();
        black_box(crc32fast::hash(black_box(&stream)));
        pass.push(millis(started));
        let started = Instant::now();
        let report = check(&log, ReadBack::stream(&stream), Promise::Ordered);
        checked.push(millis(started));
        anyhow::ensure!(report.present == RECORDS && report.is_sound(), "the checker is wrong");
    }
    let allowed = Side::fixed("allowed", 2000.0);
    let subject = || Side::of("100,000 records checked", &checked);
    let pass = Side::of("CRC-32 over the same bytes", &pass);
    Ok(vec![
        Measurement::new("ledger", "ms", allowed, subject(), ROUNDS).goal("≤ 1"),
        Measurement::new("ledger-against-crc", "ms", pass, subject(), ROUNDS),
    ])
}

/// A log in which everything was acknowledged, and what comes back.
fn sound() -> anyhow::Result<(Log, Vec<u8>)> {
    let mut log = Log { run: RUN.into(), ..Log::default() };
    let mut stream = Vec::new();
    let mut previous = [0; WRITERS as usize];
    for number in 0..RECORDS {
        let writer = u32::try_from(number % u64::from(WRITERS))?;
        let id = RecordId { writer, sequence: number / u64::from(WRITERS) + 1 };
        let link = &mut previous[usize::try_from(writer)?];
        let record = Record::new(RUN, id, &id.to_string(), LENGTH, *link)?;
        *link = record.link();
        for event in [Event::Intent((&record).into()), Event::Acknowledged(id)] {
            log.entries.push(Entry { at_us: number * 100, event });
        }
        stream.extend(record.encode().into_bytes());
        stream.push(b'\n');
    }
    Ok((log, stream))
}
