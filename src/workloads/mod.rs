//! Workloads: load with a record of what was promised. One table, one file each.

mod ledger;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    protocol::{LoadSpec, Place},
    units::Duration,
};
pub use ledger::{Ledger, LedgerVia};

/// Any workload, as a scenario writes it: `{ KIND: { …parameters } }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadSpec {
    /// Checksummed records, with every intent and acknowledgement kept outside the faulted volume.
    #[serde(rename = "ledger")]
    Ledger(Ledger),
}

/// Names and doc sources of every workload.
pub const TABLE: &[WorkloadRow] = &[WorkloadRow {
    name: "ledger",
    example: "ledger: { via: { http: { service: agent } }, rate: 100/s }",
    schema: <Ledger as JsonSchema>::json_schema,
}];

/// One row of the table.
#[derive(Clone, Copy)]
pub struct WorkloadRow {
    /// The word in YAML.
    pub name: &'static str,
    /// An example.
    pub example: &'static str,
    /// Its parameters, and its doc comment as the description.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

impl WorkloadSpec {
    /// The word in YAML.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "ledger",
        }
    }

    /// The service it loads.
    #[must_use]
    pub fn service(&self) -> &str {
        match self {
            Self::Ledger(ledger) => ledger.service(),
        }
    }

    /// What is wrong with its parameters; each one sentence, with a hint. Pure.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        match self {
            Self::Ledger(ledger) => ledger.check(),
        }
    }

    /// What the worker is to do.
    #[must_use]
    pub fn load(&self, run: &str, place: Place, seed: u64) -> LoadSpec {
        match self {
            Self::Ledger(ledger) => ledger.load(run, place, seed),
        }
    }

    /// Operations per second it is to reach, over all writers.
    #[must_use]
    pub fn rate(&self) -> f64 {
        match self {
            Self::Ledger(ledger) => ledger.rate(),
        }
    }

    /// Longest time until an operation is indeterminate.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        match self {
            Self::Ledger(ledger) => ledger.timeout(),
        }
    }
}
