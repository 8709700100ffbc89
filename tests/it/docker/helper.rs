//! The helper on a real engine: injected, seen, reverted, whoever is killed or stopped meanwhile.
//!
//! A driver process stands in for the command line, so that it can be killed too. What is in force
//! is read from `/proc` by the test itself, not through the helper.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Far above what is promised (2 s), so that a busy machine fails nothing.
const BOUND: Duration = Duration::from_secs(10);

/// The driver; built on demand, since a single test target builds no examples.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // with the features that we have: the library is there already
        let features = if cfg!(feature = "testcontainers") { "testcontainers" } else { "" };
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", "helper_drive", "--features", features])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success(), "the driver does not build");
        let keelhaul = PathBuf::from(env!("CARGO_BIN_EXE_keelhaul"));
        keelhaul.parent().unwrap().join("examples/helper_drive")
    })
}

fn recover(verb: &str) -> Value {
    let output = Command::new(program()).args(["recover", verb]).output().unwrap();
    serde_json::from_slice::<Value>(&output.stdout).unwrap()
}

/// A driver, its run, and the end of both.
struct Drive {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    run: String,
}

impl Drive {
    fn start(name: &str, env: &[(&str, &str)]) -> Self {
        let run = format!("helper-{name}-{}", std::process::id());
        let mut command = Command::new(program());
        command.arg(&run).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.envs(env.iter().copied()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let mut drive = Self { child, input, output: BufReader::new(output), run };
        let started = drive.answer();
        assert!(started["ok"]["started_ms"].is_u64(), "{started}");
        drive
    }

    /// What is said next; null when the driver is dead.
    fn answer(&mut self) -> Value {
        let mut line = String::new();
        let _ = self.output.read_line(&mut line);
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    fn ask(&mut self, command: &Value) -> Value {
        let _ = writeln!(self.input.as_ref().unwrap(), "{command}");
        self.answer()
    }

    /// The value of an answer that must be good.
    fn get(&mut self, command: &Value) -> Value {
        let answer = self.ask(command);
        assert!(!answer["ok"].is_null(), "{command}: {answer}");
        answer["ok"]["value"].clone()
    }

    fn subject(&mut self) -> Subject {
        let removal = json!([{ "engine": { "remove-run": { "run": self.run } } }]);
        let entry = entry("objects", &json!(["nothing"]), &removal);
        self.get(&json!({ "apply": entry }));
        let place = self.get(&json!({ "subject": { "name": "a" } }));
        let init = self.get(&json!({ "read": { "init": place } }))["init"].clone();
        let mounts = self.get(&json!({ "read": { "mount-of": place } }));
        let keep = mounts["mounts"][0]["id"].clone();
        Subject { place, init, keep }
    }

    fn finish(&mut self) {
        let report = self.get(&json!("rollback"));
        for undone in report["undone"].as_array().unwrap() {
            assert_eq!((&undone["problems"], &undone["pending"]), (&json!([]), &json!([])));
        }
        self.get(&json!("finish"));
        assert!(self.child.wait().unwrap().success());
        assert_eq!(objects(&self.run), "");
    }

    /// Pid of the keeper, or of the worker.
    fn pid_of(&self, role: &str) -> Pid {
        let keeper = processes(|args| {
            args.get(1).is_some_and(|a| a == "helper") && args.contains(&self.run)
        });
        let keeper = keeper[0];
        if role == "keeper" {
            return Pid::from_raw(keeper).unwrap();
        }
        let workers = processes(|args| args.get(1).is_some_and(|a| a == "helper-worker"));
        let ours = workers.into_iter().find(|pid| parent(*pid) == keeper);
        Pid::from_raw(ours.unwrap()).unwrap()
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let end = Instant::now() + BOUND;
        while !recover(&self.run)["ok"].is_object() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn processes(wanted: impl Fn(&[String]) -> bool) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let args: Vec<String> = line.split('\0').map(str::to_owned).collect();
        wanted(&args)
    })
    .collect()
}

fn parent(pid: i32) -> i32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_whitespace().nth(1).and_then(|ppid| ppid.parse().ok()).unwrap_or(0)
}

fn entry(what: &str, ops: &Value, undo: &Value) -> Value {
    json!({ "what": what, "ops": ops, "undo": undo, "expires_ms": null })
}

/// Everything that the engine has of a run.
fn objects(run: &str) -> String {
    let label = format!("label=keelhaul.run={run}");
    let lists = [["ps", "-aq"], ["volume", "ls"], ["network", "ls"]];
    let lists = lists.map(|list| {
        let quiet = if list[0] == "ps" { vec![] } else { vec!["-q"] };
        let output =
            Command::new("docker").args(list).args(quiet).args(["--filter", &label]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    });
    lists.concat().trim().to_owned()
}

/// A container with a volume at `/data`.
struct Subject {
    place: Value,
    init: Value,
    keep: Value,
}

impl Subject {
    /// A read-only fault on its volume.
    fn read_only(&self) -> Value {
        entry(
            "read-only",
            &json!([{ "stack-clone": { "place": self.place, "set": ["read-only"] } }]),
            &json!([{ "unstack": { "place": self.place, "init": self.init, "keep": self.keep } }]),
        )
    }

    /// How many mounts are stacked at `/data`, in the container's own words; none when it is gone.
    fn stacked(&self) -> usize {
        let table = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.init["pid"]));
        let table = table.unwrap_or_default();
        table.lines().filter(|line| line.split(' ').nth(4) == Some("/data")).count()
    }

    fn await_reverted(&self) -> Duration {
        let started = Instant::now();
        while self.stacked() > 1 {
            assert!(started.elapsed() < BOUND, "the fault is still in force");
            std::thread::sleep(Duration::from_millis(5));
        }
        started.elapsed()
    }
}

#[test]
fn a_fault_is_injected_seen_and_reverted_and_nothing_is_left() {
    let mut drive = Drive::start("round", &[]);
    let subject = drive.subject();
    let trial = json!({ "read": { "try-create": subject.place } });
    assert_eq!(drive.get(&trial)["tried"]["errno"], Value::Null);
    let applied = drive.get(&json!({ "apply": subject.read_only() }));
    assert_eq!(drive.get(&trial)["tried"]["errno"], "EROFS");
    assert_eq!(subject.stacked(), 2);
    for _ in 0..2 {
        let undone = drive.get(&json!({ "revert": applied["id"] }));
        assert_eq!(undone["problems"], json!([]));
        assert_eq!(subject.stacked(), 1);
    }
    assert_eq!(drive.get(&trial)["tried"]["errno"], Value::Null);
    drive.finish();
}

#[test]
fn a_service_that_dies_of_a_fault_is_looked_at_in_the_mounts_it_had() {
    let mut drive = Drive::start("died", &[]);
    let subject = drive.subject();
    let trial = json!({ "read": { "try-create": subject.place } });
    let kept = json!({ "read": { "kept": { "try-create": subject.place } } });
    drive.get(&json!({ "apply": subject.read_only() }));
    let init = subject.init["pid"].as_i64().and_then(|pid| Pid::from_raw(pid.try_into().unwrap()));
    kill_process(init.unwrap(), Signal::KILL).unwrap();
    let started = Instant::now();
    // whoever asks for a service that runs is not told of one that ran
    while drive.ask(&trial)["error"].is_null() {
        assert!(started.elapsed() < BOUND, "it does not die");
    }
    assert_eq!(drive.get(&kept)["tried"]["errno"], "EROFS");
    while drive.ask(&kept)["error"].is_null() {
        assert!(started.elapsed() < BOUND, "its mounts are kept for ever");
        std::thread::sleep(Duration::from_millis(50));
    }
    drive.finish();
}

#[test]
fn what_was_done_of_an_entry_that_fails_is_undone() {
    let mut drive = Drive::start("half", &[]);
    let subject = drive.subject();
    let mut entry = subject.read_only();
    let missing = json!({ "path": "/nowhere", "container": subject.place["container"], "pid": 0, "host_path": null });
    entry["ops"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "stack-clone": { "place": missing, "set": [] } }));
    let answer = drive.ask(&json!({ "apply": entry }));
    assert!(answer["error"].as_str().unwrap().contains("ENOENT"), "{answer}");
    assert_eq!(subject.stacked(), 1);
    drive.finish();
}

#[test]
fn an_entry_whose_time_is_up_is_undone_without_being_asked() {
    let mut drive = Drive::start("expiry", &[]);
    let subject = drive.subject();
    let mut entry = subject.read_only();
    entry["expires_ms"] = json!(400);
    let applied = drive.get(&json!({ "apply": entry }));
    assert_eq!(subject.stacked(), 2);
    subject.await_reverted();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(drive.get(&json!("expired"))[0]["id"], applied["id"]);
    assert_eq!(drive.get(&json!("expired")), json!([]));
    drive.finish();
}

#[test]
fn a_vacuous_op_says_ok_and_does_nothing() {
    let mut drive = Drive::start("vacuous", &[("KEELHAUL_VACUOUS_OP", "1")]);
    let subject = drive.subject();
    let applied = drive.get(&json!({ "apply": subject.read_only() }));
    assert!(applied["outcomes"][0]["mounted"]["id"].is_u64());
    assert_eq!(subject.stacked(), 1);
    drive.finish();
}

#[test]
fn a_worker_that_is_killed_or_stopped_costs_the_run_and_nothing_else() {
    for (name, signal) in [("wkill", Signal::KILL), ("wstop", Signal::STOP)] {
        survive(name, "worker", signal);
    }
}

#[test]
fn a_keeper_that_is_killed_or_stopped_is_replaced_and_reverts() {
    for (name, signal) in [("kkill", Signal::KILL), ("kstop", Signal::STOP)] {
        survive(name, "keeper", signal);
    }
}

fn survive(name: &str, role: &str, signal: Signal) {
    let mut drive = Drive::start(name, &[]);
    let subject = drive.subject();
    drive.get(&json!({ "apply": subject.read_only() }));
    assert_eq!(subject.stacked(), 2);
    kill_process(drive.pid_of(role), signal).unwrap();
    let took = subject.await_reverted();
    let _ = writeln!(std::io::stderr(), "{role} {signal:?}: reverted after {took:?}");
    assert!(drive.get(&json!("lost")).is_string());
    let refused = drive.ask(&json!({ "apply": subject.read_only() }));
    assert!(refused["error"].as_str().unwrap().contains("lost"), "{refused}");
    assert_eq!(subject.stacked(), 1);
    drive.finish();
}

#[test]
fn a_command_line_that_is_killed_leaves_nothing_in_force_and_recover_the_rest() {
    let mut drive = Drive::start("cli", &[]);
    let subject = drive.subject();
    let mut other = Drive::start("beside", &[]);
    let beside = other.subject();
    other.get(&json!({ "apply": beside.read_only() }));
    drive.get(&json!({ "apply": subject.read_only() }));
    drive.child.kill().unwrap();
    drive.child.wait().unwrap();
    subject.await_reverted();
    std::thread::sleep(Duration::from_secs(1));
    let listed = recover("--list");
    let runs = listed["ok"].as_array().unwrap();
    let live =
        |run: &str| runs.iter().find(|state| state["run"] == run).map(|state| &state["live"]);
    assert_eq!(live(&other.run), Some(&json!(true)), "{listed}");
    assert_eq!(live(&drive.run), Some(&json!(false)), "{listed}");
    let refused = recover(&other.run);
    assert!(refused["error"].as_str().unwrap().contains("still going on"), "{refused}");
    for _ in 0..2 {
        let recovered = recover(&drive.run);
        assert_eq!(recovered["ok"]["problems"], json!([]), "{recovered}");
        assert_eq!(objects(&drive.run), "");
    }
    // the live run beside it was not disturbed
    assert_eq!(beside.stacked(), 2);
    other.finish();
}

#[test]
fn a_command_line_that_was_stopped_finds_its_lease_lost() {
    let mut drive = Drive::start("cstop", &[]);
    let subject = drive.subject();
    drive.get(&json!({ "apply": subject.read_only() }));
    let pid = Pid::from_child(&drive.child);
    kill_process(pid, Signal::STOP).unwrap();
    subject.await_reverted();
    kill_process(pid, Signal::CONT).unwrap();
    assert!(drive.get(&json!("lost")).is_string());
    drive.finish();
}

#[test]
fn whoever_dies_at_any_journal_write_act_or_undo_the_host_comes_back() {
    for role in ["cli", "keeper", "worker"] {
        for site in ["journal", "act", "rollback"] {
            if (role, site) == ("worker", "journal") {
                continue; // it writes none
            }
            // keepers also undo by the engine; the others come by an undo twice
            let most = if site == "rollback" && role != "keeper" { 2 } else { 3 };
            for nth in 1..=most {
                die_at(role, site, nth);
            }
        }
    }
}

fn die_at(role: &str, site: &str, nth: u32) {
    let point = format!("{role}:{nth}:{site}");
    let started = Instant::now();
    let mut drive =
        Drive::start(&format!("{role}-{site}-{nth}"), &[("KEELHAUL_KILL_POINT", &point)]);
    let removal = json!([{ "engine": { "remove-run": { "run": drive.run } } }]);
    let place = drive.get(&json!({ "subject": { "name": "a" } }));
    let init = drive.get(&json!({ "read": { "init": place } }))["init"].clone();
    let keep = drive.get(&json!({ "read": { "mount-of": place } }))["mounts"][0]["id"].clone();
    let subject = Subject { place, init, keep };
    // whoever dies may die at any of these: their answers are not judged
    drive.ask(&json!({ "apply": entry("objects", &json!(["nothing"]), &removal) }));
    let applied = drive.ask(&json!({ "apply": subject.read_only() }));
    let id = applied["ok"]["value"]["id"].as_u64().unwrap_or(2);
    drive.ask(&json!({ "revert": id }));
    drive.ask(&json!({ "apply": subject.read_only() }));
    drive.ask(&json!("rollback"));
    subject.await_reverted();
    if role == "cli" {
        drive.input = None;
        assert!(!drive.child.wait().unwrap().success(), "{point}: never reached");
    } else {
        assert!(drive.get(&json!("lost")).is_string(), "{point}: never reached");
        drive.get(&json!("rollback"));
        drive.get(&json!("finish"));
    }
    let end = Instant::now() + BOUND;
    let mut recovered = recover(&drive.run);
    while recovered["ok"]["problems"] != json!([]) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(200));
        recovered = recover(&drive.run);
    }
    assert_eq!(objects(&drive.run), "", "{point}: {recovered}");
    let _ = writeln!(std::io::stderr(), "{point}: {:?}", started.elapsed());
}

#[test]
fn acknowledged_records_are_counted_and_found() {
    let mut drive = Drive::start("load", &[]);
    let subject = drive.subject();
    let load = json!({
        "run": drive.run, "place": subject.place, "via": { "file": { "path": "/data/records" } },
        "rate": 200.0, "writers": 4, "length": 64, "timeout_ms": 2000, "seed": 1,
    });
    drive.get(&json!({ "load": { "start": { "name": "records", "load": load } } }));
    std::thread::sleep(Duration::from_secs(1));
    let stats = drive.get(&json!({ "load": { "stop": { "name": "records" } } }))["stats"].clone();
    assert!(stats["acknowledged"].as_u64().unwrap() > 20, "{stats}");
    let judge = json!({ "load": { "judge": { "name": "records" } } });
    let report = drive.get(&judge)["ledger"]["Ok"].clone();
    assert_eq!(report["acknowledged"], stats["acknowledged"], "{report}");
    assert_eq!((&report["lost"], &report["corrupt"]), (&json!(0), &json!(0)), "{report}");
    // and what the volume loses is seen
    let host = subject.place["host_path"].as_str().unwrap();
    let text = std::fs::read_to_string(format!("{host}/records")).unwrap();
    let kept: Vec<&str> = text.lines().skip(7).collect();
    std::fs::write(format!("{host}/records"), kept.join("\n")).unwrap();
    let report = drive.get(&judge)["ledger"]["Ok"].clone();
    assert_eq!(report["lost"], json!(7), "{report}");
    drive.finish();
}

fn docker(args: &[&str]) {
    let output = Command::new("docker").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

/// What no way leads to is undone when it is seen to be, or seen to be gone, and not before.
#[test]
fn a_change_in_a_layer_stays_to_be_undone_until_its_container_runs_or_is_removed() {
    let mut drive = Drive::start("layer", &[]);
    let mut place = drive.subject().place;
    (place["path"], place["host_path"]) = (json!("/"), Value::Null);
    let container = place["container"].as_str().unwrap().to_owned();
    let look = json!({ "read": { "file": { "place": place, "digest": false, "content": 0 } } });
    let facts = drive.get(&look)["file"].clone();
    let (file, mode) =
        (json!({ "dev": facts["link"]["dev"], "inode": facts["link"]["inode"] }), 0o711);
    let change = |from: &Value, to: &Value| json!([{ "set-mode": { "place": place, "file": file, "from": from, "to": to } }]);
    let (there, back) =
        (change(&facts["mode"], &json!(mode)), change(&json!(mode), &facts["mode"]));
    let apply = json!({ "apply": entry("mode", &there, &back) });
    let revert = json!({ "revert": drive.get(&apply)["id"] });
    assert_eq!(drive.get(&look)["file"]["mode"], mode);
    docker(&["kill", &container]);
    docker(&["wait", &container]);
    let problems = drive.get(&revert)["problems"].to_string();
    assert!(
        problems.contains("in a layer of its own") && problems.contains("hint: "),
        "{problems}"
    );
    docker(&["start", &container]);
    assert_eq!(drive.get(&revert)["problems"], json!([]));
    assert_eq!(drive.get(&look)["file"]["mode"], facts["mode"], "it was said to be undone");
    let revert = json!({ "revert": drive.get(&apply)["id"] });
    docker(&["rm", "-f", &container]);
    assert_eq!(drive.get(&revert)["problems"], json!([]), "it is gone");
    drive.finish();
}
