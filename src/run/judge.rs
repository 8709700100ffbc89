//! What the assertions of a case came to, and what the case comes to. Pure.

use crate::{plan::ControlCase, verdict::Verdict};

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Id of the assertion, or what else was found.
    pub(super) id: String,
    /// The judgement; none when it was not evaluated.
    pub(super) verdict: Option<Verdict>,
    /// Why.
    pub(super) message: String,
}

/// Findings of a case, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    all: Vec<Finding>,
    broken: Option<String>,
    /// Someone goes on by hand, whatever broke.
    goes_on: bool,
}

impl Findings {
    /// Adds an assertion's finding.
    pub(super) fn add(&mut self, id: &str, verdict: Option<Verdict>, message: &str) {
        self.all.push(Finding { id: id.to_owned(), verdict, message: message.to_owned() });
    }

    /// A precondition of everything later does not hold: an effect unproven, a helper lost, a set-up
    /// that failed. Later assertions are not evaluated.
    pub(super) fn break_off(&mut self, why: &str) {
        if self.goes_on {
            return;
        }
        self.broken.get_or_insert_with(|| why.to_owned());
    }

    /// From now on every assertion is evaluated for itself: what follows is done by hand, and who
    /// does it sees what was found. The verdict keeps all of it.
    pub(super) fn go_on(&mut self) {
        self.goes_on = true;
    }

    /// Why later assertions are not evaluated, where they are not.
    pub(super) fn broken(&self) -> Option<String> {
        self.broken.clone()
    }

    /// Whether there is one of this assertion.
    pub(super) fn has(&self, id: &str) -> bool {
        self.all.iter().any(|finding| finding.id == id)
    }

    /// The first assertion that failed.
    pub(super) fn first_failure(&self) -> Option<&Finding> {
        self.all.iter().find(|finding| finding.verdict == Some(Verdict::Fail))
    }

    /// The first assertion that did not hold, or could not be judged.
    pub(super) fn what_broke(&self) -> Option<&Finding> {
        let is_good = |verdict| [Verdict::Pass, Verdict::Skipped].contains(&verdict);
        let bad = |it: &&Finding| it.verdict.is_some_and(|verdict| !is_good(verdict));
        self.first_failure().or_else(|| self.all.iter().find(bad))
    }

    /// The heaviest verdict apart from failures.
    pub(super) fn heaviest_but_failures(&self) -> Verdict {
        let verdicts = self.all.iter().filter_map(|finding| finding.verdict);
        verdicts.filter(|verdict| *verdict != Verdict::Fail).fold(Verdict::Pass, Verdict::merge)
    }

    /// The case's verdict with its reasons, heaviest first. `step_of` names the step that an
    /// assertion belongs to: a control may list either.
    pub(super) fn judge(
        &self,
        control: Option<&ControlCase>,
        step_of: impl Fn(&str) -> Option<String>,
    ) -> (Verdict, Vec<String>) {
        match control {
            None => self.merged(),
            Some(control) => self.judge_control(control, step_of),
        }
    }

    fn merged(&self) -> (Verdict, Vec<String>) {
        let mut weighty: Vec<_> = self
            .all
            .iter()
            .filter_map(|finding| Some((finding.verdict?, finding)))
            .filter(|(verdict, _)| *verdict != Verdict::Pass)
            .collect();
        weighty.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
        let verdict = weighty.first().map_or(Verdict::Pass, |(verdict, _)| *verdict);
        let reasons = weighty
            .into_iter()
            .map(|(verdict, finding)| format!("{verdict}: {}: {}", finding.id, finding.message))
            .collect();
        (verdict, reasons)
    }

    /// Why a failure proves nothing: something else broke before it, or the fault was not what it
    /// seemed.
    fn trouble(&self, failure: Option<&Finding>) -> Option<&Finding> {
        let broken = |finding: &&Finding| {
            matches!(finding.verdict, Some(Verdict::Error | Verdict::Inconclusive))
        };
        let mut before = self.all.iter().take_while(|finding| Some(*finding) != failure);
        // whether the fault was in force all the time, and reached anybody, is found out afterwards
        let of_a_fault = |finding: &&Finding| {
            [".lasting", ".revert"].iter().any(|part| finding.id.ends_with(part))
        };
        let unproven = || self.all.iter().filter(broken).find(of_a_fault);
        before.find(broken).or_else(unproven)
    }

    /// A control is good if nothing but the hypothesis broke, and broke first where it must.
    fn judge_control(
        &self,
        control: &ControlCase,
        step_of: impl Fn(&str) -> Option<String>,
    ) -> (Verdict, Vec<String>) {
        let (merged, reasons) = self.merged();
        let failure = self.first_failure();
        if let Some(trouble) = self.trouble(failure) {
            let why = format!("the control proves nothing: {}: {}", trouble.id, trouble.message);
            return (Verdict::Inconclusive, vec![why]);
        }
        if merged == Verdict::Skipped {
            return (Verdict::Skipped, reasons);
        }
        let listed = |id: &str| {
            control.may_break(id) || step_of(id).is_some_and(|step| control.may_break(&step))
        };
        match failure {
            None => {
                let why = "the control did not fail: this scenario cannot see the bug".to_owned();
                (Verdict::Inconclusive, vec![why])
            }
            Some(finding) if !listed(&finding.id) => {
                let wanted = control.fails.join("`, `");
                let why = format!(
                    "the control failed first at `{}`, not at `{wanted}`: {}",
                    finding.id, finding.message
                );
                (Verdict::Inconclusive, vec![why])
            }
            Some(finding) => (
                Verdict::Pass,
                vec![format!("failed as it must: {}: {}", finding.id, finding.message)],
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(list: &[(&str, Verdict)]) -> Findings {
        let mut findings = Findings::default();
        for (id, verdict) in list {
            findings.add(id, Some(*verdict), "because");
        }
        findings
    }

    fn control(fails: &[&str]) -> ControlCase {
        let fails = fails.iter().map(|id| (*id).to_owned()).collect();
        ControlCase { name: "twin".into(), fails }
    }

    #[test]
    fn the_heaviest_finding_decides() {
        let (verdict, reasons) =
            findings(&[("a", Verdict::Pass), ("b", Verdict::Inconclusive), ("c", Verdict::Fail)])
                .judge(None, |_| None);
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(reasons[0], "fail: c: because");
    }

    #[test]
    fn a_control_passes_only_where_it_must_fail() {
        let failing = findings(&[("a", Verdict::Pass), ("recover", Verdict::Fail)]);
        assert_eq!(failing.judge(Some(&control(&["recover"])), |_| None).0, Verdict::Pass);
        assert_eq!(failing.judge(Some(&control(&[])), |_| None).0, Verdict::Pass);
        assert_eq!(
            failing.judge(Some(&control(&["verify[0]"])), |_| None).0,
            Verdict::Inconclusive
        );
        let of_step = |_: &str| Some("verify[0]".to_owned());
        assert_eq!(failing.judge(Some(&control(&["verify[0]"])), of_step).0, Verdict::Pass);
    }

    #[test]
    fn a_control_that_passes_or_breaks_early_proves_nothing() {
        let passing = findings(&[("a", Verdict::Pass)]);
        assert_eq!(passing.judge(Some(&control(&[])), |_| None).0, Verdict::Inconclusive);
        let broken =
            findings(&[("full.effect", Verdict::Inconclusive), ("recover", Verdict::Fail)]);
        assert_eq!(broken.judge(Some(&control(&["recover"])), |_| None).0, Verdict::Inconclusive);
        for (id, verdict) in [
            ("full.lasting", Verdict::Inconclusive),
            ("full.revert", Verdict::Inconclusive),
            ("full.revert", Verdict::Error),
        ] {
            let late = findings(&[("recover", Verdict::Fail), (id, verdict)]);
            assert_eq!(late.judge(Some(&control(&["recover"])), |_| None).0, Verdict::Inconclusive);
        }
        let error = findings(&[("set-up", Verdict::Error)]);
        assert_eq!(error.judge(Some(&control(&[])), |_| None).0, Verdict::Inconclusive);
    }
}
