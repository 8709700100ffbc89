//! An engine of the test's own beside the one that others use: killed, stopped, full, and with
//! live and dead runs side by side. With its own network namespace, because an engine without a
//! bridge removes that of its neighbour.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::harness::{Run, Test, keelhaul};
use super::{
    beside::Beside,
    fixtures::Fixture,
    host::{Trace, assert_clean, docker, drawn, init_in, init_of, recover_twice, signal},
    quiet::Quiet,
    say, soak,
};

/// How long an engine may take to answer.
const UP: Duration = Duration::from_secs(40);
const READ_ONLY: Trace = Trace::Stacked("/data");

/// A second engine.
struct Engine {
    directory: tempfile::TempDir,
    child: Child,
}

impl Engine {
    /// Starts one; none, with the reason said, where that cannot be.
    fn start() -> Option<Self> {
        let directory = tempfile::Builder::new().prefix("kh").tempdir().unwrap();
        let child = dockerd(directory.path())?;
        let mut engine = Self { directory, child };
        if engine.answers() {
            return Some(engine);
        }
        let log = fs::read_to_string(engine.path("log")).unwrap_or_default();
        say(&format!("skipped: no second engine here: {}", log.lines().last().unwrap_or("")));
        None
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn env(&self) -> Vec<(String, String)> {
        vec![("DOCKER_HOST".into(), format!("unix://{}", self.path("engine.sock")))]
    }

    fn answers(&mut self) -> bool {
        let end = Instant::now() + UP;
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            if !docker(&self.env(), &["version", "-f", "{{.Server.Version}}"]).is_empty() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Another on the same data, after the first was killed.
    fn restart(&mut self) {
        let _ = self.child.wait();
        // one that was killed leaves its pid file, and says that it is still running
        let _ = fs::remove_file(self.path("pid"));
        self.await_containerd();
        self.child = dockerd(self.directory.path()).unwrap();
        assert!(self.answers(), "{}", fs::read_to_string(self.path("log")).unwrap_or_default());
    }

    /// The killed engine's containerd dies after it. An engine that starts meanwhile takes it for
    /// its own, and waits for a socket that nobody listens on.
    fn await_containerd(&self) {
        let file = self.path("exec/containerd/containerd.pid");
        let Ok(pid) = fs::read_to_string(&file) else { return };
        let state = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).ok()?;
            stat.rsplit_once(") ")?.1.chars().next()
        };
        let end = Instant::now() + Duration::from_secs(5);
        while state().is_some_and(|state| state != 'Z') && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        if state().is_none_or(|state| state == 'Z') {
            let _ = fs::remove_file(&file);
        }
    }

    fn test(&self, wait: &str) -> Test {
        let [(name, value)] = &self.env()[..] else { unreachable!() };
        Test::of(&Fixture::called("read-only").scenario(wait)).env(name, value)
    }

    /// A run with its fault in force, and the subject's init.
    fn in_force(&self, wait: &str) -> (Run, i32) {
        let mut run = self.test(wait).start();
        let init = init_of(&self.env(), &run.container());
        run.until("injected");
        assert!(READ_ONLY.in_force(init));
        (run, init)
    }
}

/// The engine becomes the very process that is started here.
fn dockerd(directory: &Path) -> Option<Child> {
    let log = fs::File::options().append(true).create(true).open(directory.join("log")).unwrap();
    let script = "ip link set lo up; exec dockerd --data-root \"$0/data\" --exec-root \"$0/exec\" \
                  --pidfile \"$0/pid\" -H \"unix://$0/engine.sock\" --iptables=false --bridge=none";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script]).arg(directory);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    match command.process_group(0).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            say(&format!("skipped: no second engine here: unshare: {error}"));
            None
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            // its containers outlived it: another must remove them
            let _ = fs::remove_file(self.path("pid"));
            if let Some(child) = dockerd(self.directory.path()) {
                self.child = child;
                self.answers();
            }
        }
        signal(self.pid(), Signal::CONT);
        for id in docker(&self.env(), &["ps", "-q"]).lines() {
            docker(&self.env(), &["rm", "-f", id]);
        }
        signal(self.pid(), Signal::TERM);
        let end = Instant::now() + Duration::from_secs(20);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // last mounted first
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let root = self.directory.path().to_str().unwrap();
        for line in table.lines().rev() {
            if let Some(point) = line.split(' ').nth(4).filter(|point| point.starts_with(root)) {
                let _ = Command::new("umount").args(["-l", point]).status();
            }
        }
    }
}

#[test]
fn recover_all_leaves_a_live_run_alone() {
    let Some(engine) = Engine::start() else { return };
    let (live, live_init) = engine.in_force("60s");
    let (dead, dead_init) = engine.in_force("60s");
    dead.signal(Signal::KILL);
    READ_ONLY.await_gone(dead_init, "the dead one");
    let dead = dead.end().id();
    // until its lease is old enough it counts as live
    std::thread::sleep(Duration::from_secs(3));
    for round in 0..2 {
        let (code, text) = keelhaul(&["recover", "--all"], &engine.env());
        assert_eq!(code, 0, "{round}: {text}");
        assert!(READ_ONLY.in_force(live_init), "{round}: {text}");
        let listed = keelhaul(&["recover", "--list"], &engine.env()).1;
        assert_eq!(listed.matches(" live").count(), 1, "{listed}");
        if round == 1 {
            assert!(text.starts_with("nothing to recover\n"), "{text}");
            assert!(text.contains("counts as live"), "{text}");
        }
    }
    assert_clean(&dead, &engine.env(), "the dead one");
    live.signal(Signal::INT);
    let ended = live.end();
    assert_eq!(ended.code, 130, "{}", ended.told());
    assert_eq!(ended.asserted("fault.revert"), "pass", "{}", ended.told());
    assert_clean(&ended.id(), &engine.env(), "the live one");
}

#[test]
fn an_engine_that_is_killed_takes_no_fault_with_it() {
    let Some(mut engine) = Engine::start() else { return };
    for comes_back in [true, false] {
        let who = if comes_back { "killed and restarted" } else { "killed" };
        let (run, init) = engine.in_force("60s");
        signal(engine.pid(), Signal::KILL);
        let took = READ_ONLY.await_gone(init, who);
        if comes_back {
            engine.restart();
        }
        let struck = Instant::now();
        let ended = run.end();
        let told = ended.told();
        say(&format!(
            "engine {who}: gone after {took:?}, exit code {} after {:?}",
            ended.code,
            struck.elapsed()
        ));
        assert_eq!(ended.verdict(), "error", "{who}: {told}");
        assert!([3, 4].contains(&ended.code), "{who}: {told}");
        if !comes_back {
            assert_eq!(ended.code, 4, "{who}: {told}");
            engine.restart();
        }
        if ended.code == 4 {
            assert!(told.contains(&format!("keelhaul recover {}", ended.id())), "{who}: {told}");
        } else {
            assert_clean(&ended.id(), &engine.env(), who);
        }
        recover_twice(&ended.id(), &engine.env(), who);
    }
}

#[test]
fn an_engine_that_is_stopped_keeps_no_fault_in_force() {
    let Some(engine) = Engine::start() else { return };
    let (run, init) = engine.in_force("60s");
    signal(engine.pid(), Signal::STOP);
    let took = READ_ONLY.await_gone(init, "stopped");
    std::thread::sleep(Duration::from_secs(2));
    signal(engine.pid(), Signal::CONT);
    let ended = run.end();
    let told = ended.told();
    say(&format!("engine stopped: gone after {took:?}, exit code {}", ended.code));
    assert_eq!(ended.verdict(), "error", "{told}");
    assert!([3, 4].contains(&ended.code), "{told}");
    if ended.code == 3 {
        assert_clean(&ended.id(), &engine.env(), "stopped");
    }
    recover_twice(&ended.id(), &engine.env(), "stopped");
}

#[test]
fn ctrl_c_does_not_wait_for_an_engine_that_is_stopped() {
    let Some(engine) = Engine::start() else { return };
    for before_it_answers in [true, false] {
        let who = if before_it_answers { "from the start" } else { "with a fault in force" };
        let run = if before_it_answers {
            signal(engine.pid(), Signal::STOP);
            let run = engine.test("60s").start();
            std::thread::sleep(Duration::from_millis(500));
            run
        } else {
            let (run, _) = engine.in_force("60s");
            signal(engine.pid(), Signal::STOP);
            run
        };
        run.signal(Signal::INT);
        let struck = Instant::now();
        let ended = run.end();
        let took = struck.elapsed();
        signal(engine.pid(), Signal::CONT);
        let told = ended.told();
        say(&format!("Ctrl-C, engine stopped {who}: exit code {} after {took:?}", ended.code));
        // five seconds are promised; a call to the engine gives up after thirty
        assert!(took < Duration::from_secs(15), "{who}: {took:?}: {told}");
        let code = if before_it_answers { 130 } else { 4 };
        assert_eq!(ended.code, code, "{who}: {told}");
        assert!(ended.reports.iter().any(|name| name == "junit.xml"), "{who}: {told}");
        if !before_it_answers {
            recover_twice(&ended.id(), &engine.env(), who);
        }
    }
}

#[test]
fn an_engine_that_is_struck_anywhere_in_a_run_keeps_no_fault_and_disturbs_no_other() {
    let Some(mut engine) = Engine::start() else { return };
    let rounds = if soak() { 10 } else { 1 };
    for round in 0..rounds {
        let beside = Beside::start();
        for how in [Signal::KILL, Signal::STOP] {
            strike_anywhere(&mut engine, how, round);
            beside.assert_undisturbed(&format!("after engine {how:?} {round}"));
        }
        beside.end();
    }
}

fn strike_anywhere(engine: &mut Engine, how: Signal, round: u32) {
    let who = format!("engine {how:?} anywhere {round}");
    let mut run = engine.test("1s").start();
    let id = run.id();
    let after = drawn(&["anywhere", &who], 4000);
    std::thread::sleep(Duration::from_millis(after));
    let struck = Quiet::start();
    signal(engine.pid(), how);
    // the engine cannot be asked any more
    let started = run.arrived("subject-started");
    let init = started.map_or(0, |event| init_in(event["container"].as_str().unwrap()));
    READ_ONLY.assert_none_once_promised(init, &struck, &who);
    if how == Signal::KILL {
        engine.restart();
    }
    signal(engine.pid(), Signal::CONT);
    let ended = run.end();
    let told = ended.told();
    assert!(!READ_ONLY.in_force(init), "{who}: {told}");
    // struck at its very end, it may have been over
    assert!([0, 3, 4].contains(&ended.code), "{who}: {told}");
    if ended.code != 0 {
        assert_eq!(ended.verdict(), "error", "{who}: {told}");
    }
    if ended.code == 4 {
        assert!(told.contains(&format!("keelhaul recover {id}")), "{who}: {told}");
    }
    recover_twice(&id, &engine.env(), &who);
    say(&format!("{who}: struck after {after} ms, exit code {}", ended.code));
}
