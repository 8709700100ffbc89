//! What faults on I/O struck in an earlier run, operation by operation, to be struck again.
//!
//! An operation is known by its file, its kind and its number among those that the rule counted
//! there. A service that does the same to each of its files so meets the same faults, whatever its
//! threads do, the seed is and the triggers say. One that does something else is not bent to it: what
//! did not come again is told.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{
    assert::{Outcome, record},
    record::{CaseRecord, FaultRecord, RunRecord},
    world::World,
};
use crate::{
    protocol::{Counted, Op, Struck},
    scenario::Hypothesis,
    verdict::Verdict,
};

/// So many of those that did not come are named.
const NAMED: usize = 5;
/// Where an operation read or wrote, and how much.
type Span = (Option<u64>, Option<u64>);

/// What one fault struck.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OfFault {
    /// Decided what was done to it.
    seed: u64,
    struck: BTreeMap<Counted, Span>,
}

/// What the faults of a run struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strikes {
    /// As it was named.
    run: String,
    /// By case and fault.
    faults: BTreeMap<(String, String), OfFault>,
}

impl Strikes {
    /// Those of a run that is called so. Of a case that was run again, the last attempt counts.
    ///
    /// # Errors
    /// In words, with a hint, where it struck nothing, or not all of it is recorded.
    pub fn of(run: &str, record: &RunRecord) -> Result<Self, String> {
        let mut faults = BTreeMap::new();
        for case in &record.cases {
            // what was not seen to its end may have struck more
            for fault in case.faults.iter().filter(|fault| fault.reverted.is_some()) {
                let id = (case.start.case.clone(), fault.id.clone());
                faults.insert(id, of_fault(run, case, fault)?);
            }
        }
        if faults.values().all(|of| of.struck.is_empty()) {
            return Err(format!(
                "no fault of `{run}` struck an operation\n\nhint: faults on I/O do, at a volume with an \
                 interposer: `keelhaul list faults`"
            ));
        }
        Ok(Self { run: run.to_owned(), faults })
    }

    /// What it is called.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Whether faults of this case struck something.
    #[must_use]
    pub fn has(&self, case: &str) -> bool {
        self.cases().iter().any(|one| one == case)
    }

    /// Cases whose faults struck something.
    #[must_use]
    pub fn cases(&self) -> Vec<String> {
        let struck = self.faults.iter().filter(|(_, of)| !of.struck.is_empty());
        let mut cases: Vec<String> = struck.map(|((case, _), _)| case.clone()).collect();
        cases.dedup();
        cases
    }

    fn of_fault(&self, case: &str, fault: &str) -> Option<&OfFault> {
        self.faults.get(&(case.to_owned(), fault.to_owned()))
    }

    /// Whether all that a fault of a case struck was struck again, and in words; none where it did
    /// not strike there.
    pub(super) fn compare(
        &self,
        (case, fault): (&str, &str),
        struck: Option<&[Struck]>,
    ) -> Option<Outcome> {
        let known = self.of_fault(case, fault)?;
        Some(match struck {
            Some(struck) => compare(&self.run, known, struck),
            None => {
                let why = "what it struck is not known: its interposer is gone".to_owned();
                (Verdict::Inconclusive, why)
            }
        })
    }
}

fn of_fault(run: &str, case: &CaseRecord, fault: &FaultRecord) -> Result<OfFault, String> {
    let (hit, struck) = fault.struck.clone().unwrap_or_default();
    if hit > struck.len() as u64 {
        return Err(format!(
            "`{}` struck {hit} operations in `{run}`, and the first {} are recorded: they are not all \
             of them\n\nhint: narrow it with `files` or `when`, and record that",
            fault.id,
            struck.len()
        ));
    }
    let span = |one: &Struck| (one.offset, one.bytes);
    let counted = struck.iter().filter_map(|one| Some((one.counted()?, span(one))));
    Ok(OfFault { seed: case.start.seed, struck: counted.collect() })
}

/// Has the rules among these ops strike what they struck before, where that is asked for.
pub(super) fn choose(world: &World, fault: &str, ops: &mut [Op]) {
    let Some(strikes) = &world.again else { return };
    let known = strikes.of_fault(&world.case.id, fault);
    for op in ops {
        let Op::ArmRules { seed, again, .. } = op else { continue };
        let Some(known) = known else {
            world.note(format!(
                "`{fault}` is not replayed: `{}` does not say what it struck there to its end",
                strikes.run
            ));
            continue;
        };
        *seed = known.seed;
        *again = Some(known.struck.keys().cloned().collect());
    }
}

/// Judges whether all that was to be struck again was; `struck` is what was, none where nobody knows.
pub(super) fn judge(world: &World, fault: &str, struck: Option<&[Struck]>) {
    let Some(strikes) = &world.again else { return };
    let Some((verdict, why)) = strikes.compare((&world.case.id, fault), struck) else { return };
    let (id, title) = (format!("{fault}.replay"), "the same operations are struck again");
    record(world, &id, Hypothesis::Fault, title, Some(verdict), &why, Instant::now());
}

fn compare(run: &str, known: &OfFault, struck: &[Struck]) -> Outcome {
    let now: BTreeMap<Counted, Span> =
        struck.iter().filter_map(|one| Some((one.counted()?, (one.offset, one.bytes)))).collect();
    let missing: Vec<&Counted> =
        known.struck.keys().filter(|one| !now.contains_key(*one)).collect();
    let (all, came) = (known.struck.len(), known.struck.len() - missing.len());
    let elsewhere =
        known.struck.iter().filter(|(one, span)| now.get(*one).is_some_and(|now| now != *span));
    let mut why = format!("{came} of {all} that `{run}` struck");
    match elsewhere.count() {
        0 => {}
        some => why += &format!(", {some} of them at another offset or of another size"),
    }
    if missing.is_empty() {
        return (Verdict::Pass, why);
    }
    let named: Vec<String> = missing.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if missing.len() > NAMED { ", …" } else { "" };
    (Verdict::Inconclusive, format!("{why}; these did not come: {}{more}", named.join(", ")))
}
