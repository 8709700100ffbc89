//! What faults on I/O struck in an earlier run, operation by operation, to be struck again.
//!
//! An operation is known by its file, its kind and its number among those that the rule counted
//! there. A service that does the same to each of its files so meets the same faults, whatever its
//! threads do, the seed is and the triggers say. One that does something else is not bent to it: what
//! did not come again, or came elsewhere, is told, and makes the case inconclusive.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use tokio::time::Instant;

use super::{
    assert::{Outcome, record},
    record::RunRecord,
    replayable,
    world::World,
};
use crate::{
    plan::Case,
    protocol::{AllStruck, Counted, IoAction, IoOp, Op, Series, Struck},
    scenario::Hypothesis,
    verdict::Verdict,
};

/// So many of those that did not come are named.
const NAMED: usize = 5;

/// Where an operation reads or writes, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span(Option<(u64, u64)>);

/// What one fault struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OfFault {
    /// Decided what was done to it.
    seed: u64,
    /// Where the first ones were.
    listed: BTreeMap<Counted, Span>,
    all: Vec<Series>,
}

impl OfFault {
    pub(super) fn new(seed: u64, struck: &[Struck], all: AllStruck) -> Self {
        Self { seed, listed: counted(struck), all: all.series }
    }

    /// How many operations.
    fn number(&self) -> u64 {
        self.all.iter().map(|series| series.numbers.count()).sum()
    }
}

/// Some operations: how many, and the first of them in words.
#[derive(Default)]
struct Which {
    many: u64,
    named: Vec<String>,
}

impl Which {
    fn add(&mut self, name: impl FnOnce() -> String) {
        self.many += 1;
        if self.named.len() < NAMED {
            self.named.push(name());
        }
    }

    /// Those among these that are not among the others.
    fn without(these: &[Series], others: &[Series]) -> Self {
        let others = by_file(others);
        let mut which = Self::default();
        for series in these {
            let there = others.get(&file(series));
            let there = |number| there.is_some_and(|there| there.numbers.contains(number));
            for number in series.numbers.iter().filter(|number| !there(*number)) {
                which.add(|| series.one(number).to_string());
            }
        }
        which
    }

    /// Those of a fault that came at another place than they did, or of another size. Of which that is, no
    /// more than the first are known.
    fn elsewhere(known: &OfFault, (listed, now): (&BTreeMap<Counted, Span>, &[Series])) -> Self {
        let mut which = Self::default();
        let mut named = BTreeSet::new();
        for (one, then) in &known.listed {
            if let Some(now) = listed.get(one).filter(|now| *now != then) {
                which.add(|| format!("{one} ({now}, and not {then})"));
                named.insert((one.rule, one.op, one.path.as_str()));
            }
        }
        let now = by_file(now);
        for then in known.all.iter().filter(|then| !named.contains(&file(then))) {
            // where some are missing, or came besides, that is told
            let same = |now: &&&Series| now.numbers == then.numbers;
            if now.get(&file(then)).filter(same).is_some_and(|now| now.places != then.places) {
                let (op, path, many) = (then.op.name(), &then.path, then.numbers.count());
                which.add(|| format!("some {op} of the {many} of `{path}`"));
            }
        }
        which
    }
}

/// What operations are done to, and how, for each rule.
type OfFile<'a> = (u32, IoOp, &'a str);

fn file(series: &Series) -> OfFile<'_> {
    (series.rule, series.op, &series.path)
}

fn by_file(all: &[Series]) -> BTreeMap<OfFile<'_>, &Series> {
    all.iter().map(|series| (file(series), series)).collect()
}

/// What faults of a run struck in some cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strikes {
    /// Its id.
    run: String,
    /// What a command line calls it.
    place: String,
    /// By case and fault.
    faults: BTreeMap<(String, String), OfFault>,
}

impl Strikes {
    /// Those of a run that a command line finds at this `place`, for cases that are to run. Of a case
    /// that was run again, the last attempt counts.
    ///
    /// # Errors
    /// In words, with a hint, where they struck nothing, where not all of it is known, and where it
    /// cannot be struck again by these cases.
    pub fn of(place: &str, record: &RunRecord, cases: &[Case]) -> Result<Self, String> {
        let run = record.start.as_ref().map_or(place, |start| start.run.as_str()).to_owned();
        let mut faults = BTreeMap::new();
        for case in cases {
            let struck = replayable::of_case(&run, case, &record.cases)?;
            faults.extend(struck.into_iter().map(|(id, of)| ((case.id.clone(), id), of)));
        }
        if faults.values().all(|of: &OfFault| of.all.is_empty()) {
            return Err(nothing(&run, record));
        }
        Ok(Self { run, place: place.to_owned(), faults })
    }

    /// What a command line calls it.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether faults of this case struck something.
    #[must_use]
    pub fn has(&self, case: &str) -> bool {
        self.faults.iter().any(|((of, _), fault)| of == case && !fault.all.is_empty())
    }

    fn of_fault(&self, case: &str, fault: &str) -> Option<&OfFault> {
        self.faults.get(&(case.to_owned(), fault.to_owned()))
    }

    /// Whether all that a fault of a case struck was struck again, and in words; none where it is not
    /// recorded.
    pub(super) fn compare(
        &self,
        (case, fault): (&str, &str),
        struck: Result<(&[Struck], &AllStruck), &str>,
    ) -> Option<Outcome> {
        let known = self.of_fault(case, fault)?;
        Some(match struck {
            Ok((listed, all)) => compare(&self.run, known, (&counted(listed), all)),
            Err(why) => (Verdict::Inconclusive, format!("what it struck is not known: {why}")),
        })
    }
}

/// Why there is nothing to strike again.
fn nothing(run: &str, record: &RunRecord) -> String {
    let struck = record
        .cases
        .iter()
        .filter(|case| case.faults.iter().any(|fault| matches!(fault.struck, Some((1.., _)))));
    let mut others: Vec<&str> = struck.map(|case| case.start.case.as_str()).collect();
    others.dedup();
    if others.is_empty() {
        return format!(
            "no fault of `{run}` struck an operation\n\nhint: faults on I/O do, at a volume with an \
             interposer: `keelhaul list faults`"
        );
    }
    let others = others.join(", ");
    format!("no case that is to run has struck anything in `{run}`\n\nhint: there it was {others}")
}

/// What rules counted of these, and where each of them was.
fn counted(struck: &[Struck]) -> BTreeMap<Counted, Span> {
    let span = |one: &Struck| Span(one.offset.zip(one.bytes));
    struck.iter().filter_map(|one| Some((one.counted()?, span(one)))).collect()
}

/// Has the rules among these ops strike what they struck before, where that is asked for.
pub(super) fn choose(world: &World, fault: &str, ops: &mut [Op]) {
    let Some(strikes) = &world.again else { return };
    let known = strikes.of_fault(&world.case.id, fault);
    for op in ops {
        let Op::ArmRules { seed, rules, again, .. } = op else { continue };
        let Some(known) = known else {
            let run = &strikes.run;
            let why =
                format!("`{run}` did not come to inject it: nothing says what it is to strike");
            judged(world, fault, (Verdict::Inconclusive, why));
            continue;
        };
        // an operation is listed with the one rule that struck it
        let strike = rules.iter().filter(|rule| rule.action != IoAction::Remember);
        debug_assert!(strike.count() <= 1, "{rules:?}");
        *seed = known.seed;
        *again = Some(known.all.clone());
    }
}

/// Judges whether all that was to be struck again was; `struck` is what was, or why nobody knows.
pub(super) fn judge(world: &World, fault: &str, struck: Result<(&[Struck], &AllStruck), &str>) {
    let Some(strikes) = &world.again else { return };
    let Some(outcome) = strikes.compare((&world.case.id, fault), struck) else { return };
    judged(world, fault, outcome);
}

/// Judges what was to be struck again by faults that did not come to their end, or not to their
/// beginning.
pub(super) fn conclude(world: &World) {
    let Some(strikes) = &world.again else { return };
    let of_case = strikes.faults.iter().filter(|((case, _), _)| *case == world.case.id);
    for ((_, fault), known) in of_case {
        if !world.findings().has(&id(fault)) {
            let why = format!(
                "it was not injected, or not seen to its end: whether the {} operations that `{}` struck \
                 came again is not known",
                known.number(),
                strikes.run
            );
            judged(world, fault, (Verdict::Inconclusive, why));
        }
    }
}

/// Of the assertion.
fn id(fault: &str) -> String {
    format!("{fault}.replay")
}

fn judged(world: &World, fault: &str, (verdict, why): Outcome) {
    let title = "the same operations are struck again";
    record(world, &id(fault), Hypothesis::Fault, title, Some(verdict), &why, Instant::now());
}

fn compare(
    run: &str,
    known: &OfFault,
    (listed, now): (&BTreeMap<Counted, Span>, &AllStruck),
) -> Outcome {
    let all = known.number();
    if all == 0 {
        let why = format!("`{run}` struck nothing with it, and nothing is proven by that");
        return (Verdict::Inconclusive, why);
    }
    let missing = Which::without(&known.all, &now.series);
    let besides = Which::without(&now.series, &known.all);
    let elsewhere = Which::elsewhere(known, (listed, &now.series));
    let mut why = format!("{} of {all} that `{run}` struck", all - missing.many);
    let left_out = now.left_out;
    let told = [
        (if left_out == 0 { "did not come" } else { "are not seen to have come" }, missing),
        ("came elsewhere, and may be others", elsewhere),
        ("came besides", besides),
    ];
    let differs = left_out > 0 || told.iter().any(|(_, which)| which.many > 0);
    for (what, Which { many, named }) in told.into_iter().filter(|(_, which)| which.many > 0) {
        let more = if many > named.len() as u64 { ", …" } else { "" };
        why += &format!("; these {what}: {}{more}", named.join(", "));
    }
    if left_out > 0 {
        why += &format!("; which {left_out} more are that came is not known");
    }
    (if differs { Verdict::Inconclusive } else { Verdict::Pass }, why)
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((offset, bytes)) => write!(f, "{bytes} bytes at {offset}"),
            None => f.write_str("at no place"),
        }
    }
}
