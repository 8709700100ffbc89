//! Whether what faults on I/O struck in an earlier run can be struck again, in cases that are to run.
//! What cannot be is refused here, before anything is touched.

use std::collections::BTreeMap;

use super::{
    injections::name,
    record::{CaseRecord, FaultRecord},
    redact::HIDDEN,
    strikes::OfFault,
};
use crate::{
    faults::{FaultSpec, TABLE},
    plan::Case,
    protocol::{AllStruck, IoAction, LISTED},
    scenario::Action,
    volumes::Layer,
};

/// A case that is to run, and what is recorded of it.
struct Pair<'a> {
    run: &'a str,
    case: &'a Case,
    record: &'a CaseRecord,
    /// Faults on I/O that it will inject, by id.
    planned: BTreeMap<String, FaultSpec>,
}

/// What each fault on I/O struck in the last attempt at a case, by its id; `known` are all cases of the run.
pub(super) fn of_case(
    run: &str,
    case: &Case,
    known: &[CaseRecord],
) -> Result<BTreeMap<String, OfFault>, String> {
    let planned = planned(case);
    let Some(record) = known.iter().rev().find(|known| known.start.case == case.id) else {
        return match planned.keys().next() {
            None => Ok(BTreeMap::new()),
            Some(fault) => Err(format!(
                "`{run}` has no case `{}`: nothing says what `{fault}` struck there\n\nhint: `--case` \
                 selects those that it has",
                case.id
            )),
        };
    };
    let pair = Pair { run, case, record, planned };
    pair.has_no_new_one()?;
    let mut struck = BTreeMap::new();
    for fault in record.faults.iter().filter(|fault| is_on_io(fault)) {
        pair.fits(fault)?;
        struck.insert(fault.id.clone(), of_fault(&pair, fault)?);
    }
    Ok(struck)
}

/// Faults on I/O that a case will inject, by id.
fn planned(case: &Case) -> BTreeMap<String, FaultSpec> {
    let mut planned = BTreeMap::new();
    for (index, step) in case.scenario.steps.iter().enumerate() {
        let Action::Inject(inject) = &step.action else { continue };
        let id = step.name.clone().unwrap_or_else(|| format!("steps[{index}]"));
        for fault in case.faults(index).iter().filter(|fault| fault.strikes().is_some()) {
            let own = |part| (name(&id, inject, fault, &part), fault.clone());
            planned.extend(inject.parts().into_iter().map(own));
        }
    }
    planned
}

/// Whether an operation that it strikes is the same in another run by its number.
pub(super) fn can_come_again(spec: &FaultSpec) -> bool {
    spec.strikes() != Some(Layer::Block) && !goes_by_the_clock(spec)
}

/// What it counts is what comes soon after something else.
fn goes_by_the_clock(spec: &FaultSpec) -> bool {
    spec.io_rules("").iter().any(|rule| matches!(rule.action, IoAction::Late { .. }))
}

fn is_on_io(fault: &FaultRecord) -> bool {
    let row = TABLE.iter().find(|row| row.name == fault.name);
    fault.struck.is_some() || row.is_some_and(|row| row.strikes().is_some())
}

impl Pair<'_> {
    /// A fault that the run did not come to, of the same case as it is written, is judged when it
    /// comes to it now.
    fn has_no_new_one(&self) -> Result<(), String> {
        let Self { run, case, record, planned } = self;
        if record.start.fingerprint.as_ref() == Some(&case.fingerprint) {
            return Ok(());
        }
        let is_new = |id: &&String| record.faults.iter().all(|fault| fault.id != **id);
        match planned.keys().find(is_new) {
            None => Ok(()),
            Some(fault) => Err(format!(
                "`{run}` did not inject `{fault}` in `{}`: nothing says what it is to strike\n\nhint: \
                 the scenario is not as it was; a fault is known by its step's `as`",
                case.id
            )),
        }
    }

    /// Whether this fault is injected again, and an operation is the same by its number.
    fn fits(&self, fault: &FaultRecord) -> Result<(), String> {
        let Self { run, case, planned, record } = self;
        let FaultRecord { id, name, .. } = fault;
        let Some(spec) = planned.get(id) else {
            return Err(format!(
                "`{run}` injected `{id}` in `{}`, which does not inject it now\n\nhint: a fault is known \
                 by its step's `as`, and what a `select` picks is the seed's; then it was `{}`",
                case.id, record.start.again
            ));
        };
        if spec.name() != name {
            let now = spec.name();
            return Err(format!("`{id}` was `{name}` in `{run}`, and is `{now}` now"));
        }
        if spec.strikes() == Some(Layer::Block) {
            return Err(format!(
                "`{id}` cannot strike the same again: `{name}` strikes a disk, and which request of it is \
                 the n-th is the kernel's affair and not the service's\n\nhint: faults on files can, \
                 at a volume with `interpose: file`; by its triggers and seed it comes again with `{}`",
                record.start.again
            ));
        }
        if goes_by_the_clock(spec) {
            return Err(format!(
                "`{id}` cannot strike the same again: what `{name}` counts is what comes soon after a \
                 change, by the clock\n\nhint: by its triggers and seed it comes again with `{}`",
                record.start.again
            ));
        }
        Ok(())
    }
}

/// What a fault struck, where that is known to its end.
fn of_fault(pair: &Pair<'_>, fault: &FaultRecord) -> Result<OfFault, String> {
    let (run, id) = (pair.run, &fault.id);
    if !is_over(pair.record, fault) {
        let seen =
            fault.reverted.as_ref().map_or("nothing says that it was", |found| found.2.as_str());
        return Err(format!(
            "`{id}` was not seen to be reverted in `{run}` ({seen}): it may have struck more\n\nhint: \
             record it anew"
        ));
    }
    let Some((hit, struck)) = &fault.struck else {
        return Err(format!(
            "what `{id}` struck in `{run}` is not known: its interposer could not say\n\nhint: record \
             it anew"
        ));
    };
    if fault.overflowed {
        return Err(format!(
            "`{id}` met more names in `{run}` than can be counted each for itself: which operation was \
             the n-th is not known of all that it struck\n\nhint: narrow it with `files` or `ops`, and \
             record that"
        ));
    }
    let all = fault.all_struck.clone().unwrap_or_else(|| AllStruck::of(struck));
    if let Some(why) = incomplete(pair, fault, *hit, &all) {
        return Err(why);
    }
    if let Some(series) = all.series.iter().find(|series| series.path.contains(HIDDEN)) {
        return Err(format!(
            "`{id}` struck `{}` in `{run}`: a name with a secret in it is not recorded, and so is not \
             found again\n\nhint: give the file a name without the value of a secret, and record that",
            series.path
        ));
    }
    Ok(OfFault::new(pair.record.start.seed, struck, all))
}

/// Why what is recorded is not all that it struck.
fn incomplete(pair: &Pair<'_>, fault: &FaultRecord, hit: u64, all: &AllStruck) -> Option<String> {
    let (run, id, known) = (pair.run, &fault.id, all.numbered() + all.uncounted);
    if hit <= known {
        return None;
    }
    if hit <= LISTED {
        return Some(format!(
            "`{id}` struck {hit} operations in `{run}`, and {known} are recorded: which the others are \
             is not known\n\nhint: record it anew"
        ));
    }
    let first = if fault.all_struck.is_some() { known } else { LISTED };
    Some(format!(
        "`{id}` struck {hit} operations in `{run}`, and the first {first} are recorded: they are \
         not all of them\n\nhint: narrow it with `files` or `when`, and record that"
    ))
}

/// It was reverted, and seen to be gone. Where its subject has ended nobody can look: that it was
/// undone, and its interposer says that nothing is in force, is enough for what it has struck.
fn is_over(case: &CaseRecord, fault: &FaultRecord) -> bool {
    let id = format!("{}.revert", fault.id);
    let judged = case.assertions.iter().rev().find(|one| one.id == id);
    let unseen = judged.is_some_and(|one| one.verdict.is_none());
    fault.reverted.as_ref().is_some_and(|(_, proven, ..)| *proven || unseen)
}
