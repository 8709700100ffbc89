//! Command line, keeper and worker are killed or stopped while a fault is in force, and anywhere in
//! a run; a run beside them goes on as if nothing had happened.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::harness::{Run, Test};
use super::{
    beside::Beside,
    fixtures::Fixture,
    host::{
        Trace, assert_clean, drawn, init_of, keepers, pid_of, recover_twice, signal, worker_of,
    },
    say, soak,
};

const READ_ONLY: Trace = Trace::Stacked("/data");

#[test]
fn whoever_dies_or_stops_with_a_fault_in_force_it_is_gone_and_a_run_beside_is_not_disturbed() {
    let rounds = if soak() { 10 } else { 1 };
    for round in 0..rounds {
        let beside = Beside::start();
        for role in ["worker", "keeper", "cli"] {
            for how in [Signal::KILL, Signal::STOP] {
                strike_in_force(role, how, round);
                beside.assert_undisturbed(&format!("after {role} {how:?} {round}"));
            }
        }
        beside.end();
    }
}

fn strike_in_force(role: &str, how: Signal, round: u32) {
    let who = format!("{role} {how:?} {round}");
    let mut run = Test::of(&Fixture::called("read-only").scenario("30s")).start();
    let id = run.id();
    let init = init_of(&run.env(), &run.container());
    run.until("injected");
    std::thread::sleep(Duration::from_millis(drawn(&["in force", &who], 600)));
    assert!(READ_ONLY.in_force(init), "{who}: not in force");
    let victim = if role == "cli" { run.pid() } else { pid_of(role, &id) };
    signal(victim, how);
    let took = READ_ONLY.await_gone(init, &who);
    if role == "cli" && how == Signal::STOP {
        std::thread::sleep(Duration::from_millis(drawn(&["stopped", &who], 1000)));
        signal(victim, Signal::CONT);
    }
    let struck = Instant::now();
    finish(run, role, how, &who);
    say(&format!("{who}: gone after {took:?}, over after {:?} more", struck.elapsed()));
}

fn finish(run: Run, role: &str, how: Signal, who: &str) {
    let env = run.env();
    let ended = run.end();
    let (id, told) = (ended.id(), ended.told());
    if role == "cli" && how == Signal::KILL {
        assert_eq!(ended.code, -9, "{who}: {told}");
    } else {
        assert!([3, 4].contains(&ended.code), "{who}: {told}");
        assert_eq!(ended.verdict(), "error", "{who}: {told}");
        assert!(ended.reports.iter().any(|name| name == "junit.xml"), "{who}: {told}");
        if ended.code == 3 {
            assert_clean(&id, &env, who);
        } else {
            assert!(told.contains(&format!("keelhaul recover {id}")), "{who}: {told}");
        }
    }
    recover_twice(&id, &env, who);
}

#[test]
fn whoever_dies_or_stops_anywhere_in_a_run_nothing_stays() {
    let rounds = if soak() { 20 } else { 1 };
    for round in 0..rounds {
        for role in ["worker", "keeper", "cli"] {
            for how in [Signal::KILL, Signal::STOP] {
                strike_anywhere(role, how, round);
            }
        }
    }
}

fn strike_anywhere(role: &str, how: Signal, round: u32) {
    let who = format!("{role} {how:?} anywhere {round}");
    let mut run = Test::of(&Fixture::called("disk-full-ext4").scenario("300ms")).start();
    let id = run.id();
    std::thread::sleep(Duration::from_millis(drawn(&["anywhere", &who], 2500)));
    let keeper = keepers(&id).first().copied();
    let victim = match role {
        "cli" => Some(run.pid()),
        "keeper" => keeper,
        _ => keeper.and_then(worker_of),
    };
    let Some(victim) = victim else {
        say(&format!("{who}: not there at that instant"));
        let ended = run.end();
        assert_eq!(ended.code, 0, "{who}: {}", ended.told());
        return assert_clean(&id, &ended.env, &who);
    };
    signal(victim, how);
    if role == "cli" && how == Signal::STOP {
        std::thread::sleep(Duration::from_millis(2500));
        signal(victim, Signal::CONT);
    }
    let ended = run.end();
    // struck at its very end, it may have been over
    assert!([0, 3, 4, -9].contains(&ended.code), "{who}: {}", ended.told());
    let stated = if ended.code == -9 { serde_json::Value::Null } else { ended.verdict() };
    if ended.code == 3 {
        assert_eq!(stated, "error", "{who}: {}", ended.told());
        assert_clean(&id, &ended.env, &who);
    }
    recover_twice(&id, &ended.env, &who);
    say(&format!("{who}: exit code {}", ended.code));
}
