//! Kill points: whoever dies right after a journal write, an act or an undo op, the host comes back.
//!
//! Faults × roles × sites × every k take an hour: all of them with `KEELHAUL_SOAK=1`, of one fixture
//! alone with its name in `KEELHAUL_FIXTURE` too.
//! Without it, one fault at every point of the command line, and the helper at a few points of
//! faults of two classes; which ones, the build decides.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::harness::{KEELHAUL, Run, Test, keelhaul};
use super::{
    fixtures::{FIXTURES, Fixture},
    host::{
        Trace, assert_clean, drawn, init_of, keepers, lives, pid_of, recover, recover_twice,
        signal, worker_of,
    },
    say, soak,
    vacuity::{each, skipped},
};

/// One fault for each class of ops: a mount, a fill, a file, the engine.
const CLASSES: [&str; 4] = ["read-only", "disk-full-ext4", "broken-hardlinks-copy-up", "pause"];
/// More points than any run comes by.
const MOST: u64 = 40;

#[test]
fn the_command_line_dies_at_every_point() {
    let chosen = if soak() { all() } else { vec![Fixture::called("read-only")] };
    each(&chosen, |fixture| {
        ["journal", "act", "rollback"]
            .iter()
            .for_each(|site| every_point(own, fixture, "cli", site));
    });
}

#[test]
fn the_keeper_dies_at_its_points() {
    helper_dies("keeper", &["journal", "act", "rollback"]);
}

#[test]
fn the_worker_dies_at_its_points() {
    helper_dies("worker", &["act", "rollback"]);
}

/// A run that dies there; false when it does not come by that often.
pub(super) type Die = fn(&Fixture, role: &str, point: &str) -> bool;

/// On what the run has made.
fn own(fixture: &Fixture, role: &str, point: &str) -> bool {
    die_at(Test::of(&fixture.scenario("300ms")), fixture, role, point)
}

/// Every fixture, or the one that was asked for.
pub(super) fn all() -> Vec<&'static Fixture> {
    let asked = std::env::var("KEELHAUL_FIXTURE");
    asked.map_or_else(|_| FIXTURES.iter().collect(), |name| vec![Fixture::called(&name)])
}

fn helper_dies(role: &str, sites: &[&str]) {
    if soak() {
        return each(&all(), |fixture| {
            sites.iter().for_each(|site| every_point(own, fixture, role, site));
        });
    }
    for site in sites {
        let first = drawn(&[&build(), role, site], 4);
        for name in [0, 2].map(|more| CLASSES[usize::try_from((first + more) % 4).unwrap()]) {
            some_point(own, Fixture::called(name), role, site);
        }
    }
}

/// One that the build decides, or the last before it that the run comes by.
pub(super) fn some_point(die: Die, fixture: &Fixture, role: &str, site: &str) {
    // a run has eight journal writes or more, and some of the others
    let most = if site == "journal" { 8 } else { 4 };
    let nth = 1 + drawn(&[&build(), fixture.fault, role, site], most);
    let reached = (1..=nth).rev().any(|nth| die(fixture, role, &point(role, nth, site)));
    // the engine's own acts are the command line's
    assert!(reached || fixture.fault == "pause", "{}: {role} comes by no {site}", fixture.name());
}

/// Changes with the program, so that in time every point has its turn.
pub(super) fn build() -> String {
    format!("{:08x}", crc32fast::hash(&std::fs::read(KEELHAUL).unwrap()))
}

fn point(role: &str, nth: u64, site: &str) -> String {
    format!("{role}:{nth}:{site}")
}

pub(super) fn every_point(die: Die, fixture: &Fixture, role: &str, site: &str) {
    let dies = |nth: &u64| die(fixture, role, &point(role, *nth, site));
    let reached = (1..MOST).take_while(dies).count();
    say(&format!("{} {role} {site}: {reached} points", fixture.name()));
    // engine ops have no act in the helper, and events nothing to undo
    let is_so = reached > 0 || role != "cli" || site != "journal" || skips(fixture);
    assert!(is_so, "{}: never", fixture.name());
}

/// Whether this host lacks what it needs.
fn skips(fixture: &Fixture) -> bool {
    skipped(&Test::of(&fixture.scenario("")).finish(), fixture)
}

/// Lets it die there; false when the run does not come by that often.
pub(super) fn die_at(test: Test, fixture: &Fixture, role: &str, point: &str) -> bool {
    let who = format!("{} {point}", fixture.name());
    let mut run = test.env("KEELHAUL_KILL_POINT", point).start();
    let id = run.id();
    let env = run.env();
    let started = Instant::now();
    let init = match run.look_for("subject-started") {
        Some(event) => init_of(&env, event["container"].as_str().unwrap()),
        None => 0,
    };
    let reverted = watch(&mut run, role, &id, fixture.trace, init, &who);
    let ended = run.end();
    if ended.code == 0 {
        assert_clean(&id, &env, &who);
        return false;
    }
    let told = ended.told();
    match role {
        "cli" => assert_eq!(ended.code, -9, "{who}: {told}"),
        _ if ended.code == 4 => {
            assert!(told.contains(&format!("keelhaul recover {id}")), "{who}: {told}");
        }
        _ => {
            assert_eq!((ended.code, ended.verdict()), (3, "error".into()), "{who}: {told}");
            assert_clean(&id, &env, &who);
        }
    }
    recover_twice(&id, &env, &who);
    let took = started.elapsed();
    say(&format!(
        "{who}: exit code {}, reverted {reverted:?} after it, all in {took:?}",
        ended.code
    ));
    true
}

/// Waits for the death, and then for the end of the effect; none where the run ends without one.
fn watch(
    run: &mut Run,
    role: &str,
    id: &str,
    trace: Trace,
    init: i32,
    who: &str,
) -> Option<Duration> {
    let victim = match role {
        "cli" => run.pid(),
        "keeper" => keepers(id).first().copied()?,
        _ => keepers(id).first().copied().and_then(worker_of)?,
    };
    while lives(victim) {
        if !lives(run.pid()) {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(trace.await_gone(init, who))
}

#[test]
fn recover_dies_in_its_middle_and_is_done_again() {
    let names = ["read-only", "disk-full-ext4"];
    for name in names {
        let fixture = Fixture::called(name);
        let (id, env, init) = dead_run(fixture);
        let mut deaths = 0;
        for nth in 1..MOST {
            let mut env = env.clone();
            env.push(("KEELHAUL_KILL_POINT".into(), format!("cli:{nth}:rollback")));
            let (code, text) = recover_or_die(&id, &env);
            if code == 0 {
                break;
            }
            assert_eq!(code, -9, "{name}: {text}");
            deaths += 1;
        }
        assert!(deaths > 0, "{name}: recover never came by an undo");
        assert!(!fixture.trace.in_force(init), "{name}");
        recover_or_nothing(&id, &env, name);
        say(&format!("{name}: recover died {deaths} times"));
    }
}

#[test]
fn the_helper_of_recover_dies_in_its_middle_and_another_goes_on() {
    if !soak() {
        helper_of_recover_dies(Fixture::called("read-only"), "keeper", 1);
        helper_of_recover_dies(Fixture::called("disk-full-ext4"), "worker", 1);
        return;
    }
    for fixture in CLASSES.map(Fixture::called) {
        for role in ["keeper", "worker"] {
            (1..=4).for_each(|nth| helper_of_recover_dies(fixture, role, nth));
        }
    }
}

fn helper_of_recover_dies(fixture: &Fixture, role: &'static str, nth: u64) {
    let who = format!("{} recover's {role}:{nth}", fixture.name());
    let (id, env, init) = dead_run(fixture);
    let mut deadly = env.clone();
    deadly.push(("KEELHAUL_KILL_POINT".into(), format!("{role}:{nth}:rollback")));
    let (over, run) = (Arc::new(AtomicBool::new(false)), id.clone());
    let watch = std::thread::spawn({
        let over = Arc::clone(&over);
        move || lives_of(role, &run, &over)
    });
    let (code, text) = recover_or_die(&id, &deadly);
    over.store(true, Ordering::Relaxed);
    let lives = watch.join().unwrap();
    assert_eq!(code, 0, "{who}: {text}");
    // the engine's own acts are not the worker's to undo
    let comes_by = nth == 1 && !(role == "worker" && fixture.fault == "pause");
    assert!(lives > 1 || !comes_by, "{who}: it did not die: {text}");
    assert!(!fixture.trace.in_force(init), "{who}: {text}");
    recover_or_nothing(&id, &env, &who);
    say(&format!("{who}: {lives} lives"));
}

/// How many processes of this role a run has had until it is over.
fn lives_of(role: &str, run: &str, over: &AtomicBool) -> usize {
    let mut seen = BTreeSet::new();
    while !over.load(Ordering::Relaxed) {
        let found = keepers(run);
        match role {
            "keeper" => seen.extend(found),
            _ => seen.extend(found.into_iter().filter_map(worker_of)),
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    seen.len()
}

/// A run whose fault is in force, and of which nobody lives: its id, its environment, and the
/// subject's init.
fn dead_run(fixture: &Fixture) -> (String, Vec<(String, String)>, i32) {
    let name = fixture.name();
    let mut run = Test::of(&fixture.scenario("60s")).start();
    let (id, env) = (run.id(), run.env());
    let init = init_of(&env, &run.container());
    run.until("injected");
    assert!(fixture.trace.in_force(init), "{name}");
    all_at_once(&run, &id);
    assert_eq!(run.end().code, -9);
    assert!(fixture.trace.in_force(init), "{name}: who has reverted it?");
    (id, env, init)
}

/// A run that is still somebody's is not recovered: that is no death.
fn recover_or_die(id: &str, env: &[(String, String)]) -> (i32, String) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let (code, text) = keelhaul(&["recover", id], env);
        if code == 0 || code == -9 || Instant::now() > end {
            return (code, text);
        }
        std::thread::sleep(Duration::from_millis(250));
    }
}

fn recover_or_nothing(id: &str, env: &[(String, String)], who: &str) {
    let (code, text) = recover(id, env);
    assert_eq!(code, 0, "{who}: {text}");
    assert_clean(id, env, who);
    let (_, again) = keelhaul(&["recover", id], env);
    assert!(again.starts_with("nothing to recover"), "{who}: {again}");
}

/// Command line, keeper and worker, before anyone can do anything.
fn all_at_once(run: &Run, id: &str) {
    let keeper = pid_of("keeper", id);
    let worker = pid_of("worker", id);
    // stopped first, so that none sees the others die
    for pid in [keeper, worker, run.pid()] {
        signal(pid, Signal::STOP);
    }
    for pid in [keeper, worker, run.pid()] {
        signal(pid, Signal::KILL);
    }
}
