//! An interposer is killed or stopped while a fault is in force in it: whoever uses its volume gets
//! errors and does not hang, the run says so, and nothing of it stays.

use std::time::Instant;

use keelhaul::host::pressure::Waited;
use rustix::process::Signal;

use super::harness::Test;
use super::{
    fixtures::Fixture,
    host::{assert_clean, await_unmounted, init_of, interposers, signal},
    say, soak,
    tight::await_gone,
};
use crate::interpose::tight::assert_soon;

const INSERTED: &str = "io-error-inserted";

#[test]
fn a_killed_or_stopped_interposer_ends_its_run_and_leaves_nothing() {
    let cycles = if soak() { 200 } else { 6 };
    let struck = [
        ("io-error-docker", Signal::KILL),
        ("io-error-ext4", Signal::STOP),
        ("power-cut-block", Signal::STOP),
        ("io-error-docker", Signal::STOP),
        ("power-cut-block", Signal::KILL),
        ("io-error-ext4", Signal::KILL),
    ];
    for (cycle, (name, how)) in struck.into_iter().cycle().take(cycles).enumerate() {
        strike(&Fixture::called(name).scenario("30s"), how, &format!("{name} {how:?} {cycle}"));
    }
}

/// Nobody finds a dead mount where an interposer was inserted.
#[test]
fn an_inserted_interposer_that_dies_takes_its_mount_along() {
    let hows = if soak() { vec![Signal::KILL, Signal::STOP] } else { vec![Signal::STOP] };
    for how in hows {
        let (fixture, who) = (Fixture::called(INSERTED), format!("{INSERTED} {how:?}"));
        let mut run = Test::of(&fixture.scenario("30s")).start();
        let (id, env) = (run.id(), run.env());
        let init = init_of(&env, &run.container());
        run.until("injected");
        let found = interposers(&id);
        assert_eq!(found.len(), 1, "{who}");
        assert!(fixture.trace.in_force(init), "{who}");
        signal(found[0], how);
        fixture.trace.await_gone(init, &who);
        let ended = run.end();
        let told = ended.told();
        assert_eq!((ended.code, ended.verdict()), (3, "error".into()), "{who}: {told}");
        assert_clean(&id, &env, &who);
    }
}

/// A container that starts anew has other mounts.
#[test]
fn a_restart_takes_an_inserted_interposer_along_and_the_run_says_so() {
    let inserted = Fixture::called(INSERTED).scenario("30s");
    let restarting = inserted.replace("stop_grace: 1s", "stop_grace: 1s, restart: always");
    assert_ne!(restarting, inserted);
    let mut run = Test::of(&restarting).start();
    let (id, env) = (run.id(), run.env());
    let init = init_of(&env, &run.container());
    run.until("injected");
    signal(init, Signal::KILL);
    let ended = run.end();
    let told = ended.told();
    assert_eq!((ended.code, ended.verdict()), (5, "inconclusive".into()), "{told}");
    assert!(told.contains("outlive"), "{told}");
    assert_clean(&id, &env, "a restart");
}

/// The volume of a later case has the name of an earlier one's.
#[test]
fn an_interposer_of_a_later_case_is_watched_too() {
    let scenario = Fixture::called("io-error-docker").scenario("3s");
    let twice = scenario.replace("timeout: 60s", "timeout: 60s\nrepeat: 2");
    assert_ne!(twice, scenario);
    let mut run = Test::of(&twice).start();
    let (id, env) = (run.id(), run.env());
    run.until("case-ended");
    run.until("injected");
    interposers(&id).into_iter().for_each(|pid| signal(pid, Signal::KILL));
    let ended = run.end();
    let told = ended.told();
    assert_eq!(ended.code, 3, "{told}");
    assert!(told.contains("the interposer"), "{told}");
    assert_clean(&id, &env, "a later case");
}

/// The trial that proves a rule counts as anybody's, anywhere: what it cannot show must be seen on
/// the service's own operations.
#[test]
fn a_rule_that_nothing_of_the_service_matches_proves_nothing() {
    let whole = Fixture::called("io-error-docker").scenario("");
    for narrow in ["files: \"*.lgo\"", "by: { uid: 4711 }", "when: { nth: 15000 }"] {
        let target = "{ target: \"agent:/data\" }";
        let narrowed = whole.replace(target, &format!("{{ target: \"agent:/data\", {narrow} }}"));
        assert_ne!(narrowed, whole);
        let ended = Test::of(&narrowed).finish();
        let told = ended.told();
        assert_eq!((ended.code, ended.verdict()), (5, "inconclusive".into()), "{narrow}: {told}");
        assert_clean(&ended.id(), &ended.env, narrow);
    }
}

fn strike(scenario: &str, how: Signal, who: &str) {
    let mut run = Test::of(scenario).start();
    let (id, env) = (run.id(), run.env());
    run.until("injected");
    let found = interposers(&id);
    assert_eq!(found.len(), 1, "{who}");
    let struck = (Instant::now(), Waited::now());
    signal(found[0], how);
    let took = await_unmounted(&id, who);
    await_gone(&id, who);
    assert_soon(struck, who);
    let ended = run.end();
    let told = ended.told();
    say(&format!("{who}: unmounted after {took:?}, over after {:?}", struck.0.elapsed()));
    assert_eq!((ended.code, ended.verdict()), (3, "error".into()), "{who}: {told}");
    assert_clean(&id, &env, who);
}
