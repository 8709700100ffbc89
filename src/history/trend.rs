//! Figures over many runs: percentiles, and whether they move. Pure.

use serde::Serialize;

use crate::run::percentile;

/// The least groups that say anything of a movement.
const LEAST: usize = 2;

/// Two percentiles, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Half of all took no longer.
    pub p50_us: u64,
    /// 95 of 100 took no longer.
    pub p95_us: u64,
}

/// The median of the last values against that of as many before them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Trend {
    /// How many values each side has.
    pub of: usize,
    /// Median of those before, in microseconds.
    pub before_us: u64,
    /// Median of the last, in microseconds.
    pub now_us: u64,
    /// Change in percent; above zero is slower.
    pub percent: f64,
}

pub(super) fn percentiles(values: &[u64]) -> Option<Percentiles> {
    Some(Percentiles { p50_us: percentile(values, 50)?, p95_us: percentile(values, 95)? })
}

/// Of values in the order of time, the last `of` against the `of` before; fewer where there are not
/// so many, and none where too few are left.
pub(super) fn trend(values: &[u64], of: usize) -> Option<Trend> {
    let of = of.min(values.len() / 2);
    if of < LEAST {
        return None;
    }
    let (before, now) = values[values.len() - 2 * of..].split_at(of);
    let (before_us, now_us) = (percentile(before, 50)?, percentile(now, 50)?);
    Some(Trend { of, before_us, now_us, percent: change(before_us, now_us) })
}

/// In percent of the first.
pub(super) fn change(before: u64, now: u64) -> f64 {
    let percent = (now as f64 - before as f64) / before.max(1) as f64 * 100.0;
    (percent * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_set_against_as_many_before() {
        let values = [900, 100, 100, 110, 100, 200, 210, 200];
        let found = trend(&values, 3).unwrap();
        assert_eq!((found.of, found.before_us, found.now_us), (3, 100, 200));
        assert!((found.percent - 100.0).abs() < 1e-9);
        assert_eq!(trend(&values, 100).map(|it| it.of), Some(4), "half of what there is");
        assert_eq!(trend(&values[..3], 5), None, "one against one says nothing");
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values: Vec<u64> = (1..=20).collect();
        assert_eq!(percentiles(&values), Some(Percentiles { p50_us: 10, p95_us: 19 }));
        assert_eq!(percentiles(&[]), None);
        assert_eq!(change(0, 5), 500.0);
    }
}
