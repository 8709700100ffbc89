//! How much later an operation is done. Data only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How what is added at random lies between nothing and the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// Anywhere, all of it alike.
    #[default]
    Uniform,
    /// Around the middle: two of three lie within a sixth of the whole of it.
    Normal,
    /// A long tail: half of them get less than a hundredth, one in a hundred more than half.
    Pareto,
}

impl Distribution {
    /// The word in YAML.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Normal => "normal",
            Self::Pareto => "pareto",
        }
    }
}

/// How much later, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// By so many,
    pub us: u64,
    /// and up to so many more,
    #[serde(default)]
    pub jitter_us: u64,
    /// which lie so.
    #[serde(default)]
    pub distribution: Distribution,
    /// All of it grows evenly from nothing over so many from when the rule comes into force.
    #[serde(default)]
    pub ramp_us: u64,
}

impl Delay {
    /// The same for every operation.
    #[must_use]
    pub fn of(us: u64) -> Self {
        Self { us, ..Self::default() }
    }
}
