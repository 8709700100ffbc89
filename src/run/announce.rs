//! What is recorded of a run and of a case when they begin, run or not.

use super::{
    assert::whole_micros,
    event::{CaseStart, Event, FORMAT, RunStart},
    recorder::Recorder,
    strikes::Strikes,
};
use crate::{
    plan::Case,
    runtime::{EngineFacts, build_hash},
    scenario::Scenario,
    verdict::FailOn,
};

impl RunStart {
    /// A run of one case that starts now, in this process.
    #[must_use]
    pub fn now(run: &str, seed: u64, engine: Option<&EngineFacts>) -> Self {
        Self {
            format: FORMAT,
            run: run.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: build_hash().map(str::to_owned).unwrap_or_default(),
            started: jiff::Timestamp::now().to_string(),
            seed,
            // any bytes: a path need not be text
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            fail_on: FailOn::USUAL.to_vec(),
            engine: engine.cloned(),
            cases: 1,
            commit: None,
        }
    }
}

/// None that is taken for another.
const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
const LETTERS_OF_AN_ID: usize = 6;

/// `k` and six letters or digits: short enough to type, unlikely enough to meet another.
#[must_use]
pub fn new_run_id() -> String {
    let mut id = String::from("k");
    for _ in 0..LETTERS_OF_AN_ID {
        id.push(char::from(LETTERS[rand::random_range(0..LETTERS.len())]));
    }
    id
}

/// It could be the id of a run, or of a case of it that ran beside others: `k7f3a9b-1`.
#[must_use]
pub fn is_run_id(text: &str) -> bool {
    let (id, slot) = text.split_once('-').unwrap_or((text, "0"));
    let letters = id.strip_prefix('k').unwrap_or_default();
    letters.len() == LETTERS_OF_AN_ID
        && letters.bytes().all(|letter| LETTERS.contains(&letter))
        && !slot.is_empty()
        && slot.bytes().all(|digit| digit.is_ascii_digit())
}

/// Records that a case begins, in which what an earlier run struck may be struck again.
pub(super) fn announce(recorder: &Recorder, case: &Case, attempt: u32, strikes: Option<&Strikes>) {
    let mut start = start_of(case, attempt);
    let strikes = strikes.filter(|strikes| strikes.has(&case.id));
    start.again.extend(strikes.map(|strikes| format!(" --replay {}", word(strikes.place()))));
    recorder.emit(Event::CaseStarted(Box::new(start)));
}

/// Records that a case begins whose own steps are left out: `run` would do something else.
pub(super) fn announce_by_hand(recorder: &Recorder, case: &Case) {
    let start = CaseStart { again: String::new(), ..start_of(case, 1) };
    recorder.emit(Event::CaseStarted(Box::new(start)));
}

fn start_of(case: &Case, attempt: u32) -> CaseStart {
    let file = case.file.display().to_string();
    let again = again(case, &file);
    CaseStart {
        case: case.id.clone(),
        suite: case.suite.clone(),
        scenario: case.scenario.name.clone(),
        about: case.scenario.about.clone(),
        again,
        file,
        cell: case.cell.iter().cloned().collect(),
        control: case.control.as_ref().map(|control| control.name.clone()),
        fails: case.control.as_ref().map(|control| control.fails.clone()).unwrap_or_default(),
        controls: Some(case.scenario.controls.len()),
        attempt,
        seed: case.seed,
        fingerprint: Some(case.fingerprint.clone()),
        sets: Some(case.sets.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        rto_us: case.scenario.objectives.rto.map(|time| whole_micros(time.0)),
        rpo: case.scenario.objectives.rpo,
    }
}

/// The command that runs a case again, as a shell takes it.
fn again(case: &Case, file: &str) -> String {
    let set =
        |(name, value): &(String, String)| format!(" --set {}", word(&format!("{name}={value}")));
    let sets: String = case.sets.iter().map(set).collect();
    let (file, id) = (word(file), quoted(&case.id));
    let attach = if case.attaches() { " --attach" } else { "" };
    format!("keelhaul run {file} --case {id}{sets} --seed {}{attach}", case.run_seed)
}

/// The command that runs a file with this scenario in it, as a shell takes it.
pub(crate) fn run_of(file: &str, scenario: &Scenario) -> String {
    let attaches = scenario.services.values().any(|service| service.attach.is_some());
    format!("keelhaul run {}{}", word(file), if attaches { " --attach" } else { "" })
}

/// A word of a command line, in quotes where a shell would read more into it.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_survives_a_shell() {
        for text in ["plain/file.yaml", "sp ace/it's.yaml", "$HOME `x` \"y\"", "", "a=b c"] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", word(text))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}
