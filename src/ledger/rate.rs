//! How fast acknowledgements came, read from the log.

use std::ops::Range;

use super::entry::{Entry, Event};

/// Acknowledgements per second within `window` (microseconds since the start of the run; the end
/// is excluded). An empty window has rate 0.
#[must_use]
pub fn acks_per_second(entries: &[Entry], window: Range<u64>) -> f64 {
    if window.is_empty() {
        return 0.0;
    }
    let acks = acks(entries).filter(|at| window.contains(at)).count();
    acks as f64 * 1e6 / (window.end - window.start) as f64
}

/// The longest time without an acknowledgement, in microseconds, from the first one to the last
/// entry of the log, so that a stall that never ended counts too. 0 if nothing was acknowledged.
#[must_use]
pub fn longest_gap(entries: &[Entry]) -> u64 {
    let mut times: Vec<u64> = acks(entries).collect();
    if times.is_empty() {
        return 0;
    }
    times.extend(entries.iter().map(|entry| entry.at_us).max());
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

/// When each acknowledgement came, those behind a fence left out.
fn acks(entries: &[Entry]) -> impl Iterator<Item = u64> {
    let mut fenced = false;
    entries.iter().filter_map(move |entry| {
        match entry.event {
            Event::Fenced {} => fenced = true,
            Event::Restored {} => fenced = false,
            _ => {}
        }
        let counts = !fenced && matches!(entry.event, Event::Acknowledged(_));
        counts.then_some(entry.at_us)
    })
}

#[cfg(test)]
mod tests {
    use super::super::RecordId;
    use super::*;

    fn at(times: &[u64]) -> Vec<Entry> {
        let event = Event::Acknowledged(RecordId { writer: 0, sequence: 1 });
        times.iter().map(|at_us| Entry { at_us: *at_us, event: event.clone() }).collect()
    }

    #[test]
    fn rate_counts_only_the_window() {
        let entries = at(&[0, 500_000, 999_999, 1_000_000, 3_000_000]);
        assert!((acks_per_second(&entries, 0..1_000_000) - 3.0).abs() < 1e-9);
        assert!((acks_per_second(&entries, 1_000_000..3_000_000) - 0.5).abs() < 1e-9);
        assert!(acks_per_second(&entries, 5..5).abs() < 1e-9);
    }

    #[test]
    fn the_gap_reaches_to_the_end_of_the_log() {
        let mut entries = at(&[10, 30, 100]);
        assert_eq!(longest_gap(&entries), 70);
        entries.push(Entry { at_us: 500, event: Event::Fenced {} });
        assert_eq!(longest_gap(&entries), 400);
        assert_eq!(longest_gap(&[]), 0);
    }
}
