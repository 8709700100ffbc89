//! `keelhaul history`: runs made by hand are imported and asked about, through the command line.

use std::{fs, path::PathBuf};

use keelhaul::{
    history::FILE,
    run::{Commit, Event},
    scenario::Hypothesis,
    verdict::Verdict,
};
use rusqlite::Connection;

use super::made::Made;
use crate::harness::{Ran, Test};

/// Reports that the engine is not asked about at the end.
const OUT: &str = "out";

pub(super) struct Place(Test);

impl Place {
    pub(super) fn new() -> Self {
        Self(Test::new())
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.path(OUT).join(FILE)
    }

    pub(super) fn history(&self, args: &[&str]) -> Ran {
        let mut all = vec!["history"];
        all.extend(args);
        all.extend(["--out", OUT]);
        self.0.keelhaul(&all)
    }

    /// Writes the directory of a run that started in this hour.
    fn recorded(&self, run: &str, hour: usize, mut made: Made) {
        if let Event::RunStarted(start) = &mut made.events[0].event {
            start.run = run.into();
            start.started = format!("2026-01-02T{hour:02}:00:00Z");
            start.commit = Some(Commit { id: format!("c0ffee{hour:02}"), from: "git".into() });
        }
        let directory = self.0.path(OUT).join(run);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("events.jsonl"), made.bytes()).unwrap();
    }

    /// Six runs: recovery gets slower, the third does not recover, and `flip` breaks at the fifth.
    pub(super) fn six(&self) {
        for (hour, millis) in [(1, 1000), (2, 1100), (3, 0), (4, 1000), (5, 2000), (6, 2200)] {
            let mut made = Made::run(2);
            let micros = (millis > 0).then_some(millis * 1000);
            let verdict = if micros.is_some() { Verdict::Pass } else { Verdict::Fail };
            made.case("slower", "", 1).recovered(micros).case_end(verdict, &[]);
            let flip = if hour < 5 { Verdict::Pass } else { Verdict::Error };
            made.case("flip", "", 1).case_end(flip, &[]);
            made.end(verdict.merge(flip));
            self.recorded(&format!("run{hour}"), hour, made);
        }
        let names: Vec<String> = (1..=6).map(|hour| format!("run{hour}")).collect();
        let mut add = vec!["add"];
        add.extend(names.iter().map(String::as_str));
        let ran = self.history(&add);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.stderr.matches(": added").count(), 6, "{ran:?}");
    }
}

pub(super) fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in\n{text}");
    }
}

#[test]
fn many_runs_scenario_by_scenario_with_what_moves_and_what_broke_when() {
    let place = Place::new();
    place.six();
    let ran = place.history(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    has(
        &ran.stdout,
        &[
            "6 runs from 2026-01-02T01:00:00Z to 2026-01-02T06:00:00Z, 3 passed",
            "9 of 12 cases passed (75 %), 0 skipped",
            "slower  6 runs: 5 passed, 1 failed",
            "p50 1.100s, p95 2.200s of 5.000s, never in 1 of 6",
            "last 2 runs 2.000s, the 2 before 1.000s (+100 %)",
            "flip: error, 2 runs since run5 (2026-01-02T05:00:00Z, commit c0ffee05); passed last in run4",
            "slower: passed in 5 runs, did not (at once) in 1",
        ],
    );
    // every run by the name that `compare` takes, also those that passed
    let (_, listed) = ran.stdout.split_once("runs, newest first").expect("a list of runs");
    let ids: Vec<&str> =
        listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(ids, ["run6", "run5", "run4", "run3", "run2", "run1"], "{listed}");
    has(listed, &["run4 (2026-01-02T04:00:00Z, commit c0ffee04): pass, 2 of 2 cases passed"]);
    let compared = place.history(&["compare", ids[5], ids[2]]);
    assert_eq!(compared.code, Some(0), "{compared:?}");
    let ran = place.history(&["--format", "json", "--scenario", "flip", "--last", "2"]);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let summary = &found["summary"];
    assert_eq!((&found["version"], &summary["runs"]), (&1.into(), &2.into()));
    assert_eq!(summary["scenarios"].as_array().unwrap().len(), 1);
    assert_eq!(summary["broken"][0]["passed"], serde_json::Value::Null, "not in these runs");
    let since = place.history(&["--since", "2026-01-02T05:30:00Z"]);
    has(&since.stdout, &["1 run from 2026-01-02T06:00:00Z"]);
    has(&place.history(&["--since", "2026-01-03"]).stdout, &["no run fits"]);
}

#[test]
fn another_image_or_a_set_up_that_failed_is_not_flaky() {
    let place = Place::new();
    let runs = [
        ("bad", "old", Verdict::Fail),
        ("none", "", Verdict::Error),
        ("good", "new", Verdict::Pass),
        ("flip", "new", Verdict::Fail),
    ];
    for (hour, (run, image, verdict)) in runs.into_iter().enumerate() {
        let mut made = Made::run(2);
        for case in ["fixed", "flips"] {
            let image = if case == "flips" && !image.is_empty() { "new" } else { image };
            let verdict = if (case, run) == ("fixed", "flip") { Verdict::Pass } else { verdict };
            made.case(case, "", 1).image(image);
            if image.is_empty() {
                made.assert("set-up", Hypothesis::SteadyState, Some(verdict), "no such image");
            }
            made.case_end(verdict, &[]);
        }
        made.end(verdict);
        place.recorded(run, hour + 1, made);
        assert_eq!(place.history(&["add", run]).code, Some(0));
    }
    let ran = place.history(&[]);
    has(&ran.stdout, &["flips: passed in 1 run, did not (at once) in 2"]);
    assert!(!ran.stdout.contains("fixed: passed"), "{}", ran.stdout);
    // what changed is the image, not the file
    has(
        &place.history(&["compare", "bad", "good"]).stdout,
        &["fixed: fail → pass
"],
    );
}

#[test]
fn runs_with_other_values_are_told_apart_by_those() {
    let place = Place::new();
    let runs = [
        ("out", &["image=db:1"][..], Verdict::Pass),
        ("candidate", &["image=db:2", "rate=50/s"], Verdict::Fail),
        ("plain", &[], Verdict::Pass),
        ("out-2", &["image=db:1"], Verdict::Pass),
        ("candidate-2", &["image=db:2", "rate=50/s"], Verdict::Fail),
        ("plain-2", &[], Verdict::Pass),
    ];
    let names = runs.map(|(run, ..)| run);
    for (hour, (run, sets, verdict)) in runs.into_iter().enumerate() {
        let mut made = Made::run(1);
        made.case("first", "", 1).given(sets).case_end(verdict, &[]).end(verdict);
        place.recorded(run, hour + 1, made);
    }
    assert_eq!(place.history(&[&["add"][..], &names[..]].concat()).code, Some(0));
    let said = place.history(&[]).stdout;
    has(&said, &["with `--set image=db:1`\n", "with `--set image=db:2 rate=50/s`\n"]);
    has(
        &said,
        &["\nfirst  2 runs: 2 ", "rate=50/s`  2 runs: 0 ", "rate=50/s`: fail, 2 runs since"],
    );
    let plain = said.lines().find(|line| line.trim_start().starts_with("plain (")).unwrap();
    assert!(!plain.contains("--set"), "{plain}");
    for (runs, changed) in [
        (
            ["out", "candidate"],
            "first: pass → fail (with `--set image=db:1`, then with `--set image=db:2 rate=50/s`)",
        ),
        (
            ["candidate", "plain"],
            "first: fail → pass (with `--set image=db:2 rate=50/s`, then without `--set`)",
        ),
    ] {
        has(&place.history(&["compare", runs[0], runs[1]]).stdout, &[changed]);
    }
}

/// Each build has a tag of its own: what broke once and was mended is not broken, and there is a trend.
#[test]
fn runs_of_one_build_after_the_other_are_one_row() {
    let place = Place::new();
    let builds = [("a", false), ("b", true), ("c", true), ("d", true), ("e", false), ("f", false)];
    for (hour, (run, passes)) in builds.into_iter().enumerate() {
        let mut made = Made::run(1);
        let verdict = if passes { Verdict::Pass } else { Verdict::Fail };
        let image = format!("image=app:{run}");
        made.case("first", "", 1).given(&[image.as_str()]).case_end(verdict, &[]).end(verdict);
        place.recorded(run, hour + 1, made);
    }
    assert_eq!(place.history(&["add", "a", "b", "c", "d", "e", "f"]).code, Some(0));
    let said = place.history(&[]).stdout;
    has(&said, &["\nfirst, with `--set image=app:f`  6 runs: 3 passed, 3 failed"]);
    has(&said, &["first, with `--set image=app:f`: fail, 2 runs since e ("]);
    assert!(!said.contains("app:a`: fail"), "it was mended: {said}");
}

#[test]
fn a_file_of_the_first_version_is_read_and_added_to() {
    let place = Place::new();
    place.six();
    let older = "ALTER TABLE cases DROP COLUMN sets; PRAGMA user_version = 1";
    Connection::open(place.file()).unwrap().execute_batch(older).unwrap();
    let before = fs::read(place.file()).unwrap();
    has(&place.history(&[]).stdout, &["6 runs from", "9 of 12 cases passed"]);
    has(&place.history(&["compare", "run1", "run5"]).stdout, &["flip: pass → error"]);
    assert!(before == fs::read(place.file()).unwrap(), "who only reads it changes nothing");
    let mut made = Made::run(1);
    made.case("first", "", 1).given(&["a=b"]).case_end(Verdict::Pass, &[]).end(Verdict::Pass);
    place.recorded("later", 9, made);
    has(&place.history(&["add", "later"]).stderr, &["later: added"]);
    has(&place.history(&[]).stdout, &["7 runs from", "with `--set a=b`"]);
}

#[test]
fn a_pass_whose_control_was_not_caught_is_no_pass() {
    let place = Place::new();
    for (hour, control) in [(1, Verdict::Pass), (2, Verdict::Inconclusive)] {
        let mut made = Made::run(2);
        made.case("first", "", 1).case_end(Verdict::Pass, &[]);
        made.case("first", "log-or-die", 1).case_end(control, &[]);
        made.end(control);
        place.recorded(&format!("run{hour}"), hour, made);
    }
    assert_eq!(place.history(&["add", "run1", "run2"]).code, Some(0));
    let ran = place.history(&[]);
    has(
        &ran.stdout,
        &[
            "1 of 2 cases passed (50 %)",
            "first  2 runs: 1 passed, 1 inconclusive; 1 of 2 controls caught",
        ],
    );
}

#[test]
fn a_run_is_added_once_and_one_cut_short_is_completed() {
    let place = Place::new();
    let mut whole = Made::everything();
    let last = whole.events.pop().unwrap();
    place.recorded("cut", 1, whole);
    has(&place.history(&["add", "cut"]).stderr, &["cut: added"]);
    has(&place.history(&["add", "cut"]).stderr, &["cut: there already"]);
    let mut whole = Made::everything();
    whole.events.pop();
    whole.events.push(last);
    place.recorded("cut", 1, whole);
    has(&place.history(&["add", "out/cut", "cut"]).stderr, &["is whole now", "there already"]);
    let ran = place.history(&[]);
    has(&ran.stdout, &["1 run from", "1 of 2 controls caught", "flaky"]);
}

#[test]
fn two_runs_side_by_side() {
    let place = Place::new();
    place.six();
    let ran = place.history(&["compare", "run4", "latest"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    has(
        &ran.stdout,
        &[
            "run4 → run6: 2 cases in both",
            "flip: pass → error",
            "slower recover: 1.000s → 2.200s (+120 %)",
        ],
    );
    let ran = place.history(&["compare", "run1", "run2"]);
    has(&ran.stdout, &["nothing changed"]);
    let ran = place.history(&["compare", "run1", "run2", "--more-than", "5"]);
    has(&ran.stdout, &["1.000s → 1.100s (+10 %)"]);
    let ran = place.history(&["compare", "run3", "run4", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let moved = &found["comparison"]["recoveries"][0];
    assert_eq!(
        (&moved["before_us"], &moved["now_us"]),
        (&serde_json::Value::Null, &1_000_000.into())
    );
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let place = Place::new();
    for (args, parts) in [
        (&["compare", "a", "b"][..], &["there is no history in", "hint: every `keelhaul run`"][..]),
        (&[], &["there is no history in"]),
        (&["add", "nowhere"], &["cannot read", "hint: there is no run in `out`"]),
    ] {
        let ran = place.history(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        has(&ran.stderr, parts);
    }
    assert!(!place.0.path(OUT).exists(), "nothing is made");
    place.six();
    for (args, parts) in [
        (&["compare", "run", "run1"][..], &["`run` may be any of", "hint: write more of it"][..]),
        (&["compare", "run1", "gone"], &["no run `gone`", "the newest are `run6`"]),
        (&["--scenario", "flop"], &["no scenario `flop`", "did you mean `flip`?"]),
        (&["--since", "soon"], &["neither a time nor a span"]),
        (&["--last", "0"], &["--last"]),
        (&["--last", "1", "compare", "run1", "run2"], &["--last"]),
    ] {
        let ran = place.history(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        has(&ran.stderr, parts);
    }
}

/// Files that are no history of ours, with what is said of each.
fn wrong(path: &std::path::Path, how: &str) -> &'static str {
    let told = |sql: &str| Connection::open(path).unwrap().execute_batch(sql).unwrap();
    match how {
        "noise" => {
            fs::write(path, "no database at all, and longer than a header has to be".repeat(40))
                .unwrap();
            "is not a history of keelhaul"
        }
        "foreign" => {
            let _ = fs::remove_file(path);
            told("CREATE TABLE theirs (a)");
            "it is a database of another program"
        }
        "newer" => {
            told("PRAGMA user_version = 99");
            "is of version 99; this keelhaul knows up to 2"
        }
        "pages" => {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 4..bytes.len() / 2;
            bytes[middle].fill(0x5a);
            fs::write(path, bytes).unwrap();
            "is damaged"
        }
        "values" => {
            told("UPDATE runs SET verdict = 'splendid' WHERE run = 'run6'");
            "is damaged"
        }
        _ => {
            told("DROP TABLE recoveries");
            "is damaged"
        }
    }
}

#[test]
fn a_file_that_is_no_history_is_refused_with_a_hint_and_stays_as_it_is() {
    let place = Place::new();
    place.six();
    let good = fs::read(place.file()).unwrap();
    for how in ["noise", "foreign", "newer", "pages", "values", "tables"] {
        fs::write(place.file(), &good).unwrap();
        let said = wrong(&place.file(), how);
        let before = fs::read(place.file()).unwrap();
        let ran = place.history(&[]);
        assert_eq!(ran.code, Some(2), "{how}: {ran:?}");
        has(&ran.stderr, &[said, "hint: "]);
        // what is added already is not looked at
        if !["values", "tables"].contains(&how) {
            let ran = place.history(&["add", "run1", "run2"]);
            assert_eq!(ran.code, Some(2), "{how}: {ran:?}");
        }
        assert!(before == fs::read(place.file()).unwrap(), "{how}: touched");
    }
}

/// Without an engine a run ends at once; it is a run all the same.
fn without_engine(place: &Place, more: &[&str], env: &[(&str, &str)]) -> Ran {
    let yaml = "keelhaul: 1\nname: any\nservices: { a: { image: x } }\nsteps: [{ wait: 1ms }]\n\
                verify: [{ file: { service: a, path: /x, exists: true } }]\n";
    place.0.scenario("any.yaml", yaml);
    let mut args = vec!["run", "any.yaml", "--out", OUT];
    args.extend(more);
    let mut all = vec![("DOCKER_HOST", "unix:///nowhere/engine.sock")];
    all.extend(env);
    place.0.start(&args, &all, "").end()
}

#[test]
fn each_event_is_shown_as_it_comes_where_more_is_asked_for() {
    let place = Place::new();
    let said = |more| without_engine(&place, more, &[]).stderr;
    assert!(!said(&[]).contains("run-started"));
    has(&said(&["-v"]), &["run-started", "run-ended"]);
}

#[test]
fn a_run_adds_itself_and_fails_for_no_history() {
    let place = Place::new();
    for (more, env) in [(&["--no-history"][..], &[][..]), (&[], &[("KEELHAUL_NO_HISTORY", "1")])] {
        assert_eq!(without_engine(&place, more, env).code, Some(3));
        assert!(!place.file().exists());
    }
    let ran = without_engine(&place, &[], &[("KEELHAUL_NO_HISTORY", "0")]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(!ran.stderr.contains("warning"), "{ran:?}");
    has(&place.history(&[]).stdout, &["1 run from", "0 of 0 cases passed"]);

    fs::write(place.file(), "somebody's notes, and nothing that a database begins with").unwrap();
    let ran = without_engine(&place, &[], &[]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    has(&ran.stderr, &["warning: this run is not in the history"]);
    // what was asked for is on the one, what went wrong on the other
    has(&ran.stdout, &["Summary", "reports: "]);
    assert!(!ran.stderr.contains("reports: ") && !ran.stdout.contains("warning"), "{ran:?}");
    assert_eq!(ran.stderr.matches("warning").count(), 1, "{ran:?}");
    assert!(fs::read_to_string(place.file()).unwrap().starts_with("somebody's notes"));
}

#[test]
fn a_history_that_another_holds_is_waited_for_and_then_named_and_a_run_goes_without() {
    let place = Place::new();
    place.six();
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let ran = place.history(&[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    has(&ran.stderr, &["is locked by another process", "hint: wait"]);
    let ran = without_engine(&place, &[], &[]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    has(&ran.stderr, &["warning: this run is not in the history", "locked by another process"]);
    other.execute_batch("ROLLBACK").unwrap();
    // its reports are whole: it is added when the other is done
    let (_, rest) = ran.stdout.split_once("reports: out/").expect("a place of its reports");
    assert_eq!(place.history(&["add", rest.lines().next().unwrap()]).code, Some(0));
    has(&place.history(&[]).stdout, &["7 runs from"]);
}
