//! The checker against planted faults with known counts, and against a naive model.

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::*;

const RUN: &str = "model";

/// `writers` × `each` records with intents and acknowledgements, one every 100 µs.
fn sound(writers: u32, each: u64) -> (Log, Vec<Record>) {
    let mut log = Log { run: RUN.into(), ..Log::default() };
    let mut records = Vec::new();
    let mut previous = vec![0; writers as usize];
    let mut at_us = 0;
    for sequence in 1..=each {
        for writer in 0..writers {
            let id = RecordId { writer, sequence };
            let link = &mut previous[writer as usize];
            let record = Record::new(RUN, id, &id.to_string(), 16, *link).unwrap();
            *link = record.link();
            for event in [Event::Intent((&record).into()), Event::Acknowledged(id)] {
                at_us += 100;
                log.entries.push(Entry { at_us, event });
            }
            records.push(record);
        }
    }
    (log, records)
}

fn stream(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.join(&b'\n')
}

fn judge(log: &Log, lines: &[Vec<u8>]) -> LedgerReport {
    check(log, ReadBack::stream(&stream(lines)), Promise::Ordered)
}

fn lines(records: &[Record]) -> Vec<Vec<u8>> {
    records.iter().map(|record| record.encode().into_bytes()).collect()
}

/// Replaces one byte by another letter, never by a newline or the mark.
fn flip(line: &mut [u8], at: usize) {
    line[at] = if line[at] == b'q' { b'z' } else { b'q' };
}

#[test]
fn nothing_planted_nothing_found() {
    let (log, records) = sound(3, 50);
    let report = judge(&log, &lines(&records));
    let expected = LedgerReport {
        attempted: 150,
        acknowledged: 150,
        present: 150,
        max_gap_us: 200,
        ..Default::default()
    };
    assert_eq!(report, expected);
    assert!(report.is_sound());
}

#[test]
fn one_to_a_thousand_of_each_at_once_are_counted_exactly() {
    for planted in [1, 2, 10, 100, 1000] {
        let (log, records) = sound(4, 2500);
        let mut all = lines(&records);
        // Five disjoint groups of records, each `planted` long: record i of a block of ten.
        let mut out: Vec<Vec<u8>> = Vec::new();
        for (block, ten) in all.chunks_mut(10).enumerate() {
            if block < planted {
                flip(&mut ten[1], 9 + block % 100);
                let cut = 10 + block % 100;
                ten[2].truncate(cut);
                ten.swap(4, 8); // the same writer: four writers take turns
                let copy = ten[5].clone();
                out.extend(ten[1..].iter().cloned());
                out.push(copy);
                let id = RecordId { writer: 9, sequence: block as u64 };
                let phantom = Record::new(RUN, id, "never", 4, 0).unwrap();
                out.push(phantom.encode().into_bytes());
            } else {
                out.extend(ten.iter().cloned());
            }
        }
        let n = planted as u64;
        let report = judge(&log, &out);
        assert_eq!(report.attempted, 10_000);
        assert_eq!(report.acknowledged, 10_000);
        assert_eq!(report.corrupt, n);
        assert_eq!(report.torn, n);
        assert_eq!(report.duplicated, n);
        assert_eq!(report.phantom, n);
        assert_eq!(report.reordered, n);
        assert_eq!(report.present, 10_000 - 3 * n);
        assert_eq!(report.unreadable(), 3 * n, "absent, corrupt and torn ones");
        assert_eq!(report.first_lost.unwrap().id, RecordId { writer: 0, sequence: 1 });
        let window = report.last_lost.unwrap().at_us - report.first_lost.unwrap().at_us;
        assert!(window >= (n - 1) * 2000, "ten records of 200 µs a block");
    }
}

#[test]
fn outcomes_other_than_acknowledged_promise_nothing() {
    let (mut log, records) = sound(1, 6);
    let ids: Vec<_> = records.iter().map(|record| record.id).collect();
    let reason = || "507".to_owned();
    log.entries.retain(|entry| match entry.event {
        Event::Acknowledged(id) => id.sequence > 4,
        _ => true,
    });
    let more = [
        Event::Failed { id: ids[0], reason: reason() },
        Event::Failed { id: ids[1], reason: reason() },
        Event::Indeterminate { id: ids[2], reason: reason() },
        Event::Acknowledged(RecordId { writer: 8, sequence: 8 }),
    ];
    log.entries.extend(more.into_iter().map(|event| Entry { at_us: 9000, event }));
    // Present: 1 (refused), 3 (unclear), 4 (no outcome at all), 5 and 6 (acknowledged).
    let kept: Vec<_> = [0, 2, 3, 4, 5].iter().map(|at| records[*at].clone()).collect();
    let report = judge(&log, &lines(&kept));
    assert_eq!((report.acknowledged, report.failed, report.indeterminate), (2, 2, 2));
    assert_eq!((report.resurrected, report.indeterminate_present), (1, 2));
    assert_eq!((report.lost, report.phantom, report.holes), (0, 0, 0));
    assert_eq!(report.stray_outcomes, 1);
    assert!(report.is_sound());
}

#[test]
fn a_record_that_was_given_up_on_may_be_taken_after_the_next() {
    let (mut log, mut records) = sound(1, 6);
    let late = records[2].id;
    log.entries.retain(|entry| entry.event != Event::Acknowledged(late));
    let reason = "no answer in 5 s".to_owned();
    log.entries.push(Entry { at_us: 9000, event: Event::Indeterminate { id: late, reason } });
    records.swap(2, 3);
    let report = judge(&log, &lines(&records));
    assert_eq!((report.indeterminate_present, report.reordered), (1, 0));
    records.swap(4, 5);
    assert_eq!(judge(&log, &lines(&records)).reordered, 1, "these two were promised in order");
}

#[test]
fn acknowledgements_after_the_fence_are_void() {
    let (mut log, records) = sound(1, 4);
    log.entries.insert(4, Entry { at_us: 450, event: Event::Fenced {} });
    let report = judge(&log, &lines(&records[..1]));
    assert_eq!((report.acknowledged, report.indeterminate, report.lost), (2, 2, 1));
}

#[test]
fn acknowledgements_count_again_for_what_was_asked_for_after_the_fence() {
    // one intent, one acknowledgement at a time
    let (mut log, records) = sound(1, 4);
    log.entries.insert(3, Entry { at_us: 350, event: Event::Fenced {} });
    log.entries.insert(4, Entry { at_us: 360, event: Event::Restored {} });
    let report = judge(&log, &lines(&records[..1]));
    assert_eq!((report.acknowledged, report.indeterminate, report.lost), (3, 1, 2));
}

#[test]
fn a_read_by_key_catches_misdirection() {
    let (log, records) = sound(1, 3);
    let lines = lines(&records);
    let answers = [("w0-1", &lines[0]), ("w0-2", &lines[2]), ("w0-3", &lines[2])];
    let found = answers.map(|(key, line)| ReadBack::value(key, line));
    let report = check(&log, found, Promise::Unordered);
    assert_eq!((report.corrupt, report.damaged, report.lost), (1, 1, 0));
    assert_eq!((report.present, report.duplicated), (2, 0));
}

#[test]
fn a_right_record_with_other_content_than_intended_is_corrupt() {
    let (log, records) = sound(1, 2);
    let other = Record::new(RUN, records[1].id, "w0-2", 17, records[1].previous).unwrap();
    let report = judge(&log, &lines(&[records[0].clone(), other]));
    assert_eq!((report.corrupt, report.damaged, report.lost, report.phantom), (1, 1, 0, 0));
}

#[test]
fn records_of_another_run_are_set_apart() {
    let (log, mut records) = sound(1, 2);
    records.push(Record::new("earlier", records[0].id, "w0-1", 16, 0).unwrap());
    let report = judge(&log, &lines(&records));
    assert_eq!((report.foreign, report.phantom, report.duplicated), (1, 0, 0));
    assert!(report.is_sound());
}

#[test]
fn a_lost_tail_is_no_hole_and_a_lost_middle_is_one() {
    let (log, records) = sound(1, 10);
    let tail = judge(&log, &lines(&records[..7]));
    assert_eq!((tail.lost, tail.holes), (3, 0));
    let middle = [&records[..2], &records[4..6], &records[7..9]].concat();
    let report = judge(&log, &lines(&middle));
    assert_eq!((report.lost, report.holes), (4, 2));
    let unordered = stream(&lines(&middle));
    let report = check(&log, ReadBack::stream(&unordered), Promise::Unordered);
    assert_eq!((report.lost, report.holes), (4, 0));
}

#[test]
fn a_torn_record_glued_to_the_next_costs_only_itself() {
    let (log, records) = sound(1, 3);
    let mut lines = lines(&records);
    lines[1].truncate(75);
    let bytes = [&lines[0][..], b"\n", &lines[1], &lines[2], b"\n"].concat();
    let report = check(&log, ReadBack::stream(&bytes), Promise::Ordered);
    assert_eq!((report.torn, report.damaged, report.lost, report.present), (1, 1, 0, 2));
}

#[test]
fn one_damaged_byte_is_laid_at_the_right_record_wherever_it_falls() {
    let (log, records) = sound(2, 20);
    let good = lines(&records);
    for at in 0..good[17].len() {
        for letter in [b'0', b'1', b'9', b'q'] {
            if good[17][at] == letter {
                continue;
            }
            let mut lines = good.clone();
            lines[17][at] = letter;
            let report = judge(&log, &lines);
            assert_eq!((report.corrupt + report.torn, report.phantom), (1, 0), "byte {at}");
            assert_eq!((report.damaged, report.lost), (1, 0), "byte {at} to {}", letter as char);
        }
    }
}

/// What is done to one line before it is read back.
#[derive(Debug, Clone, Copy)]
enum Plant {
    Keep,
    Drop,
    Damage(usize),
    Cut(usize),
    Copy,
}

fn plant() -> impl Strategy<Value = Plant> {
    prop_oneof![
        4 => Just(Plant::Keep),
        1 => Just(Plant::Drop),
        1 => (6_usize..80).prop_map(Plant::Damage),
        1 => (1_usize..80).prop_map(Plant::Cut),
        1 => Just(Plant::Copy),
    ]
}

/// Length of the longest rising subsequence, the slow way.
fn longest_rising(items: &[u64]) -> usize {
    let mut best = vec![1; items.len()];
    for at in 0..items.len() {
        let longest = (0..at).filter(|i| items[*i] < items[at]).map(|i| best[i]).max();
        best[at] = 1 + longest.unwrap_or(0);
    }
    best.into_iter().max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any mix of damage, in any order, is counted as the naive model counts it.
    #[test]
    fn agrees_with_a_naive_model(
        plants in prop::collection::vec(plant(), 1..120),
        moves in prop::collection::vec((any::<Index>(), any::<Index>()), 0..20),
        unclear in subsequence((0_usize..120).collect::<Vec<_>>(), 0..30),
    ) {
        let (mut log, records) = sound(1, plants.len() as u64);
        log.entries.retain(|entry| !matches!(entry.event,
            Event::Acknowledged(id) if unclear.iter().any(|at| *at as u64 + 1 == id.sequence)));
        let (mut lost, mut damaged, mut corrupt, mut torn, mut copies) = (0, 0, 0, 0, 0);
        let mut out: Vec<(Option<u64>, Vec<u8>)> = Vec::new();
        for (at, (plant, record)) in plants.iter().zip(&records).enumerate() {
            let acked = u64::from(!unclear.contains(&at));
            let mut line = record.encode().into_bytes();
            let intact = Some(record.id.sequence);
            match *plant {
                Plant::Keep => out.push((intact, line)),
                Plant::Drop => lost += acked,
                Plant::Copy => {
                    copies += 1;
                    out.extend([(intact, line.clone()), (intact, line)]);
                }
                Plant::Damage(at) => {
                    corrupt += 1;
                    flip(&mut line, at);
                    damaged += acked;
                    out.push((None, line));
                }
                Plant::Cut(at) => {
                    torn += 1;
                    let named = names_its_record(&line, at);
                    line.truncate(at);
                    damaged += if named { acked } else { 0 };
                    lost += if named { 0 } else { acked };
                    out.push((None, line));
                }
            }
        }
        if !out.is_empty() {
            for (from, to) in moves {
                let item = out.remove(from.index(out.len()));
                out.insert(to.index(out.len() + 1), item);
            }
        }
        let mut firsts: Vec<u64> = Vec::new();
        for sequence in out.iter().filter_map(|(sequence, _)| *sequence) {
            if !firsts.contains(&sequence) {
                firsts.push(sequence);
            }
        }
        let lines: Vec<Vec<u8>> = out.into_iter().map(|(_, line)| line).collect();
        let report = judge(&log, &lines);
        prop_assert_eq!(report.present, firsts.len() as u64);
        prop_assert_eq!((report.corrupt, report.torn, report.duplicated), (corrupt, torn, copies));
        prop_assert_eq!((report.lost, report.damaged), (lost, damaged));
        let acked = |sequence: &u64| !unclear.iter().any(|at| *at as u64 + 1 == *sequence);
        let promised: Vec<u64> = firsts.into_iter().filter(acked).collect();
        prop_assert_eq!(report.reordered, (promised.len() - longest_rising(&promised)) as u64);
        prop_assert_eq!(report.phantom, 0);
    }

    /// No bytes whatever make the checker panic or invent a record.
    #[test]
    fn noise_is_never_a_record(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let (log, _) = sound(1, 3);
        let report = check(&log, ReadBack::stream(&bytes), Promise::Ordered);
        prop_assert_eq!((report.present, report.phantom, report.lost), (0, 0, 3));
    }
}

/// Whether a line cut at `at` still names its record: all of the sequence and the blank after it.
fn names_its_record(line: &[u8], at: usize) -> bool {
    line.windows(5).position(|window| window == b" key=").is_some_and(|blank| blank < at)
}

#[test]
fn a_hundred_thousand_records_are_checked_in_linear_time() {
    let (log, records) = sound(8, 12_500);
    let report = judge(&log, &lines(&records));
    assert_eq!(report.present, 100_000);
    assert!(report.is_sound());
}
