//! Samples of one quantity, and what is read from them.

/// Values of one quantity in one unit.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// By nearest rank: always a value that was measured. 0 without samples.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let mut rank = 0;
        for (at, _) in sorted.iter().enumerate() {
            let below = count(at) * 100.0 / count(sorted.len());
            if below < percent {
                rank = at;
            }
        }
        sorted.get(rank).copied().unwrap_or(0.0)
    }
}

/// A number of things as a factor.
pub(crate) fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
