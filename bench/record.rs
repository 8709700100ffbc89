//! One measurement, and its file. The format carries a version; a change of shape raises it.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{host::HostFacts, samples::Samples};

const VERSION: u32 = 1;

/// Where results go, in the repository.
pub(crate) fn directory() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "reports", "bench"].iter().collect()
}

/// One of two things that were measured in turns.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Side {
    /// What it is, in words.
    pub(crate) what: String,
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

impl Side {
    pub(crate) fn of(what: impl Into<String>, samples: &Samples) -> Self {
        Self {
            what: what.into(),
            median: round(samples.median()),
            p99: round(samples.percentile(99.0)),
        }
    }

    /// Something that is allowed, not measured.
    pub(crate) fn fixed(what: impl Into<String>, value: f64) -> Self {
        Self { what: what.into(), median: value, p99: value }
    }
}

/// One line of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Measurement {
    version: u32,
    pub(crate) name: String,
    /// Median of the subject over that of the baseline.
    pub(crate) ratio: f64,
    /// Of both sides and of the parts.
    pub(crate) unit: String,
    pub(crate) baseline: Side,
    pub(crate) subject: Side,
    /// Samples of the side that has fewer.
    pub(crate) n: usize,
    /// What we want it to be, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) goal: Option<String>,
    /// Medians of what the subject is made of.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) parts: BTreeMap<String, f64>,
    #[serde(default)]
    pub(crate) host: HostFacts,
}

impl Measurement {
    pub(crate) fn new(name: &str, unit: &str, baseline: Side, subject: Side, n: usize) -> Self {
        let ratio = round(subject.median / baseline.median);
        Self {
            version: VERSION,
            name: name.to_owned(),
            ratio,
            unit: unit.to_owned(),
            baseline,
            subject,
            n,
            goal: None,
            parts: BTreeMap::new(),
            host: HostFacts::default(),
        }
    }

    pub(crate) fn goal(mut self, goal: &str) -> Self {
        self.goal = Some(goal.to_owned());
        self
    }

    pub(crate) fn parts(mut self, parts: &BTreeMap<String, Samples>) -> Self {
        self.parts =
            parts.iter().map(|(name, samples)| (name.clone(), round(samples.median()))).collect();
        self
    }

    /// For the one who watches.
    pub(crate) fn line(&self) -> String {
        let Self { name, ratio, unit, baseline, subject, .. } = self;
        format!(
            "{name}: {} {unit} (p99 {}) against {} {unit}, ratio {ratio}",
            subject.median, subject.p99, baseline.median
        )
    }

    pub(crate) fn write(&self, host: &HostFacts) -> io::Result<()> {
        fs::create_dir_all(directory())?;
        let whole = Self { host: host.clone(), ..self.clone() };
        let text = serde_json::to_string_pretty(&whole)?;
        fs::write(directory().join(format!("{}.json", self.name)), text + "\n")
    }
}

/// Three figures are all that such a measurement has.
pub(crate) fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let scale = 10_f64.powf(2.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}
