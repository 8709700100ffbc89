//! Counts by logarithm, to a sixteenth: memory does not grow with the number of values, and what
//! came between two looks is the later one minus the earlier.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Buckets for each power of two.
const FINE: u64 = 16;

/// How often each value was seen. On the wire: bucket → count, of those that are not empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(BTreeMap<u64, u64>);

impl Histogram {
    /// Counts a value.
    pub fn add(&mut self, value: u64) {
        *self.0.entry(bucket(value)).or_default() += 1;
    }

    /// Nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// What was counted since an earlier look at the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bucket| earlier.0.get(bucket).copied().unwrap_or_default();
        let left =
            self.0.iter().map(|(bucket, count)| (*bucket, count.saturating_sub(before(bucket))));
        Self(left.filter(|(_, count)| *count > 0).collect())
    }

    /// The value below which so many percent are, rounded down to its bucket; 0 when there are none.
    #[must_use]
    pub fn at(&self, percent: u64) -> u64 {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.0 {
            seen += count;
            if seen >= rank {
                return lowest(*bucket);
            }
        }
        0
    }
}

fn bucket(value: u64) -> u64 {
    if value < FINE {
        return value;
    }
    let power = u64::from(value.ilog2());
    let part = (value >> (power - 4)) & (FINE - 1);
    (power - 3) * FINE + part
}

/// The lowest value of a bucket.
fn lowest(bucket: u64) -> u64 {
    if bucket < FINE {
        return bucket;
    }
    let (power, part) = (bucket / FINE + 3, bucket % FINE);
    (FINE + part).checked_shl(u32::try_from(power - 4).unwrap_or(u32::MAX)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_sixteenth() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.at(50), histogram.is_empty()), (0, true));
        (1..=10_000).for_each(|value| histogram.add(value));
        for (percent, exact) in [(1, 100), (50, 5000), (99, 9900), (100, 10_000)] {
            let found = histogram.at(percent);
            assert!(found <= exact && found * 17 >= exact * 16, "p{percent}: {found}");
        }
        histogram.add(u64::MAX);
        assert!(histogram.at(100) >= u64::MAX / 17 * 16);
    }

    #[test]
    fn a_window_is_the_end_without_the_start() {
        let mut histogram = Histogram::default();
        (0..100).for_each(|_| histogram.add(9_000));
        let start = histogram.clone();
        (0..10).for_each(|_| histogram.add(5));
        let window = histogram.since(&start);
        assert_eq!((window.count(), window.at(99)), (10, 5));
        assert!(start.since(&start).is_empty());
        let text = serde_json::to_string(&window).unwrap();
        assert_eq!(text, r#"{"5":10}"#);
        assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), window);
    }
}
