//! A mount that was taken away is kept by a process of ours. When that has died, the same directory
//! comes back by way of the engine.

use std::fs;

use rustix::process::Signal;

use super::harness::Test;
use super::{
    fixtures::Fixture,
    host::{Trace, assert_clean, docker, init_of, pid_of, recover_twice, signal},
    say,
};

const AT: &str = "/mnt";

/// The only mount there: its device, the directory on it, where it is mounted, and its options.
fn mount(init: i32) -> Option<Vec<String>> {
    let table = fs::read_to_string(format!("/proc/{init}/mountinfo")).unwrap();
    let mut found = table.lines().filter_map(|line| {
        let fields: Vec<String> = line.split(' ').skip(2).take(4).map(str::to_owned).collect();
        (fields[2] == AT).then_some(fields)
    });
    let one = found.next();
    assert!(found.next().is_none(), "more than one mount at {AT}: {table}");
    one
}

/// Read-only in the container, which the engine's own sight of it is not.
#[test]
fn a_lost_mount_whose_keeper_has_died_comes_back_by_way_of_the_engine() {
    let lost = Trace::Lost(AT);
    let yaml = Fixture::called("lost-mount").scenario("60s");
    let yaml = yaml
        .replace("/data: data }", "/data: data, /mnt: { volume: data, read_only: true } }")
        .replace("agent:/data", "agent:/mnt");
    let mut run = Test::of(&yaml).start();
    let id = run.id();
    let container = run.container();
    let init = init_of(&run.env(), &container);
    let before = mount(init).unwrap();
    assert!(before[3].starts_with("ro,"), "{before:?}");
    run.until("injected");
    assert!(lost.in_force(init) && mount(init).is_none());
    signal(pid_of("worker", &id), Signal::KILL);
    let took = lost.await_gone(init, "worker");
    assert_eq!(mount(init).as_ref(), Some(&before));
    // and it is that volume: what is written to it is read there
    let sources = "{{range .Mounts}}{{.Source}}\n{{end}}";
    let source = docker(&run.env(), &["inspect", "-f", sources, &container]);
    let source = source.lines().next().unwrap();
    fs::write(format!("{source}/grafted"), "seen").unwrap();
    let seen = fs::read_to_string(format!("/proc/{init}/root{AT}/grafted"));
    assert_eq!(seen.unwrap(), "seen");
    let ended = run.end();
    assert_eq!((ended.code, ended.verdict()), (3, "error".into()), "{}", ended.told());
    assert_clean(&id, &ended.env, "lost-mount");
    recover_twice(&id, &ended.env, "lost-mount");
    say(&format!("worker killed: grafted back after {took:?}"));
}
