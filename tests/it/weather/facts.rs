//! What a kernel or an engine does that one would not think, and what a fault makes of it: seen on
//! the host, and not in the fault's own words.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::{
    fixtures::Fixture,
    harness::Test,
    host::{assert_clean, cgroup_file, cgroup_path, docker, init_of},
    say,
};

/// Descriptors of a process that can write to a file at or below a path of its own.
fn writers(pid: i32, path: &str) -> usize {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let writes = |fd: &std::ffi::OsStr| {
        let info = Path::new("/proc").join(pid.to_string()).join("fdinfo").join(fd);
        let text = fs::read_to_string(info).unwrap_or_default();
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|octal| i32::from_str_radix(octal.trim(), 8).ok());
        flags.is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY)
    };
    links
        .filter(|entry| fs::read_link(entry.path()).is_ok_and(|file| file.starts_with(path)))
        .filter(|entry| writes(&entry.file_name()))
        .count()
}

/// The flag of the mount itself cannot be changed then: EBUSY.
#[test]
fn whoever_writes_does_not_keep_a_mount_from_being_read_only() {
    let mut run = Test::of(&Fixture::called("read-only").scenario("1s")).start();
    let init = init_of(&run.env(), &run.container());
    let injected = run.until("injected");
    let open = writers(init, "/data");
    let ended = run.end();
    let told = ended.told();
    assert!(open > 0, "nobody writes, so this shows nothing: {told}");
    assert_eq!(injected["proven"], true, "{told}");
    let notes = injected["notes"].to_string();
    assert!(notes.contains("open for writing escaped"), "{open} do: {notes}");
    assert_eq!(ended.code, 0, "{told}");
    assert_clean(&ended.id(), &ended.env, "read-only");
}

/// The engine takes its own kill for somebody's wish.
#[test]
fn a_restart_policy_applies_after_a_crash_and_not_after_a_kill() {
    for (fault, state, restarts) in [("kill", "exited", "0"), ("crash", "running", "1")] {
        let yaml = Fixture::called(fault).scenario("3s");
        let yaml = yaml.replace("stop_grace: 1s", "stop_grace: 1s, restart: always");
        let yaml = yaml
            + &format!(
                "  - expect: [{{ container: {{ service: agent, state: {state} }} }}]\n    as: then\n  - wait: 2s\n"
            );
        let mut run = Test::of(&yaml).start();
        let container = run.container();
        while run.until("asserted")["assertion"] != "then.expect[0]" {}
        let seen = docker(&run.env(), &["inspect", "-f", "{{.RestartCount}}", &container]);
        let ended = run.end();
        let told = ended.told();
        assert_eq!(ended.asserted("then.expect[0]"), "pass", "{fault}: {told}");
        assert_eq!((seen.as_str(), ended.code), (restarts, 0), "{fault}: {told}");
        assert_clean(&ended.id(), &ended.env, fault);
    }
}

/// A second process of the container, by whose end the container does not end.
const JOB: &str = "
  - exec:
      service: agent
      command: [/keelhaul, specimen, --data, /data/job, --listen, \"127.0.0.1:9\"]
      exit_code: 137
      background: true
    as: job
  - expect: [{ file: { service: agent, path: /data/job/initialised } }]
    within: 20s
";

/// What the engine says then depends on its version; the kernel counts.
#[test]
fn a_kill_that_init_survives_is_the_kernels_to_tell() {
    let yaml = Fixture::called("oom-kill").scenario("");
    let yaml = yaml.replace("\nsteps:\n", &format!("\nsteps:{JOB}"));
    let yaml = yaml.replace("{ target: agent }", "{ target: agent, process: /data/job }")
        + "  - await: job
  - expect: [{ container: { service: agent, state: running, max_restarts: 0, oom_kills: { min: 1 } } }]
    as: counted
  - wait: 2s
";
    let mut run = Test::of(&yaml).start();
    let container = run.container();
    let init = init_of(&run.env(), &container);
    let injected = run.until("injected");
    let counted = oom_kills(init);
    let flag = docker(&run.env(), &["inspect", "-f", "{{.State.OOMKilled}}", &container]);
    let ended = run.end();
    let told = ended.told();
    say(&format!("the kernel counts {counted:?} kills, the engine's flag is {flag}"));
    assert!(counted.is_some_and(|kills| kills > 0), "{told}");
    assert_eq!(injected["proven"], true, "{told}");
    assert_eq!(ended.asserted("counted.expect[0]"), "pass", "{told}");
    assert_eq!(ended.code, 0, "{told}");
    assert_clean(&ended.id(), &ended.env, "oom-kill");
}

/// Processes that the kernel has killed for want of memory in the cgroup of this one.
fn oom_kills(pid: i32) -> Option<u64> {
    let text = cgroup_file(pid, "memory", "memory.oom_control", "memory.events")?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

/// How long a process in the cgroups of another takes to write a file, and to sync it or not.
fn took(pid: i32, file: &str, sync: bool) -> Duration {
    let group = cgroup_path(pid, "blkio", "cgroup.procs", "cgroup.procs").unwrap();
    let sync = if sync { " conv=fsync" } else { "" };
    let script =
        format!("echo $$ >{group} && exec dd if=/dev/zero of={file} bs=64k count=16{sync}");
    let started = Instant::now();
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    started.elapsed()
}

/// A kernel thread writes it then, in whose cgroup nothing is limited. So the effect is proven by
/// direct I/O, and what is held back is what a service syncs.
#[test]
fn a_throttle_holds_back_what_is_synced_and_not_what_is_only_written() {
    let fixture = Fixture::called("throttle");
    let mut run = Test::of(&fixture.scenario("12s")).start();
    let init = init_of(&run.env(), &run.container());
    let injected = run.until("injected");
    let file = format!("/proc/{init}/root/data/tried");
    let (written, synced) = (took(init, &file, false), took(init, &file, true));
    assert!(fixture.trace.in_force(init), "it was over too soon");
    fs::remove_file(&file).unwrap();
    let ended = run.end();
    let told = ended.told();
    say(&format!("a mebibyte is written in {written:?}, and synced in {synced:?}"));
    assert_eq!(injected["proven"], true, "{told}");
    // at 256 KiB/s it would take four seconds
    assert!(written < Duration::from_secs(1), "{written:?}");
    assert!(synced > Duration::from_secs(2), "{synced:?}");
    assert_eq!(ended.code, 0, "{told}");
    assert_clean(&ended.id(), &ended.env, "throttle");
}
