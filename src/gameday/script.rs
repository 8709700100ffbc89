//! What was done by hand, as the steps of a scenario: injections, how long each was in force, its
//! revert, and what the steady state did.
//!
//! Pure: a fold of the record. Time in which nothing was in force is left out, because `recover`
//! waits for the steady state; who reverted a fault is left out too, because the revert is the same.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{call::Call, line};
use crate::{
    faults::Kind,
    probes::Sample,
    report::text::one_line,
    run::{CaseRecord, FaultRecord, RecoveryRecord, SamplePoint},
    units::Duration,
};

/// A recovery that was measured may take twice as long, and this long in any case: the next machine
/// is a busy one.
const LEAST: u64 = 5;

/// What is saved while a fault is in force knows nothing of how it goes on.
const STILL: &str = "is not known from then on: this was saved with the fault in force";

/// Shorter times between two acts are nobody's intention.
const SHORTEST_US: u64 = 100_000;

/// What a session came to.
pub(super) struct Session<'a> {
    /// Its record.
    pub(super) case: &'a CaseRecord,
    /// What was typed, by fault id.
    pub(super) calls: &'a BTreeMap<String, Call>,
    /// What was noted, and when.
    pub(super) notes: &'a [(u64, String)],
    /// The steady-state probes, in words.
    pub(super) steady: &'a [String],
    /// When it is looked at.
    pub(super) now_us: u64,
}

#[derive(Clone)]
enum Act<'a> {
    Injected(&'a FaultRecord),
    Reverted(&'a FaultRecord),
    Noted(&'a str),
    LeftOut(&'a FaultRecord, String),
}

/// Steps, and the time that they take.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Script {
    /// List items of one or more lines.
    pub(super) steps: Vec<String>,
    /// Seconds that waits and recoveries may take in all.
    pub(super) seconds: u64,
    /// Names of the faults, each once.
    pub(super) faults: Vec<String>,
}

impl Session<'_> {
    /// The steps so far; `closed` also reverts what is still in force.
    #[must_use]
    pub(super) fn script(&self, closed: bool) -> Script {
        let (mut script, mut in_force) = (Script::default(), Vec::new());
        let (acts, mut last) = (self.acts(closed), 0);
        for (index, (at, act)) in acts.iter().enumerate() {
            match act {
                Act::Noted(text) => {
                    script.comment(&format!("{}: {}", clock(*at), one_line(text, line::LONGEST)));
                }
                Act::LeftOut(fault, why) => {
                    script.remark(&format!("{}: {} is left out: {why}", clock(*at), fault.id));
                }
                Act::Injected(fault) => {
                    script.wait(!in_force.is_empty(), at.saturating_sub(last));
                    script.inject(&self.calls[&fault.id], self.ends_beneath(fault, &acts));
                    if self.calls[&fault.id].lasts.is_some() {
                        in_force.push(fault.id.as_str());
                    } else if in_force.is_empty() {
                        self.recover(&mut script, *at, next(&acts, index));
                    }
                    last = *at;
                }
                Act::Reverted(fault) => {
                    script.wait(true, at.saturating_sub(last));
                    self.broken_under(fault).iter().for_each(|text| script.remark(text));
                    script.revert(fault, self.ends_beneath(fault, &acts));
                    in_force.retain(|id| *id != fault.id);
                    if in_force.is_empty() && fault.reverting_us.is_none() {
                        self.still(&mut script);
                    } else if in_force.is_empty() {
                        self.recover(&mut script, *at, next(&acts, index));
                    }
                    last = *at;
                }
            }
        }
        script
    }

    /// In the order in which they happened. A fault whose effect was not seen was no fault, and one that
    /// struck nothing proves nothing the next time either.
    fn acts(&self, closed: bool) -> Vec<(u64, Act<'_>)> {
        let mut acts = Vec::new();
        let known = self.case.faults.iter().filter(|fault| self.calls.contains_key(&fault.id));
        for fault in known {
            let Some((at, proven, evidence)) = &fault.injected else { continue };
            let at = *at;
            let why = match (proven, &fault.struck) {
                (false, _) => format!("its effect was not seen: {evidence}"),
                (true, Some((0, _))) => "it struck nothing".to_owned(),
                (true, _) => String::new(),
            };
            if !why.is_empty() {
                acts.push((at, Act::LeftOut(fault, why)));
                continue;
            }
            acts.push((at, Act::Injected(fault)));
            let lasts = self.calls[&fault.id].lasts.is_some();
            let reverted = fault.reverting_us.or((closed && lasts).then_some(self.now_us));
            acts.extend(reverted.filter(|_| lasts).map(|at| (at, Act::Reverted(fault))));
        }
        // what is still in force goes last first: the sort keeps equal times in this order
        acts.reverse();
        acts.extend(self.notes.iter().map(|(at, text)| (*at, Act::Noted(text))));
        acts.sort_by_key(|(at, _)| *at);
        acts
    }

    /// How long a fault was in force that was over before a later one was. A scenario has no `revert` of
    /// what lies beneath another; its own time may run out there, as it did.
    fn ends_beneath(&self, fault: &FaultRecord, acts: &[(u64, Act<'_>)]) -> Option<Duration> {
        let end = |id: &str| {
            let mut ends = acts.iter().filter_map(|(at, act)| match act {
                Act::Reverted(one) if one.id == id => Some(*at),
                _ => None,
            });
            ends.next()
        };
        let (from, until) = (fault.injected.as_ref()?.0, end(&fault.id)?);
        let above = acts.iter().any(|(at, act)| match act {
            Act::Injected(later) => {
                let is_later = later.id != fault.id && *at >= from && *at < until;
                let lasts = later.lasting == Kind::State;
                is_later && lasts && end(&later.id).is_none_or(|end| end > until)
            }
            _ => false,
        });
        let tenths = (until - from).div_ceil(SHORTEST_US).max(1);
        above.then(|| Duration::from_millis(tenths * 100))
    }

    /// What did not hold with this fault in force: each probe once, with what it saw first.
    fn broken_under(&self, fault: &FaultRecord) -> Vec<String> {
        let mut seen: Vec<(&str, String)> = Vec::new();
        for sample in self.samples().filter(|sample| sample.during.contains(&fault.id)) {
            let Some(why) = broken(sample) else { continue };
            if !seen.iter().any(|(probe, _)| *probe == sample.probe) {
                seen.push((&sample.probe, why));
            }
        }
        seen.into_iter().map(|(probe, why)| format!("did not hold: {probe}: {why}")).collect()
    }

    fn samples(&self) -> impl Iterator<Item = &SamplePoint> {
        self.case.samples.iter().filter(|sample| self.steady.contains(&sample.probe))
    }

    /// What is saved with a fault in force.
    fn still(&self, script: &mut Script) {
        if !self.steady.is_empty() {
            script.recover(LEAST, STILL);
        }
    }

    /// The step that asks for what was seen: the steady state came back, and how fast.
    fn recover(&self, script: &mut Script, from: u64, until: u64) {
        if self.steady.is_empty() {
            // nothing says when it is over but who played it
            return script.wait(until != u64::MAX, until.saturating_sub(from));
        }
        match self.measured(from, until) {
            Some(found) if found.at_first_look => {
                return script.at_first_look(found.recovery_us.unwrap_or_default());
            }
            Some(RecoveryRecord { recovery_us: Some(took), .. }) => return script.recovered(*took),
            _ => {}
        }
        let window: Vec<&SamplePoint> =
            self.samples().filter(|it| it.at_us >= from && it.at_us < until).collect();
        let last = window.iter().rposition(|sample| broken(sample).is_some());
        let back = last.and_then(|last| {
            window[last + 1..].iter().find(|sample| sample.probe == window[last].probe)
        });
        match (back, last) {
            (Some(back), _) => script.recovered(back.at_us - from),
            // nobody waited for it: in quick succession the next comes all the same
            (None, _) if until != u64::MAX => script.wait(true, until.saturating_sub(from)),
            (None, None) if window.is_empty() => script.recover(LEAST, "was not read after it"),
            (None, None) => script.recover(LEAST, "held whenever it was read"),
            (None, Some(_)) => script.recover(LEAST, "did not come back while it was watched"),
        }
    }
}

impl Session<'_> {
    /// What the case itself has measured of a recovery, where nobody cut it short.
    fn measured(&self, from: u64, until: u64) -> Option<&RecoveryRecord> {
        let within = |at: u64| at >= from && at < until;
        self.case.recoveries.iter().find(|recovery| within(recovery.from_us))
    }
}

impl Script {
    /// Twice what was measured is allowed, in whole seconds.
    fn recovered(&mut self, took: u64) {
        let seen = format!("came back in {}", Duration::from_millis(took / 1000));
        self.recover(allowed(took), &seen);
    }

    /// That may come as late as the next health check, and does so the next time.
    fn at_first_look(&mut self, took: u64) {
        let seen = match allowed(took) {
            LEAST => "was there at the first look".to_owned(),
            _ => {
                format!("was there at the first look, after {}", Duration::from_millis(took / 1000))
            }
        };
        self.recover(allowed(took), &seen);
    }

    fn comment(&mut self, text: &str) {
        self.steps.push(format!("  # {text}\n"));
    }

    /// What was seen, in short.
    fn remark(&mut self, text: &str) {
        self.comment(&one_line(text, 200));
    }

    fn wait(&mut self, anything: bool, micros: u64) {
        if anything && micros >= SHORTEST_US {
            let tenths = micros / SHORTEST_US;
            self.steps.push(format!("  - wait: {}\n", Duration::from_millis(tenths * 100)));
            self.seconds += tenths.div_ceil(10);
        }
    }

    fn inject(&mut self, call: &Call, beneath: Option<Duration>) {
        let mut item = String::new();
        let _ = writeln!(item, "  - inject: {}\n    as: {}", call.typed, call.id);
        if let Some(lasts) = beneath.filter(|_| call.fault.kind() == Kind::State) {
            let _ = writeln!(item, "    for: {lasts}");
        }
        self.steps.push(item);
        let name = call.fault.name().to_owned();
        if !self.faults.contains(&name) {
            self.faults.push(name);
        }
    }

    /// What ends beneath another has its time at its injection. Damage has none: it stays.
    fn revert(&mut self, fault: &FaultRecord, beneath: Option<Duration>) {
        let id = &fault.id;
        match (beneath, fault.lasting) {
            (None, _) => self.steps.push(format!("  - revert: {id}\n")),
            (Some(_), Kind::State) => self.comment(&format!("the time of {id} is over here")),
            (Some(_), _) => self.comment(&format!(
                "{id} was reverted here, beneath a later fault: a scenario keeps it to the end"
            )),
        }
    }

    fn recover(&mut self, within: u64, seen: &str) {
        self.remark(&format!("the steady state {seen}"));
        self.steps.push(format!("  - recover: {{ within: {} }}\n", Duration::from_secs(within)));
        self.seconds += within;
    }
}

/// Seconds for what took so many microseconds: twice that.
fn allowed(took: u64) -> u64 {
    took.saturating_mul(2).div_ceil(1_000_000).max(LEAST)
}

/// When the next injection begins: a recovery is watched until then.
fn next(acts: &[(u64, Act<'_>)], after: usize) -> u64 {
    let later = acts[after + 1..].iter().find(|(_, act)| matches!(act, Act::Injected(_)));
    later.map_or(u64::MAX, |(at, _)| *at)
}

/// Why a reading is not good, where it is not.
fn broken(sample: &SamplePoint) -> Option<String> {
    match &sample.result {
        Ok(Sample { violation: None, .. }) => None,
        Ok(Sample { violation: Some(why), .. }) => Some(why.clone()),
        Err(error) => Some(error.clone()),
    }
}

/// Minutes and seconds since the start: `01:23`.
#[must_use]
pub(super) fn clock(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}
