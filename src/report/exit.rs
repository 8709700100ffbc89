//! The exit code of a run: of its cases as `--fail-on` wants them counted.

use super::{never_started, outcomes};
use crate::{
    run::RunRecord,
    verdict::{Ending, ExitCode, FailOn, Verdict},
};

/// What the command ends with. `reports`: how writing them went.
pub(crate) fn exit_code(record: &RunRecord, reports: Verdict) -> ExitCode {
    let (verdict, ending) = record.ended.unwrap_or((Verdict::Error, Ending::default()));
    let fail_on = record.start.as_ref().map_or(&FailOn::USUAL[..], |start| &start.fail_on);
    let (cases, flaky) = outcomes(record);
    // what is heavier than every case comes from the run itself: no helper, no room for its files
    let beside = match cases.iter().copied().fold(Verdict::Pass, Verdict::merge) {
        heaviest if verdict > heaviest => verdict.merge(reports),
        _ => reports,
    };
    // nor does a case show those that never were
    let all_ran = record.ended.is_some() && never_started(record) == 0;
    let missing = (!all_ran).then_some(Verdict::Error);
    // each case for itself, so that a failure that is not to count does not hide an error that is
    let counts = |verdict: &Verdict| FailOn::counts(fail_on, *verdict);
    let flaky = (flaky && fail_on.contains(&FailOn::Flaky)).then_some(Verdict::Fail);
    let all = cases.into_iter().chain([beside]).chain(missing).filter(counts);
    ExitCode::of(all.chain(flaky).fold(Verdict::Pass, Verdict::merge), ending)
}
