//! Probes: a trait, one table, one file each.
//!
//! A probe reads one thing of a subject and judges it against its tolerance. It changes nothing, or
//! says in `act` what it does. One more probe is one new file and one line in the table.

mod archive;
mod container;
mod engine;
mod events;
mod exec;
mod explore;
mod explored;
mod file;
mod filesystem;
mod growth;
mod health;
mod http;
mod image;
mod latency;
mod ledger;
mod log;
mod metric;
mod mount;
mod page_cache;
mod prometheus;
mod shared_log;
mod standing;
mod start_storm;
mod subject;
mod tcp;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tolerance;
mod tree;
mod unit;
mod wanted;
mod write;
mod write_amplification;

use std::{future::Future, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{
    helper::{HelperError, HelperLink},
    protocol::{Capability, LoadStats, Place, Reading},
    runtime::{Runtime, RuntimeError},
};
pub use explored::{Asked, judge};
pub use ledger::JUDGING;
pub use tolerance::{Bounds, Pattern};
pub use unit::Unit;
pub use wanted::Wanted;

/// Why a probe could not be read. That is not a failed hypothesis: the verdict is `error`.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The helper.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// The engine.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The probe itself cannot be used, although its check said nothing.
    #[error("{0}")]
    Unusable(String),
    /// The helper answered something else than what was asked.
    #[error("the helper answered out of turn: {0}")]
    Unexpected(String),
}

/// One reading, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// What was observed, in one line: `status 503, body {"state":"ERROR"}`.
    pub observed: String,
    /// The number to plot, where there is one.
    pub number: Option<f64>,
    /// What the number counts or measures, where that has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// Why it is outside the tolerance; none when it is within.
    pub violation: Option<String>,
    /// What is said to be outside only keeps it from proving anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vacuous: bool,
    /// It is older than what it is asked about, and says nothing of it: within this time there is a
    /// newer one. Never recorded.
    #[serde(skip)]
    pub outdated: Option<Duration>,
}

impl Sample {
    /// Within the tolerance.
    pub fn within(observed: impl Into<String>) -> Self {
        Self::judged(observed, None)
    }

    /// Outside the tolerance.
    pub fn outside(observed: impl Into<String>, violation: impl Into<String>) -> Self {
        Self::judged(observed, Some(violation.into()))
    }

    /// Judged by whether there is a violation.
    pub fn judged(observed: impl Into<String>, violation: Option<String>) -> Self {
        let observed = observed.into();
        Self { observed, number: None, unit: None, violation, vacuous: false, outdated: None }
    }

    /// Neither within nor outside: nothing was there that could have been.
    pub fn proves_nothing(observed: impl Into<String>, why: impl Into<String>) -> Self {
        Self { vacuous: true, ..Self::outside(observed, why) }
    }

    /// Neither within nor outside yet: within this time there is a reading that can be.
    pub fn outdated(observed: impl Into<String>, why: impl Into<String>, within: Duration) -> Self {
        Self { outdated: Some(within), ..Self::proves_nothing(observed, why) }
    }

    /// With the number to plot, in this unit.
    #[must_use]
    pub fn number(mut self, number: f64, unit: impl Into<Option<Unit>>) -> Self {
        self.number = Some(number);
        self.unit = unit.into();
        self
    }

    /// True when within the tolerance.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violation.is_none()
    }
}

/// What a probe may use. The runner implements it.
pub trait ProbeCx: Send + Sync {
    /// The engine.
    fn runtime(&self) -> &dyn Runtime;
    /// The run's id at the engine.
    fn run(&self) -> &str;
    /// The helper.
    fn helper(&self) -> &dyn HelperLink;
    /// The service's container as it is now, with this path; none when it was never created.
    fn place(&self, service: &str, path: &str) -> Option<Place>;
    /// Unix time in nanoseconds from which log lines count: the latest injection, or the start.
    fn logs_since(&self) -> i64;
    /// Unix time in nanoseconds at which a fault was last injected, or seen to be over; none before the
    /// first. What was found out earlier says nothing of it.
    fn changed_ns(&self) -> Option<i64>;
    /// The load's name at the helper.
    fn load(&self, workload: &str) -> String;
    /// How the load stood when this step began; rates are taken over what came since.
    fn baseline(&self, workload: &str) -> Option<LoadStats>;
}

/// A volume whose disk remembers what happens to it, for a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explores<'a> {
    /// The workload whose acknowledgements must have their place among the writes.
    pub workload: &'a str,
    /// The volume.
    pub volume: &'a str,
    /// The service that sees its states, and where it has the volume.
    pub seen_by: Option<(&'a str, &'a str)>,
    /// The service that is started on some of them.
    pub stands: Option<&'a str>,
    /// More than one state is to be looked at at a time.
    pub side_by_side: bool,
}

/// One probe.
pub trait Probe: Serialize + DeserializeOwned + JsonSchema + Clone + Send + Sync {
    /// What the host must offer.
    const NEEDS: &'static [Capability];
    /// An example that checks.
    const EXAMPLE: &'static str;

    /// What the host must offer, with these parameters.
    fn needs(&self) -> &'static [Capability] {
        Self::NEEDS
    }

    /// The service it reads; none where it reads a workload.
    fn service(&self) -> Option<&str>;

    /// The workload it reads.
    fn workload(&self) -> Option<&str> {
        None
    }

    /// The other service that it speaks of, and the key that names it.
    fn peer(&self) -> Option<(&'static str, &str)> {
        None
    }

    /// Whose past it looks at.
    fn explores(&self) -> Option<Explores<'_>> {
        None
    }

    /// It ends its workload: what happens later is not in what it reads, nor in what is read after it.
    fn stops_its_load(&self) -> bool {
        self.explores().is_some()
    }

    /// The service that it does something to, beside looking, and what; none where it only looks.
    fn act(&self) -> Option<(&str, String)> {
        None
    }

    /// In words, with the tolerance in place: `agent: GET /health answers 200`.
    fn describe(&self) -> String;

    /// What is wrong with its parameters; each one sentence, with a hint. Pure.
    fn check(&self) -> Vec<String> {
        Vec::new()
    }

    /// A reading that takes longer is missing.
    fn deadline(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Reads and judges once. A subject that is down is a violation, not an error.
    fn read(&self, cx: &dyn ProbeCx) -> impl Future<Output = Result<Sample, ProbeError>> + Send;
}

/// One row of the table.
#[derive(Clone, Copy)]
pub struct ProbeRow {
    /// The word in YAML.
    pub name: &'static str,
    /// What the host must offer.
    pub needs: &'static [Capability],
    /// An example.
    pub example: &'static str,
    /// Its parameters, and its doc comment as the description.
    pub schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

/// Expands the table to the enum that scenarios name, its dispatch and its rows.
macro_rules! probes {
    ($($name:literal => $module:ident::$type:ident,)+) => {
        /// Any probe, as a scenario writes it: `{ NAME: { …parameters } }`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub enum ProbeSpec {
            $(
                #[doc = concat!("The `", $name, "` probe.")]
                #[serde(rename = $name)]
                $type($module::$type),
            )+
        }

        /// Every probe, by name.
        pub const TABLE: &[ProbeRow] = &[
            $(ProbeRow {
                name: $name,
                needs: <$module::$type as Probe>::NEEDS,
                example: <$module::$type as Probe>::EXAMPLE,
                schema: <$module::$type as JsonSchema>::json_schema,
            },)+
        ];

        impl ProbeSpec {
            /// Reads the parameters of the probe with this name: what a map with modifiers beside
            /// the probe's key needs to keep exact error positions.
            ///
            /// # Errors
            /// When the name is unknown or the parameters do not fit.
            pub fn deserialize_named<'de, D: Deserializer<'de>>(
                name: &str,
                deserializer: D,
            ) -> Result<Self, D::Error> {
                const NAMES: &[&str] = &[$($name,)+];
                match name {
                    $($name => $module::$type::deserialize(deserializer).map(Self::$type),)+
                    other => Err(serde::de::Error::unknown_variant(other, NAMES)),
                }
            }

            /// The word in YAML.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$type(_) => $name,)+ }
            }

            /// What the host must offer.
            #[must_use]
            pub fn needs(&self) -> &'static [Capability] {
                match self { $(Self::$type(probe) => probe.needs(),)+ }
            }

            /// The service it reads.
            #[must_use]
            pub fn service(&self) -> Option<&str> {
                match self { $(Self::$type(probe) => probe.service(),)+ }
            }

            /// The other service that it speaks of, and the key that names it.
            #[must_use]
            pub fn peer(&self) -> Option<(&'static str, &str)> {
                match self { $(Self::$type(probe) => probe.peer(),)+ }
            }

            /// Whose past it looks at.
            #[must_use]
            pub fn explores(&self) -> Option<Explores<'_>> {
                match self { $(Self::$type(probe) => probe.explores(),)+ }
            }

            /// It ends its workload.
            #[must_use]
            pub fn stops_its_load(&self) -> bool {
                match self { $(Self::$type(probe) => probe.stops_its_load(),)+ }
            }

            /// The service that it does something to, beside looking, and what.
            #[must_use]
            pub fn act(&self) -> Option<(&str, String)> {
                match self { $(Self::$type(probe) => probe.act(),)+ }
            }

            /// The workload it reads.
            #[must_use]
            pub fn workload(&self) -> Option<&str> {
                match self { $(Self::$type(probe) => probe.workload(),)+ }
            }

            /// In words, with the tolerance in place.
            #[must_use]
            pub fn describe(&self) -> String {
                match self { $(Self::$type(probe) => probe.describe(),)+ }
            }

            /// What is wrong with its parameters. Pure.
            #[must_use]
            pub fn check(&self) -> Vec<String> {
                match self { $(Self::$type(probe) => probe.check(),)+ }
            }

            /// A reading that takes longer is missing.
            #[must_use]
            pub fn deadline(&self) -> Duration {
                match self { $(Self::$type(probe) => probe.deadline(),)+ }
            }

            /// Reads and judges once.
            ///
            /// # Errors
            /// When it could not be read.
            pub async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
                match self { $(Self::$type(probe) => probe.read(cx).await,)+ }
            }
        }
    };
}

probes! {
    "archive" => archive::Archive,
    "container" => container::Container,
    "engine" => engine::Engine,
    "events" => events::Events,
    "exec" => exec::Exec,
    "explore" => explore::Explore,
    "file" => file::File,
    "filesystem" => filesystem::Filesystem,
    "growth" => growth::Growth,
    "http" => http::Http,
    "image" => image::Image,
    "latency" => latency::Latency,
    "ledger" => ledger::Ledger,
    "log" => log::Log,
    "metric" => metric::Metric,
    "mount" => mount::Mount,
    "page-cache" => page_cache::PageCache,
    "shared-log" => shared_log::Shared,
    "start-storm" => start_storm::StartStorm,
    "tcp" => tcp::Tcp,
    "tree" => tree::Tree,
    "write" => write::Write,
    "write-amplification" => write_amplification::WriteAmplification,
}

/// The helper's answer was of another form than the question asks for.
pub(crate) fn unexpected(reading: &Reading) -> ProbeError {
    ProbeError::Unexpected(format!("{reading:?}"))
}
