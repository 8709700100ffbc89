//! `attach:` on containers of somebody else's: what a fault does to them is undone, also after the
//! command line was killed, and nothing else is done to them.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    process::Command,
    time::{Duration, Instant},
};

use keelhaul::runtime::{
    ContainerFacts, ContainerSpec, MountSource, MountSpec, Runtime as _, State,
};
use rustix::process::Signal;

use super::{gameday, guest, pty::Pty, runtime::Bench};
use crate::harness::{DEADLINE, Test};

/// A container with a volume and a tmpfs. Nothing about it is keelhaul's.
struct Theirs {
    bench: Bench,
    id: String,
    name: String,
    before: ContainerFacts,
    mounts: String,
}

impl Theirs {
    async fn start() -> Self {
        let bench = Bench::new().await;
        let spec = bench.container("db", "wait");
        let name = spec.name.clone();
        let mount = |target: &str, source| MountSpec {
            target: target.into(),
            source,
            read_only: false,
            relabel: None,
        };
        let volume = |name| MountSource::Volume { name, no_copy: true };
        let memory = MountSource::Tmpfs { size: Some(4 << 20), inodes: None, mode: None };
        let spec = ContainerSpec {
            labels: BTreeMap::from([
                ("com.docker.compose.project".into(), name.clone()),
                ("com.docker.compose.service".into(), "db".into()),
            ]),
            env: BTreeMap::from([("PASSWORD".into(), "hunter2-and-more".into())]),
            // what permissions say must count
            cap_drop: vec!["DAC_OVERRIDE".into(), "DAC_READ_SEARCH".into()],
            mounts: vec![
                mount("/data", volume(name.clone())),
                mount("/state", volume(format!("{name}-state"))),
                mount("/memory", memory),
            ],
            ..spec
        };
        let id = bench.docker.create_container(&spec).await.unwrap();
        bench.docker.start(&id).await.unwrap();
        let before = bench.docker.inspect(&id).await.unwrap();
        let mounts = mounts(&before);
        Self { bench, id, name, before, mounts }
    }

    async fn now(&self) -> ContainerFacts {
        self.bench.docker.inspect(&self.id).await.unwrap()
    }

    /// A scenario on it.
    fn scenario(&self, steps: &str) -> Test {
        let test = Test::new();
        let head = format!(
            "keelhaul: 1\nname: theirs\nallow: [attach]\nservices: {{ db: {{ attach: {{ container: {} }} }} }}\nsteady_state: [{{ container: {{ service: db, state: running }} }}]\n",
            self.name
        );
        test.scenario("theirs.yaml", &format!("{head}steps:\n{steps}"));
        test
    }

    /// The same start of the same container, with the mounts that it had, all of them writable.
    async fn assert_untouched(&self) {
        let end = Instant::now() + DEADLINE;
        while mounts(&self.before) != self.mounts {
            assert!(Instant::now() < end, "{}\nbefore:\n{}", mounts(&self.before), self.mounts);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let now = self.now().await;
        assert_eq!((now.state, &now.started_at), (State::Running, &self.before.started_at));
        let data = format!("/proc/{}/root/data", now.pid);
        let state = fs::metadata(format!("/proc/{}/root/state", now.pid)).unwrap();
        assert_eq!(state.uid(), 0, "given back");
        let names: Vec<_> = fs::read_dir(&data).unwrap().flatten().collect();
        assert!(names.is_empty(), "{names:?}");
        fs::write(format!("{data}/proof"), "writable").unwrap();
        fs::remove_file(format!("{data}/proof")).unwrap();
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let docker = |words: &[&str]| drop(Command::new("docker").args(words).output());
        docker(&["rm", "-f", &self.id]);
        docker(&["volume", "rm", &self.name, &format!("{}-state", self.name)]);
    }
}

/// Faults that were injected so far.
fn in_force(test: &Test) -> usize {
    let record = test.record();
    let faults = record.cases.iter().flat_map(|case| &case.faults);
    faults.filter(|fault| fault.injected.is_some()).count()
}

/// The mount table of a container, as its init has it; none where it has ended.
fn mounts(facts: &ContainerFacts) -> String {
    fs::read_to_string(format!("/proc/{}/mountinfo", facts.pid)).unwrap_or_default()
}

const IN_FORCE: &str = "  - inject: { read-only: { target: 'db:/memory' } }
    as: ro
  - inject: { ownership: { target: 'db:/state', owner: '4711:0' } }
    as: owner
  - inject: { io-error: { target: 'db:/data', ops: [create], errno: ENOSPC, insert: true } }
    as: full
";

pub(super) const HELD: &str = "  - expect: [{ container: { service: db, state: exited } }]
    within: 100ms
    as: never
";

pub(super) const RUN: [&str; 4] = ["run", "theirs.yaml", "--attach", "--yes"];

#[tokio::test(flavor = "multi_thread")]
async fn a_suite_for_a_container_as_it_runs_checks_and_nothing_is_touched() {
    let theirs = Theirs::start().await;
    let test = Test::new();
    for (from, name, out) in
        [("--attach", &theirs.name, "by-name"), ("--compose-project", &theirs.name, "by-project")]
    {
        let ran = test.keelhaul(&["init", from, name, "--out", out]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let all: Vec<&str> =
            ran.stdout.lines().filter_map(|line| line.rsplit('/').next()).collect();
        for end in ["data-read-only.yaml", "data-no-space.yaml", "memory-tmpfs-full.yaml"] {
            assert!(all.iter().any(|name| name.ends_with(end)), "{end} is not among {all:?}");
        }
        // what could not be given back, and what would be everybody's
        for end in ["power-cut.yaml", "tmpfs-restart.yaml", "disk-full.yaml"] {
            assert!(!all.iter().any(|name| name.ends_with(end)), "{end} is among {all:?}");
        }
        let checked = test.keelhaul(&["check", out]);
        assert_eq!(checked.code, Some(0), "{checked:?}");
    }
    theirs.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_touched_without_every_word_and_a_plan_shows_what_would_be() {
    let theirs = Theirs::start().await;
    let test = theirs.scenario(IN_FORCE);
    let ran = test.keelhaul(&["run", "theirs.yaml"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("`--attach` allows it"), "{ran:?}");
    let ran = test.keelhaul(&["run", "theirs.yaml", "--attach"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let shown = format!("\n  {} ({:.12}), as db\n", theirs.name, theirs.id);
    for said in [shown.as_str(), "`--yes` confirms it", "/memory (tmpfs, its own)", "never stopped"]
    {
        assert!(ran.stderr.contains(said), "{said}: {ran:?}");
    }
    let plan = test.keelhaul(&["plan", "theirs.yaml"]);
    assert!(plan.code == Some(0) && plan.stdout.contains(&shown), "{plan:?}");
    let wrong = fs::read_to_string(test.path("theirs.yaml")).unwrap();
    let wrong = wrong.replacen(&theirs.name, &theirs.name.replacen("test", "tset", 1), 1);
    let ran = test.scenario("theirs.yaml", &wrong).keelhaul(&RUN);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains(&format!("did you mean `{}`?", theirs.name)), "{ran:?}");
    assert!(!test.path("reports").exists(), "no run has begun");
    theirs.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_come_and_go_and_the_container_stays_what_it_was() {
    let theirs = Theirs::start().await;
    // a rule that strikes nobody would prove nothing
    let touch = serde_json::to_string(&guest::command("touch /data/x")).unwrap();
    let steps = format!(
        "{IN_FORCE}  - expect: [{{ file: {{ service: db, path: /state, uid: 4711 }} }}]\n    within: 5s\n  - exec: {{ service: db, command: {touch} }}\n"
    );
    let test = theirs.scenario(&steps);
    let ran = test.keelhaul(&RUN);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    theirs.assert_untouched().await;
    let record = test.record();
    assert!(record.cases[0].attached.contains("db"));
    assert!(test.junit().contains("attached db"), "{}", test.junit());
    let events = fs::read_to_string(test.latest().join("events.jsonl")).unwrap();
    assert!(!events.contains("hunter2"), "a value of its environment");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_line_that_is_killed_leaves_nothing_in_it() {
    let theirs = Theirs::start().await;
    let test = theirs.scenario(&format!("{IN_FORCE}{HELD}"));
    let mut run = test.start(&[&RUN[..], &["--hold"]].concat(), &[], "");
    run.until_said("held with");
    assert_ne!(mounts(&theirs.before), theirs.mounts, "in force");
    run.signal(Signal::KILL);
    assert_eq!(run.end().code, None);
    // by the keeper alone; `recover` then finds nothing but the journal
    theirs.assert_untouched().await;
    let ran = test.keelhaul(&["recover", &test.run_id(), "--force"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    theirs.assert_untouched().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_filesystem_is_not_filled_and_a_killed_container_is_started_again() {
    let theirs = Theirs::start().await;
    let own = "  - inject: { disk-full: { target: 'db:/memory' } }
    as: own
  - revert: own
";
    let shared = "  - inject: { disk-full: { target: 'db:/data' } }\n";
    let test = theirs.scenario(&format!("{own}{shared}"));
    let ran = test.keelhaul(&RUN);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("errno: ENOSPC"), "{ran:?}");
    assert!(!test.path("reports").exists(), "no run has begun");
    theirs.assert_untouched().await;
    let test = theirs.scenario(&format!("{own}  - inject: {{ kill: {{ target: db }} }}\n"));
    let ran = test.keelhaul(&RUN);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let now = theirs.now().await;
    assert_eq!(now.state, State::Running);
    assert_ne!(now.started_at, theirs.before.started_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_removed_meanwhile_is_a_clear_error() {
    let theirs = Theirs::start().await;
    let test = theirs.scenario(&format!("{IN_FORCE}  - wait: 100s\n"));
    let run = test.start(&RUN, &[], "");
    let end = Instant::now() + DEADLINE;
    while !test.path("reports/latest").exists() || in_force(&test) < 3 {
        assert!(Instant::now() < end, "the faults are not in force");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let removed = Command::new("docker").args(["rm", "-f", &theirs.id]).output().unwrap();
    assert!(removed.status.success(), "{removed:?}");
    let ran = run.end();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let said = "the container of `db` was removed by someone else";
    assert!(ran.stdout.contains(said), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_day_asks_first_and_leaves_the_container_as_it_was() {
    let theirs = Theirs::start().await;
    let test = Test::new();
    let project = format!("project={}", theirs.name);
    let play = || Pty::start(&test, &["gameday", "--attach", &project], (80, 24));
    let pty = play();
    pty.see("go on?");
    pty.keys("no\r");
    assert_eq!(pty.end(), Some(2));
    assert!(!test.path("reports").exists(), "no run has begun");

    let pty = play();
    pty.see("go on?");
    pty.keys("yes\r");
    pty.see("db  running");
    pty.see("ok  db");
    pty.keys("\u{1b}[B");
    pty.see("Faults for db:/data");
    pty.keys("/");
    pty.see("a fault by name");
    pty.keys("corruption\r");
    pty.see("not here: `corruption` is refused");
    gameday::inject(&pty, "read-only");
    pty.see("IN FORCE: 1");
    assert_ne!(mounts(&theirs.before), theirs.mounts, "in force");
    pty.keys("S");
    pty.see("everything was reverted");
    pty.keys("w");
    pty.see("save as a scenario");
    pty.keys("\u{15}again.yaml\r");
    pty.see("saved: ");
    pty.keys("q");
    assert_eq!(pty.end(), Some(0));
    theirs.assert_untouched().await;
    assert!(test.record().cases[0].attached.contains("db"));
    let saved = fs::read_to_string(test.path("again.yaml")).unwrap();
    assert!(saved.contains("attach: { project: ") && saved.contains("read-only"), "{saved}");
    let ran = test.keelhaul(&["check", "again.yaml"]);
    assert_eq!(ran.code, Some(0), "{ran:?}\n{saved}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_removed_ends_its_game_day() {
    let theirs = Theirs::start().await;
    let test = Test::new();
    let project = format!("project={}", theirs.name);
    let pty = Pty::start(&test, &["gameday", "--attach", &project], (80, 24));
    pty.see("go on?");
    pty.keys("yes\r");
    pty.see("db  running");
    pty.see("ok  db");
    pty.keys("\u{1b}[B");
    pty.see("Faults for db:/data");
    gameday::inject(&pty, "read-only");
    pty.see("IN FORCE: 1");
    let removed = Command::new("docker").args(["rm", "-f", &theirs.id]).output().unwrap();
    assert!(removed.status.success(), "{removed:?}");
    pty.see("was removed by someone else");
    assert_eq!(pty.end(), Some(3));
    assert!(test.junit().contains("was removed by someone else"), "{}", test.junit());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_the_name_of_a_claim_is_in_the_way_and_stays() {
    let theirs = Theirs::start().await;
    let name = format!("keelhaul-attached-{:.12}", theirs.id);
    let spec = ContainerSpec {
        name: name.clone(),
        labels: BTreeMap::new(),
        ..theirs.bench.container("other", "wait")
    };
    let other = theirs.bench.docker.create_container(&spec).await.unwrap();
    let test = theirs.scenario(IN_FORCE);
    let ran = test.keelhaul(&RUN);
    let found = theirs.bench.docker.inspect(&name).await;
    Command::new("docker").args(["rm", "-f", &other]).output().unwrap();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let said = format!("a container that no run has made is called `{name}`");
    assert!(ran.stdout.contains(&said), "{ran:?}");
    let found = found.unwrap();
    assert_eq!((found.id, found.state), (other, State::Created), "it stays as it is");
    theirs.assert_untouched().await;
}
