//! The same as `interpose::tight` from the outside: a run whose disk is served by a process that is short
//! of memory along with who writes to the disk. The watch frees whoever waits, and nothing stays.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use keelhaul::host::pressure::Waited;
use rustix::process::Signal;

use super::{
    fixtures::Fixture,
    harness::Test,
    host::{assert_clean, init_of, interposers, loops, mounted, signal},
    soak,
};
use crate::interpose::tight::{Tight, assert_soon, await_end, the_host_is_fine};

/// On the busiest machine.
const GONE: Duration = Duration::from_secs(45);

/// Waits until nothing of a run is served, mounted, or attached.
pub(super) fn await_gone(run: &str, who: &str) {
    let end = Instant::now() + GONE;
    loop {
        let (served, mounted, loops) = (interposers(run), mounted(run), loops(run));
        if served.is_empty() && mounted.is_empty() && loops.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{who}: left: {served:?} {mounted:#?} {loops:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A run with a disk that has room for what is written to it, and answers all the time.
fn scenario() -> String {
    let small = Fixture::called("lying-flush").scenario("40s");
    let scenario = small.replace("size: 16MiB", "size: 64MiB");
    assert_ne!(scenario, small);
    scenario
}

/// Whether it was this that ended them.
fn strike(tight: &Tight, how: Signal, cycle: u64) -> bool {
    let who = format!("{how:?} of a disk in a run {cycle}");
    let mut run = Test::of(&scenario()).start();
    let (id, env) = (run.id(), run.env());
    run.until("injected");
    let [server] = interposers(&id)[..] else { panic!("{who}: {:?}", interposers(&id)) };
    tight.joins("server", server);
    let init = init_of(&env, &run.container());
    let mut writer = tight.writer(&PathBuf::from(format!("/proc/{init}/root/data/fat")));
    let is_short = tight.is_short_of_memory(&who, Duration::from_millis(20 + cycle * 37 % 400));
    let struck = (Instant::now(), Waited::now());
    if is_short {
        assert!(writer.try_wait().unwrap().is_none(), "{who}: it writes: {:?}", tight.members());
        signal(server, how);
    } else if interposers(&id).contains(&server) {
        signal(server, Signal::KILL);
    }
    await_end(&mut writer, tight, &who);
    await_gone(&id, &who);
    assert_soon(struck, &who);
    tight.relax();
    let ended = run.end();
    let told = ended.told();
    assert_eq!((ended.code, ended.verdict()), (3, "error".into()), "{who}: {told}");
    assert_clean(&id, &env, &who);
    the_host_is_fine();
    is_short
}

#[test]
fn a_disk_that_is_short_of_memory_with_who_writes_to_it_is_torn_down_in_seconds() {
    let Some(tight) = Tight::make("run") else { return };
    let cycles = if soak() { 100 } else { 2 };
    for cycle in 0..cycles {
        let how = if cycle % 2 == 0 { Signal::STOP } else { Signal::KILL };
        while !strike(&tight, how, cycle) {}
    }
}
