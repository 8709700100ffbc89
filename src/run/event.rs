//! The one stream of events of a run: what `events.jsonl` holds, a line each.
//!
//! Whatever a report shows must be here: reports are rendered again from this file alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    faults::{Kind, Scope},
    ledger::LedgerReport,
    probes::Sample,
    protocol::{AllStruck, ExploreProgress, ExploreReport, LoadStats, RollbackReport, Struck},
    runtime::EngineFacts,
    scenario::Hypothesis,
    verdict::{Ending, FailOn, Verdict},
};

use super::{
    earlier::{Commit, Earlier},
    io_traces::IoTrace,
};

/// Version of the event file: another is not read. Any change of shape raises it, but a new field that
/// may be left out: who does not know it passes over it, and a file without it is read.
pub const FORMAT: u32 = 1;

/// An event, and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Microseconds since the run started, on the monotonic clock.
    pub at_us: u64,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Event {
    /// The first event.
    RunStarted(Box<RunStart>),
    /// A case begins.
    CaseStarted(Box<CaseStart>),
    /// A case enters a phase.
    PhaseStarted {
        /// Case id.
        case: String,
        /// The phase.
        phase: Phase,
    },
    /// A subject's container runs (again).
    SubjectStarted {
        /// Case id.
        case: String,
        /// Service name.
        service: String,
        /// Full container id.
        container: String,
        /// Image id (`sha256:…`).
        image: String,
        /// It is not the run's: it ran before, and goes on afterwards.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        attached: bool,
    },
    /// A fault is about to be injected.
    Injecting {
        /// Case id.
        case: String,
        /// The fault's id in the scenario.
        fault: String,
        /// The word in YAML.
        name: String,
        /// `service:/path`.
        target: String,
        /// In words.
        act: String,
        /// How its effect is proven.
        proof: String,
        /// How long it lasts.
        lasting: Kind,
        /// The widest thing it can touch.
        scope: Scope,
    },
    /// It was injected, and looked for.
    Injected {
        /// Case id.
        case: String,
        /// The fault's id in the scenario.
        fault: String,
        /// The effect was seen.
        proven: bool,
        /// What was observed.
        evidence: String,
        /// What the user should know.
        notes: Vec<String>,
        /// Microseconds of the call that injected it, the journal's fsync included.
        took_us: u64,
    },
    /// Its revert was called.
    Reverting {
        /// Case id.
        case: String,
        /// The fault's id in the scenario.
        fault: String,
        /// Who called.
        by: Origin,
    },
    /// It was reverted, and looked for.
    Reverted {
        /// Case id.
        case: String,
        /// The fault's id in the scenario.
        fault: String,
        /// The effect was seen to be gone.
        proven: bool,
        /// What was observed.
        evidence: String,
        /// Who called.
        by: Origin,
    },
    /// What the rules of a fault on I/O did to operations of others, be it nothing, now that they are gone.
    /// Without it nobody could say.
    Struck {
        /// Case id.
        case: String,
        /// The fault's id in the scenario.
        fault: String,
        /// How many operations.
        hit: u64,
        /// There were too many paths to count what is done to each: some of them have no number.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        overflowed: bool,
        /// The first of them. Their times count from when the rules came into force.
        struck: Vec<Struck>,
        /// All of them by their numbers, where they are more than those.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        all: Option<AllStruck>,
    },
    /// All that others did to a volume was traced, as was asked for.
    IoTraced {
        /// Case id.
        case: String,
        /// Name of the volume; of the fault, where one inserted the interposer.
        volume: String,
        /// A fault did.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        inserted: bool,
        /// Where it is, and how much is in it.
        trace: IoTrace,
    },
    /// A probe was read.
    Sampled {
        /// Case id.
        case: String,
        /// Id of the assertion it is read for.
        assertion: String,
        /// The probe in words.
        probe: String,
        /// The case's phase.
        phase: Phase,
        /// Ids of the faults whose effect is verified and whose revert was not called.
        during: Vec<String>,
        /// The reading, or why there is none.
        result: Result<Sample, String>,
    },
    /// How a load goes.
    LoadSampled {
        /// Case id.
        case: String,
        /// Workload name.
        workload: String,
        /// Its counters.
        stats: LoadStats,
    },
    /// An assertion was judged.
    Asserted {
        /// Case id.
        case: String,
        /// Its id: `steady_state[0]`, `steps[2]`, `recover`, `verify[0]`, `full.effect`, …
        assertion: String,
        /// Its group.
        hypothesis: Hypothesis,
        /// In words.
        title: String,
        /// The judgement; none when it was not evaluated because an earlier one broke.
        verdict: Option<Verdict>,
        /// Why.
        message: String,
        /// Microseconds from its start to the judgement.
        took_us: u64,
    },
    /// A recovery was measured.
    Recovered {
        /// Case id.
        case: String,
        /// Id of the assertion.
        assertion: String,
        /// Microseconds from the start of the count until this event.
        #[serde(default)]
        counted_us: u64,
        /// Microseconds to the first sample of the streak; none when it never came.
        recovery_us: Option<u64>,
        /// Microseconds allowed, where there is an objective.
        objective_us: Option<u64>,
        /// The steady state was there at the first look: nobody saw that it ever was out.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        at_first_look: bool,
    },
    /// A ledger was judged.
    LedgerJudged {
        /// Case id.
        case: String,
        /// Workload name.
        workload: String,
        /// The counts.
        report: Box<LedgerReport>,
    },
    /// States that a power cut would have left are being looked at; once a second or so.
    Exploring {
        /// Case id.
        case: String,
        /// Workload name.
        workload: String,
        /// How far that is.
        progress: ExploreProgress,
    },
    /// States that a power cut would have left were looked at.
    Explored {
        /// Case id.
        case: String,
        /// Workload name.
        workload: String,
        /// What was found.
        report: Box<ExploreReport>,
    },
    /// What a subject printed.
    LogCollected {
        /// Case id.
        case: String,
        /// Service name.
        service: String,
        /// The end of its output; any bytes, as lossy UTF-8, redacted.
        text: String,
        /// When the engine read each line of it, in microseconds since the run started; a clock of the
        /// engine's that differs from ours is put right. Empty where that is not known.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lines_us: Vec<u64>,
    },
    /// Something worth knowing.
    Noted {
        /// Case id; none for the run.
        case: Option<String>,
        /// In words.
        text: String,
    },
    /// The user is to know this at once: a case waits, or leaves something behind on purpose.
    Attention {
        /// Case id.
        case: String,
        /// In words.
        text: String,
    },
    /// What was done by hand was saved as a scenario.
    Saved {
        /// Case id.
        case: String,
        /// The one line that runs it.
        again: String,
    },
    /// Every fault of a case was rolled back.
    RolledBack {
        /// Case id.
        case: String,
        /// What it came to.
        report: RollbackReport,
        /// The command that finishes it, when it is incomplete.
        recover: Option<String>,
    },
    /// What a case left behind.
    ResidueChecked {
        /// Case id.
        case: String,
        /// Every object that should be gone; empty when nothing is left.
        left: Vec<String>,
    },
    /// A case is over.
    CaseEnded {
        /// Case id.
        case: String,
        /// The judgement; of a control, whether it failed as it must.
        verdict: Verdict,
        /// Why, heaviest first.
        reasons: Vec<String>,
        /// Why its failures are tolerated, where they are: they count as skipped.
        #[serde(default)]
        tolerated: Option<String>,
    },
    /// What the history knows of a recovery in earlier runs.
    Remembered {
        /// Case id.
        case: String,
        /// Id of the assertion.
        assertion: String,
        /// The last runs that measured it, oldest first.
        earlier: Vec<Earlier>,
    },
    /// The last event. A file without it was cut short.
    RunEnded {
        /// The judgement.
        verdict: Verdict,
        /// What else decides the exit code.
        ending: Ending,
    },
}

/// What a run starts with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStart {
    /// Version of this file's format.
    pub format: u32,
    /// Run id.
    pub run: String,
    /// keelhaul's version.
    pub version: String,
    /// SHA-256 of keelhaul's binary.
    pub build: String,
    /// Start, RFC 3339.
    pub started: String,
    /// Seed of every decision.
    pub seed: u64,
    /// The command line.
    pub command: Vec<String>,
    /// What makes its exit code non-zero.
    #[serde(default = "usual")]
    pub fail_on: Vec<FailOn>,
    /// The engine.
    pub engine: Option<EngineFacts>,
    /// Cases to run.
    pub cases: usize,
    /// What was checked out where it was started, where that is known.
    #[serde(default)]
    pub commit: Option<Commit>,
}

fn usual() -> Vec<FailOn> {
    FailOn::USUAL.to_vec()
}

/// What a case starts with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseStart {
    /// Case id: `name[cell]@control#repeat`, unique in the run.
    pub case: String,
    /// Suite it belongs to: `name[cell]`.
    pub suite: String,
    /// Scenario name.
    pub scenario: String,
    /// What goes wrong, for whom.
    pub about: Option<String>,
    /// Its file.
    pub file: String,
    /// Values of the matrix axes.
    pub cell: BTreeMap<String, String>,
    /// The control, where this is one.
    pub control: Option<String>,
    /// Which assertions the control may break first; empty for any.
    pub fails: Vec<String>,
    /// How many controls its scenario has; none where that was not recorded.
    #[serde(default)]
    pub controls: Option<usize>,
    /// Attempt, from 1; more than 1 for a retry.
    pub attempt: u32,
    /// Seed of the case.
    pub seed: u64,
    /// The same as long as its file, the Compose file and what `--set` gives are.
    #[serde(default)]
    pub fingerprint: Option<String>,
    /// What `--set` gave it, `NAME=VALUE` each; none where that was not recorded.
    #[serde(default)]
    pub sets: Option<Vec<String>>,
    /// Allowed recovery time in microseconds.
    pub rto_us: Option<u64>,
    /// Acknowledged records that may be lost.
    pub rpo: Option<u64>,
    /// The one line that runs it again; empty for what was done by hand, unless it was saved.
    pub again: String,
}

/// Phases of a case, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Networks, volumes, containers, workloads.
    SetUp,
    /// Waiting for the steady state.
    SteadyState,
    /// The steps.
    Steps,
    /// Reverting what is still in force.
    Rollback,
    /// The last assertions.
    Verify,
    /// Removing what was made.
    TearDown,
}

/// Who reverted a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A `revert` step.
    Step,
    /// The rollback at the end.
    Rollback,
    /// The keeper, because its time was up.
    Expiry,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What [`FORMAT`] promises: a field that may be left out is no other format, either way.
    #[test]
    fn an_event_is_read_without_the_fields_that_came_later_and_with_those_to_come() {
        let log = |more: &str| {
            let text = format!(
                r#"{{"at_us":1,"event":{{"kind":"log-collected","case":"c","service":"s","text":"t"{more}}}}}"#
            );
            serde_json::from_str::<Stamped>(&text).unwrap().event
        };
        let Event::LogCollected { lines_us, .. } = log("") else { panic!("another event") };
        assert_eq!(lines_us, Vec::<u64>::new());
        assert_eq!(log(r#","lines_us":[7],"to_come":true"#), log(r#","lines_us":[7]"#));
    }
}
