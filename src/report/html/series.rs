//! What lanes are drawn from: readings in a row that say the same, and numbers over time.

use crate::{
    protocol::LoadStats,
    report::text::one_line,
    run::{CaseRecord, SamplePoint},
};

/// Points of a line.
const POINTS: usize = 200;

/// What readings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Holds,
    Violated,
    Unread,
}

impl Says {
    fn of(sample: &SamplePoint) -> Self {
        match &sample.result {
            Ok(reading) if reading.holds() => Self::Holds,
            Ok(_) => Self::Violated,
            Err(_) => Self::Unread,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Violated => "violated",
            Self::Unread => "unreadable",
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Holds => "ok",
            Self::Violated => "bad",
            Self::Unread => "unread",
        }
    }
}

/// Readings in a row that say the same.
#[derive(Debug, PartialEq)]
pub(super) struct Run {
    pub(super) says: Says,
    pub(super) from_us: u64,
    pub(super) until_us: u64,
    pub(super) readings: usize,
    /// What was observed last.
    pub(super) observed: String,
}

/// The readings for one assertion by one probe.
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) runs: Vec<Run>,
    /// Numbers that were read, where there are any.
    pub(super) numbers: Vec<(u64, f64)>,
}

/// A lane for each probe of each assertion, in order of the first reading; with at most so many
/// runs in all of them, because a probe may flap.
pub(super) fn lanes(case: &CaseRecord, most: usize) -> Vec<Lane> {
    let mut keys: Vec<(&str, &str)> = Vec::new();
    let mut index = std::collections::HashMap::new();
    let mut grouped: Vec<Vec<&SamplePoint>> = Vec::new();
    for sample in &case.samples {
        let key = (sample.assertion.as_str(), sample.probe.as_str());
        let at = *index.entry(key).or_insert_with(|| {
            keys.push(key);
            grouped.push(Vec::new());
            grouped.len() - 1
        });
        grouped[at].push(sample);
    }
    let each = (most / keys.len().max(1)).max(4);
    let lane = |((assertion, probe), samples): ((&str, &str), Vec<&SamplePoint>)| Lane {
        name: one_line(&format!("{assertion}: {probe}"), 300),
        runs: runs(&samples, each),
        numbers: numbers(&samples),
    };
    keys.into_iter().zip(grouped).map(lane).collect()
}

/// The last of too many runs goes on to the end, and counts what it hides.
fn runs(samples: &[&SamplePoint], most: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for sample in samples {
        let says = Says::of(sample);
        let full = runs.len() >= most;
        let observed = observed(sample);
        match runs.last_mut() {
            Some(run) if run.says == says || full => {
                run.until_us = sample.at_us;
                run.readings += 1;
                run.observed = observed;
            }
            _ => {
                let (from_us, until_us) = (sample.at_us, sample.at_us);
                runs.push(Run { says, from_us, until_us, readings: 1, observed });
            }
        }
    }
    runs
}

fn observed(sample: &SamplePoint) -> String {
    match &sample.result {
        Ok(reading) => one_line(&reading.observed, 160),
        Err(reason) => one_line(reason, 160),
    }
}

fn numbers(samples: &[&SamplePoint]) -> Vec<(u64, f64)> {
    let read = samples.iter().filter_map(|sample| {
        let number = sample.result.as_ref().ok()?.number?;
        number.is_finite().then_some((sample.at_us, number))
    });
    let read: Vec<_> = read.collect();
    thinned(&read)
}

/// What a workload did over time.
pub(super) struct Load {
    pub(super) name: String,
    /// Acknowledged records per second.
    pub(super) rates: Vec<(u64, f64)>,
    /// Median of the time to the acknowledgement, in milliseconds.
    pub(super) p50: Vec<(u64, f64)>,
    /// 99th percentile of it.
    pub(super) p99: Vec<(u64, f64)>,
}

/// Every workload, in order of the first reading.
pub(super) fn loads(case: &CaseRecord) -> Vec<Load> {
    let mut names: Vec<&str> = Vec::new();
    for point in &case.loads {
        if !names.contains(&point.workload.as_str()) {
            names.push(&point.workload);
        }
    }
    let of = |name: &&str| {
        let points = || case.loads.iter().filter(|point| point.workload == **name);
        let rates = points().zip(points().skip(1)).filter_map(|(before, after)| {
            Some((after.at_us, after.stats.acked_per_second(Some(&before.stats))?))
        });
        let rates: Vec<_> = rates.collect();
        let latency = |of: fn(&LoadStats) -> u64| -> Vec<(u64, f64)> {
            thinned(&points().map(|at| (at.at_us, of(&at.stats) as f64 / 1e3)).collect::<Vec<_>>())
        };
        Load {
            name: one_line(name, 100),
            rates: thinned(&rates),
            p50: latency(|stats| stats.p50_us),
            p99: latency(|stats| stats.p99_us),
        }
    };
    names.iter().map(of).collect()
}

/// Of each stretch of time the greatest: a peak must not vanish.
fn thinned(points: &[(u64, f64)]) -> Vec<(u64, f64)> {
    let stretch = points.len().div_ceil(POINTS).max(1);
    let greatest = |part: &[(u64, f64)]| part.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    points.chunks(stretch).filter_map(greatest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_survives_thinning() {
        let mut points: Vec<(u64, f64)> = (0..10_000).map(|at| (at, 1.0)).collect();
        points[7_777].1 = 50.0;
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS);
        assert!(thin.contains(&(7_777, 50.0)));
        assert_eq!(thinned(&[(1, 2.0)]), [(1, 2.0)]);
    }
}
