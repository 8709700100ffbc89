//! What lanes are drawn from: readings in a row that say the same, and numbers over time.

use crate::{
    probes::Unit,
    protocol::LoadStats,
    report::text::one_line,
    run::{CaseRecord, SamplePoint, percentile},
};

/// Points of a line.
const POINTS: usize = 200;
/// So many times what is usual between two readings, and this long, and nobody looked between them.
const GAP: (u64, u64) = (4, 500_000);

/// What readings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Holds,
    Violated,
    Unread,
    /// This and that: there were more changes than there is room for.
    Mixed,
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
            Self::Mixed => "not told apart",
        }
    }

    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Holds => "ok",
            Self::Violated => "bad",
            Self::Unread => "unread",
            Self::Mixed => "mixed",
        }
    }
}

/// Readings in a row that say the same; or the last of a lane that had no room for more.
#[derive(Debug, PartialEq)]
pub(super) struct Run {
    pub(super) says: Says,
    pub(super) from_us: u64,
    pub(super) until_us: u64,
    pub(super) readings: usize,
    /// Those of them that were violated.
    violated: usize,
    /// Changes and gaps within it that are not drawn.
    hides: usize,
    /// The least and the greatest number that was read, where numbers were.
    pub(super) numbers: Option<(f64, f64)>,
    /// What was observed last.
    pub(super) observed: String,
}

impl Run {
    fn of(sample: &SamplePoint) -> Self {
        let (from_us, until_us) = (sample.at_us, sample.at_us);
        let numbers = number(sample).map(|number| (number, number));
        let (says, observed) = (Says::of(sample), observed(sample));
        let violated = usize::from(says == Says::Violated);
        Self { says, from_us, until_us, readings: 1, violated, hides: 0, numbers, observed }
    }

    fn add(&mut self, sample: &SamplePoint) {
        self.until_us = sample.at_us;
        self.readings += 1;
        self.violated += usize::from(Says::of(sample) == Says::Violated);
        self.observed = observed(sample);
        if let Some(number) = number(sample) {
            let (least, most) = self.numbers.unwrap_or((number, number));
            self.numbers = Some((least.min(number), most.max(number)));
        }
    }

    /// Takes in what says something else, or comes after a gap.
    fn hide(&mut self, sample: &SamplePoint) {
        self.says = Says::Mixed;
        self.hides += 1;
        self.add(sample);
    }

    /// What its readings say, and what is hidden among them.
    pub(super) fn said(&self) -> String {
        let word = self.says.word();
        match self.hides {
            0 => word.to_owned(),
            hides => format!("{word} (changes and gaps: {hides}, violated: {})", self.violated),
        }
    }
}

/// The readings for one assertion by one probe.
pub(super) struct Lane {
    /// The assertion's id.
    pub(super) id: String,
    /// The probe in words.
    pub(super) probe: String,
    pub(super) runs: Vec<Run>,
    /// Numbers that were read, where there are any.
    pub(super) numbers: Vec<(u64, f64)>,
    /// What they count or measure, where that was recorded.
    pub(super) unit: Option<Unit>,
}

impl Lane {
    /// The least and the greatest number, where they differ: a flat line says no more than its strokes.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let numbers = || self.numbers.iter().map(|(_, number)| *number);
        let range = (numbers().reduce(f64::min)?, numbers().reduce(f64::max)?);
        (range.0 < range.1).then_some(range)
    }
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
        id: one_line(assertion, 100),
        probe: one_line(probe, 300),
        runs: runs(&samples, each),
        numbers: numbers(&samples),
        unit: samples.iter().rev().find_map(|sample| sample.result.as_ref().ok()?.unit),
    };
    keys.into_iter().zip(grouped).map(lane).collect()
}

/// How long two readings may lie apart and say something of the time between them: what was not looked
/// at is drawn as nothing. Microseconds.
pub(super) fn gap_us(at_us: impl Iterator<Item = u64>) -> u64 {
    let all: Vec<u64> = at_us.collect();
    let apart: Vec<u64> = all.windows(2).map(|two| two[1].saturating_sub(two[0])).collect();
    let usual = percentile(&apart, 50).unwrap_or(0);
    usual.saturating_mul(GAP.0).max(GAP.1)
}

/// The last of too many runs goes on to the end, says so, and counts what it hides.
fn runs(samples: &[&SamplePoint], most: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let gap_us = gap_us(samples.iter().map(|sample| sample.at_us));
    let goes_on = |one: &SamplePoint, next: &SamplePoint| {
        Says::of(one) == Says::of(next) && next.at_us.saturating_sub(one.at_us) <= gap_us
    };
    for alike in samples.chunk_by(|one, next| goes_on(one, next)) {
        let full = runs.len() >= most;
        let (first, more) = (alike[0], &alike[1..]);
        match runs.last_mut() {
            Some(run) if full => run.hide(first),
            _ => runs.push(Run::of(first)),
        }
        if let Some(run) = runs.last_mut() {
            more.iter().for_each(|sample| run.add(sample));
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
    let read = samples.iter().filter_map(|sample| Some((sample.at_us, number(sample)?)));
    let read: Vec<_> = read.collect();
    thinned(&read)
}

fn number(sample: &SamplePoint) -> Option<f64> {
    sample.result.as_ref().ok()?.number.filter(|number| number.is_finite())
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
    fn a_gap_is_what_is_far_from_usual() {
        assert_eq!(gap_us([0, 1, 2, 3].map(|at| at * 300_000).into_iter()), 1_200_000);
        assert_eq!(gap_us([0, 1, 2, 900].map(|at| at * 1000).into_iter()), 500_000);
        assert_eq!(gap_us([7].into_iter()), 500_000);
    }

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
