//! The run as a value: a fold of its events. All that reports see.
//!
//! Pure: the same events give the same record, live or read from a file cut off anywhere.

use std::{collections::BTreeSet, io::BufRead};

use serde::{Deserialize, Serialize};

use super::{
    earlier::Earlier,
    event::{CaseStart, Event, FORMAT, Origin, Phase, RunStart, Stamped},
};
use crate::{
    faults::{Kind, Scope},
    ledger::LedgerReport,
    probes::Sample,
    protocol::{AllStruck, ExploreProgress, ExploreReport, LoadStats, RollbackReport, Struck},
    scenario::Hypothesis,
    verdict::{Ending, Verdict},
};

/// A run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunRecord {
    /// What it started with; none when even that is missing.
    pub start: Option<RunStart>,
    /// Its cases, in the order in which they started.
    pub cases: Vec<CaseRecord>,
    /// Notes that belong to no case.
    pub notes: Vec<String>,
    /// The judgement; none until the last event.
    pub ended: Option<(Verdict, Ending)>,
    /// Microseconds from start to the last event.
    pub took_us: u64,
}

/// A case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseRecord {
    /// What it started with.
    pub start: CaseStart,
    /// When, in microseconds since the run started.
    pub started_us: u64,
    /// When it was over.
    pub ended_us: Option<u64>,
    /// Phases and when they began.
    pub phases: Vec<(u64, Phase)>,
    /// Service, container id, image id.
    pub subjects: Vec<(String, String, String)>,
    /// Services whose containers are not the run's.
    pub attached: BTreeSet<String>,
    /// Faults, in order of injection.
    pub faults: Vec<FaultRecord>,
    /// Assertions, in the order in which they were judged.
    pub assertions: Vec<AssertionRecord>,
    /// Readings of probes.
    pub samples: Vec<SamplePoint>,
    /// Counters of loads.
    pub loads: Vec<LoadPoint>,
    /// Recovery times.
    pub recoveries: Vec<RecoveryRecord>,
    /// The same recoveries in earlier runs, by assertion.
    #[serde(default)]
    pub remembered: Vec<(String, Vec<Earlier>)>,
    /// Ledgers by workload.
    pub ledgers: Vec<(String, LedgerReport)>,
    /// How far an exploration is; none where there is none at the moment.
    #[serde(default)]
    pub exploring: Option<ExploreProgress>,
    /// What was found in states that a power cut would have left, by workload.
    #[serde(default)]
    pub explored: Vec<(String, ExploreReport)>,
    /// What subjects printed.
    pub logs: Vec<LogRecord>,
    /// Notes.
    pub notes: Vec<String>,
    /// When each of them was written, in microseconds since the run started.
    #[serde(default)]
    pub notes_us: Vec<u64>,
    /// The rollback, and the command that finishes it when it is incomplete.
    pub rollback: Option<(RollbackReport, Option<String>)>,
    /// What was left behind; none when it was not checked.
    pub residue: Option<Vec<String>>,
    /// The judgement, and why; none until it is over.
    pub verdict: Option<(Verdict, Vec<String>)>,
    /// Why its failures are tolerated, where they are: they count as skipped.
    #[serde(default)]
    pub tolerated: Option<String>,
}

/// A fault of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Id in the scenario.
    pub id: String,
    /// The word in YAML.
    pub name: String,
    /// `service:/path`.
    pub target: String,
    /// In words.
    pub act: String,
    /// How its effect is proven.
    pub proof: String,
    /// How long it lasts.
    pub lasting: Kind,
    /// The widest thing it can touch.
    pub scope: Scope,
    /// When injection began.
    pub injecting_us: u64,
    /// When its effect was judged, whether it was seen, and what was observed.
    pub injected: Option<(u64, bool, String)>,
    /// Microseconds of the call that injected it.
    pub took_us: u64,
    /// What the user should know.
    pub notes: Vec<String>,
    /// When its revert was called.
    pub reverting_us: Option<u64>,
    /// When its end was judged, whether it was seen, what was observed, and who called.
    pub reverted: Option<(u64, bool, String, Origin)>,
    /// Of a fault on I/O: how many operations it struck, and the first of them; none where nobody could say.
    pub struck: Option<(u64, Vec<Struck>)>,
    /// All of them by their numbers, where they are more than those. For who strikes them again, and too
    /// much for a report.
    #[serde(default, skip_serializing)]
    pub all_struck: Option<AllStruck>,
    /// Some of those have no number: there were too many paths to count what is done to each.
    #[serde(default)]
    pub overflowed: bool,
}

/// A measured recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryRecord {
    /// Id of the assertion.
    pub assertion: String,
    /// From when on it was counted: the verified revert, or the event.
    pub from_us: u64,
    /// Microseconds it took; none when it never came.
    pub recovery_us: Option<u64>,
    /// Microseconds allowed, where there is an objective.
    pub objective_us: Option<u64>,
    /// The steady state was there at the first look: nobody saw that it ever was out.
    #[serde(default)]
    pub at_first_look: bool,
}

/// A judged assertion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssertionRecord {
    /// When it was judged.
    pub at_us: u64,
    /// Id.
    pub id: String,
    /// Group.
    pub hypothesis: Hypothesis,
    /// In words.
    pub title: String,
    /// The judgement; none when it was not evaluated.
    pub verdict: Option<Verdict>,
    /// Why.
    pub message: String,
    /// Microseconds from its start to the judgement.
    pub took_us: u64,
}

/// A reading of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplePoint {
    /// When.
    pub at_us: u64,
    /// For which assertion.
    pub assertion: String,
    /// The probe in words.
    pub probe: String,
    /// In which phase.
    pub phase: Phase,
    /// Faults in force.
    pub during: Vec<String>,
    /// The reading, or why there is none.
    pub result: Result<Sample, String>,
}

/// Counters of a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadPoint {
    /// When.
    pub at_us: u64,
    /// Workload name.
    pub workload: String,
    /// Counters.
    pub stats: LoadStats,
}

/// What a subject printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Service name.
    pub service: String,
    /// The end of its output.
    pub text: String,
    /// When the engine read each line of it, in microseconds since the run started; empty where that is
    /// not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines_us: Vec<u64>,
}

impl LogRecord {
    /// Its lines, each with when it was printed; none where that is not known.
    #[must_use]
    pub fn timed_lines(&self) -> Option<Vec<(u64, &str)>> {
        let lines: Vec<&str> = self.text.lines().collect();
        // a secret of several lines that was hidden is one line: whose the times are is not known then
        let known = !lines.is_empty() && lines.len() == self.lines_us.len();
        known.then(|| self.lines_us.iter().copied().zip(lines).collect())
    }
}

impl RunRecord {
    /// Reads an event file. A line that cannot be read, or a file of another format, ends it with a
    /// note.
    #[must_use]
    pub fn read(events: impl BufRead) -> Self {
        let (mut record, why) = Self::read_so_far(events);
        record.notes.extend(why);
        record
    }

    /// Likewise, of a run that came to its end.
    ///
    /// # Errors
    /// Why not all of it can be read.
    pub fn read_whole(events: impl BufRead) -> Result<Self, String> {
        match Self::read_so_far(events) {
            (_, Some(why)) => Err(why),
            (record, None) if record.ended.is_none() => {
                Err("event file cut short: it ends before the run does".to_owned())
            }
            (record, None) => Ok(record),
        }
    }

    /// What can be read, and why there is no more where it is not all.
    fn read_so_far(events: impl BufRead) -> (Self, Option<String>) {
        let mut record = Self::default();
        for (index, line) in events.split(b'\n').enumerate() {
            let parsed = line.map_err(|error| error.to_string()).and_then(|bytes| {
                serde_json::from_slice(&bytes).map_err(|error| error.to_string())
            });
            match parsed {
                Ok(Stamped { event: Event::RunStarted(start), .. }) if start.format != FORMAT => {
                    let why = format!(
                        "event file of format {}, written by keelhaul {}: this one reads {FORMAT}",
                        start.format, start.version
                    );
                    return (record, Some(why));
                }
                Ok(stamped) => record.apply(&stamped),
                Err(error) => {
                    let why = format!("event file unreadable from line {}: {error}", index + 1);
                    return (record, Some(why));
                }
            }
        }
        (record, None)
    }

    /// The judgement: `error` for a run that was cut short.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.ended.map_or(Verdict::Error, |(verdict, _)| verdict)
    }

    /// Takes in the next event.
    pub fn apply(&mut self, stamped: &Stamped) {
        let at = stamped.at_us;
        self.took_us = self.took_us.max(at);
        match &stamped.event {
            Event::RunStarted(start) => self.start = Some((**start).clone()),
            Event::CaseStarted(start) => self.cases.push(CaseRecord::new(at, (**start).clone())),
            Event::RunEnded { verdict, ending } => self.ended = Some((*verdict, *ending)),
            Event::Noted { case: None, text } => self.notes.push(text.clone()),
            event => {
                // the newest of that id: a retry starts a record of its own
                let id = event.case();
                let open =
                    self.cases.iter_mut().rev().find(|case| Some(case.start.case.as_str()) == id);
                if let Some(case) = open {
                    case.apply(at, event);
                }
            }
        }
    }
}

impl CaseRecord {
    fn new(at: u64, start: CaseStart) -> Self {
        Self {
            start,
            started_us: at,
            ended_us: None,
            phases: Vec::new(),
            subjects: Vec::new(),
            attached: BTreeSet::new(),
            faults: Vec::new(),
            assertions: Vec::new(),
            samples: Vec::new(),
            loads: Vec::new(),
            recoveries: Vec::new(),
            remembered: Vec::new(),
            ledgers: Vec::new(),
            exploring: None,
            explored: Vec::new(),
            logs: Vec::new(),
            notes: Vec::new(),
            notes_us: Vec::new(),
            rollback: None,
            residue: None,
            verdict: None,
            tolerated: None,
        }
    }

    /// The judgement: `error` for a case that was cut short.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict.as_ref().map_or(Verdict::Error, |(verdict, _)| *verdict)
    }

    fn note(&mut self, at: u64, text: String) {
        self.notes.push(text);
        self.notes_us.push(at);
    }

    fn apply(&mut self, at: u64, event: &Event) {
        match event.clone() {
            Event::PhaseStarted { phase, .. } => {
                self.exploring = None;
                self.phases.push((at, phase));
            }
            Event::SubjectStarted { service, container, image, attached, .. } => {
                self.attached.extend(attached.then(|| service.clone()));
                self.subjects.push((service, container, image));
            }
            Event::Sampled { assertion, probe, phase, during, result, .. } => {
                self.samples.push(SamplePoint {
                    at_us: at,
                    assertion,
                    probe,
                    phase,
                    during,
                    result,
                });
            }
            Event::LoadSampled { workload, stats, .. } => {
                self.loads.push(LoadPoint { at_us: at, workload, stats });
            }
            Event::Asserted { assertion, hypothesis, title, verdict, message, took_us, .. } => {
                let id = assertion;
                let record =
                    AssertionRecord { at_us: at, id, hypothesis, title, verdict, message, took_us };
                self.assertions.push(record);
            }
            Event::Recovered {
                assertion,
                counted_us,
                recovery_us,
                objective_us,
                at_first_look,
                ..
            } => self.recoveries.push(RecoveryRecord {
                assertion,
                from_us: at.saturating_sub(counted_us),
                recovery_us,
                objective_us,
                at_first_look,
            }),
            Event::Remembered { assertion, earlier, .. } => {
                self.remembered.push((assertion, earlier));
            }
            Event::LedgerJudged { workload, report, .. } => self.ledgers.push((workload, *report)),
            Event::Exploring { progress, .. } => self.exploring = Some(progress),
            Event::Explored { workload, report, .. } => {
                self.exploring = None;
                self.explored.push((workload, *report));
            }
            Event::LogCollected { service, text, lines_us, .. } => {
                self.logs.push(LogRecord { service, text, lines_us });
            }
            Event::Noted { text, .. } | Event::Attention { text, .. } => self.note(at, text),
            Event::IoTraced { volume, inserted, trace, .. } => {
                self.note(at, trace.told(&volume, inserted));
            }
            Event::Saved { again, .. } => self.start.again = again,
            Event::RolledBack { report, recover, .. } => self.rollback = Some((report, recover)),
            Event::ResidueChecked { left, .. } => self.residue = Some(left),
            Event::CaseEnded { verdict, reasons, tolerated, .. } => {
                self.ended_us = Some(at);
                self.tolerated = tolerated;
                self.verdict = Some((verdict, reasons));
            }
            event => self.apply_fault(at, event),
        }
    }

    fn apply_fault(&mut self, at: u64, event: Event) {
        match event {
            Event::Injecting { fault, name, target, act, proof, lasting, scope, .. } => {
                self.faults.push(FaultRecord {
                    id: fault,
                    name,
                    target,
                    act,
                    proof,
                    lasting,
                    scope,
                    injecting_us: at,
                    injected: None,
                    took_us: 0,
                    notes: Vec::new(),
                    reverting_us: None,
                    reverted: None,
                    struck: None,
                    all_struck: None,
                    overflowed: false,
                });
            }
            other => self.apply_to_fault(at, other),
        }
    }

    /// What became of a fault that was to be injected.
    fn apply_to_fault(&mut self, at: u64, event: Event) {
        match event {
            Event::Injected { fault, proven, evidence, notes, took_us, .. } => {
                if let Some(record) = self.fault(&fault) {
                    record.injected = Some((at, proven, evidence));
                    record.notes.extend(notes);
                    record.took_us = took_us;
                }
            }
            Event::Reverting { fault, .. } => {
                if let Some(record) = self.fault(&fault) {
                    record.reverting_us = Some(at);
                }
            }
            Event::Reverted { fault, proven, evidence, by, .. } => {
                if let Some(record) = self.fault(&fault) {
                    record.reverted = Some((at, proven, evidence, by));
                }
            }
            Event::Struck { fault, hit, overflowed, struck, all, .. } => {
                if let Some(record) = self.fault(&fault) {
                    record.overflowed = overflowed;
                    record.struck = Some((hit, struck));
                    record.all_struck = all;
                }
            }
            _ => {}
        }
    }

    fn fault(&mut self, id: &str) -> Option<&mut FaultRecord> {
        self.faults.iter_mut().rev().find(|fault| fault.id == id)
    }
}

impl Event {
    /// The case it belongs to.
    #[must_use]
    pub fn case(&self) -> Option<&str> {
        match self {
            Self::RunStarted(_) | Self::RunEnded { .. } => None,
            Self::CaseStarted(start) => Some(&start.case),
            Self::Noted { case, .. } => case.as_deref(),
            Self::PhaseStarted { case, .. }
            | Self::SubjectStarted { case, .. }
            | Self::Injecting { case, .. }
            | Self::Injected { case, .. }
            | Self::Reverting { case, .. }
            | Self::Reverted { case, .. }
            | Self::Struck { case, .. }
            | Self::IoTraced { case, .. }
            | Self::Sampled { case, .. }
            | Self::LoadSampled { case, .. }
            | Self::Asserted { case, .. }
            | Self::Recovered { case, .. }
            | Self::Remembered { case, .. }
            | Self::LedgerJudged { case, .. }
            | Self::Exploring { case, .. }
            | Self::Explored { case, .. }
            | Self::LogCollected { case, .. }
            | Self::Attention { case, .. }
            | Self::Saved { case, .. }
            | Self::RolledBack { case, .. }
            | Self::ResidueChecked { case, .. }
            | Self::CaseEnded { case, .. } => Some(case),
        }
    }
}
