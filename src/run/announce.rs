//! What is recorded of a case when it begins, run or not.

use super::{
    event::{CaseStart, Event},
    inject::whole_micros,
    recorder::Recorder,
};
use crate::plan::Case;

/// Records that a case begins.
pub(super) fn announce(recorder: &Recorder, case: &Case, attempt: u32) {
    recorder.emit(Event::CaseStarted(Box::new(start_of(case, attempt))));
}

fn start_of(case: &Case, attempt: u32) -> CaseStart {
    let file = case.file.display().to_string();
    CaseStart {
        case: case.id.clone(),
        suite: case.suite.clone(),
        scenario: case.scenario.name.clone(),
        about: case.scenario.about.clone(),
        again: format!("keelhaul run {file} --case '{}' --seed {}", case.id, case.run_seed),
        file,
        cell: case.cell.iter().cloned().collect(),
        control: case.control.as_ref().map(|control| control.name.clone()),
        fails: case.control.as_ref().map(|control| control.fails.clone()).unwrap_or_default(),
        attempt,
        seed: case.seed,
        rto_us: case.scenario.objectives.rto.map(|time| whole_micros(time.0)),
        rpo: case.scenario.objectives.rpo,
    }
}
