//! The cases of a run, grouped as reports show them: suite, then case, then attempt.

use std::collections::HashMap;

use crate::{
    run::{CaseRecord, RunRecord},
    verdict::Verdict,
};

/// A scenario in one cell of its matrix.
pub(crate) struct Suite<'a> {
    /// `name[cell]`.
    pub(crate) name: &'a str,
    /// Its cases, in order of their first start.
    pub(crate) cases: Vec<Case<'a>>,
}

/// A case and its attempts.
pub(crate) struct Case<'a> {
    /// In order; never empty.
    attempts: Vec<&'a CaseRecord>,
    /// A control of the same suite that did not fail as it must.
    uncaught: Option<&'a str>,
}

impl<'a> Case<'a> {
    /// The attempt that counts.
    pub(crate) fn last(&self) -> &'a CaseRecord {
        self.attempts[self.attempts.len() - 1]
    }

    /// The attempts that were made up for.
    pub(crate) fn earlier(&self) -> &[&'a CaseRecord] {
        &self.attempts[..self.attempts.len() - 1]
    }

    /// What it counts as: a pass counts for nothing where a control shows that nobody could fail.
    pub(crate) fn verdict(&self) -> Verdict {
        match (self.last().verdict(), self.uncaught) {
            (Verdict::Pass, Some(_)) => Verdict::Inconclusive,
            (verdict, _) => verdict,
        }
    }

    /// The control that takes the worth from a pass, where one does.
    pub(crate) fn uncaught(&self) -> Option<&'a str> {
        self.uncaught.filter(|_| self.last().verdict() == Verdict::Pass)
    }

    /// The control's name, where this is one.
    pub(crate) fn control(&self) -> Option<&'a str> {
        self.last().start.control.as_deref()
    }

    /// Passed, but not at once.
    pub(crate) fn flaky(&self) -> bool {
        self.last().verdict() == Verdict::Pass
            && self.earlier().iter().any(|attempt| attempt.verdict() != Verdict::Pass)
    }

    /// What tells repeats apart, ` #2`; empty where there is one.
    pub(crate) fn repeat(&self) -> String {
        let id = &self.last().start.case;
        id.rsplit_once('#').map(|(_, number)| format!(" #{number}")).unwrap_or_default()
    }
}

/// What each case came to in the attempt that counts, and whether any was flaky.
pub(crate) fn outcomes(record: &RunRecord) -> (Vec<Verdict>, bool) {
    let suites = suites(record);
    let cases = suites.iter().flat_map(|suite| &suite.cases);
    let flaky = cases.clone().any(Case::flaky);
    (cases.map(|case| case.last().verdict()).collect(), flaky)
}

/// Each case, suite by suite.
pub(crate) fn cases(record: &RunRecord) -> Vec<Case<'_>> {
    suites(record).into_iter().flat_map(|suite| suite.cases).collect()
}

/// Groups the cases of a run. Linear in their number.
pub(crate) fn suites(record: &RunRecord) -> Vec<Suite<'_>> {
    let mut suites: Vec<Suite<'_>> = Vec::new();
    let mut suite_of = HashMap::new();
    let mut case_of = HashMap::new();
    for case in &record.cases {
        let suite = *suite_of.entry(case.start.suite.as_str()).or_insert_with(|| {
            suites.push(Suite { name: &case.start.suite, cases: Vec::new() });
            suites.len() - 1
        });
        let cases = &mut suites[suite].cases;
        let index = *case_of.entry((suite, case.start.case.as_str())).or_insert_with(|| {
            cases.push(Case { attempts: Vec::new(), uncaught: None });
            cases.len() - 1
        });
        cases[index].attempts.push(case);
    }
    suites.iter_mut().for_each(Suite::weigh);
    suites
}

impl Suite<'_> {
    /// Marks the cases whose pass is worth nothing. A control that was skipped says nothing.
    fn weigh(&mut self) {
        let uncaught = |case: &Case<'_>| case.last().verdict() > Verdict::Skipped;
        let control = self.cases.iter().find(|case| case.control().is_some() && uncaught(case));
        let Some(name) = control.and_then(Case::control) else { return };
        for case in self.cases.iter_mut().filter(|case| case.control().is_none()) {
            case.uncaught = Some(name);
        }
    }
}
