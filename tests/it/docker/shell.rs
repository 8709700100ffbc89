//! `shell`: looks at a subject from inside, whatever its image has.

use rustix::process::Signal;

use crate::harness::{Running, Test, objects};

/// Fails at once and is held, so that there is something to look at.
const HELD: &str = r#"
keelhaul: 1
name: held
volumes:
  data: { tmpfs: { size: 8MiB, inodes: 100 } }
services:
  agent:
    image: keelhaul/specimen
    mounts: { /data: data }
steps:
  - expect:
      - file: { service: agent, path: /no/such/file, exists: true }
    within: 100ms
    as: never
"#;

fn held(test: &Test) -> (Running, String) {
    test.scenario("held.yaml", HELD);
    let mut run = test.start(&["run", "held.yaml", "--hold"], &[], "");
    run.until_said("held with");
    (run, test.run_id())
}

fn finish(run: Running) {
    run.signal(Signal::TERM);
    let ended = run.end();
    assert_eq!(ended.code, Some(130), "{ended:?}");
}

#[test]
fn it_looks_and_changes_and_ends_with_the_last_commands_code() {
    let test = Test::new();
    let (run, id) = held(&test);
    let script = "df /data\ncd /data\nmkdir -p a/b\nwrite a/b/c some text\ncat a/b/c\nstat a/b/c\nls a\npwd\nps\nmounts\n";
    let told = test.told(&["shell", &id, "agent"], script);
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""), "{told:?}");
    let row: Vec<_> = told.stdout.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((row[0], row[1], row[4], row[8]), ("tmpfs", "8388608", "100", "/data"));
    for wanted in ["some text\n", "size 10 ", "/data\n", "specimen", "/data  tmpfs"] {
        assert!(told.stdout.contains(wanted), "{wanted:?}: {told:?}");
    }
    assert!(!told.stdout.contains("agent:/"), "no prompt for a script: {told:?}");

    let failed = test.told(&["shell", &id, "agent"], "rm -r /data/a\ncat /data/a/b/c\n");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("ENOENT"), "{failed:?}");
    assert_eq!(test.told(&["shell", &id, "agent"], "exit 42\npwd\n").code, Some(42));
    // its own containers go with it
    let shells: Vec<_> = objects(&id).into_iter().filter(|name| name.contains("shell")).collect();
    assert_eq!(shells, Vec::<String>::new());
    finish(run);
}

#[test]
fn programs_of_the_subject_run_in_its_namespaces_with_its_capabilities() {
    let test = Test::new();
    let (run, id) = held(&test);
    let told = test.told(&["shell", &id, "agent"], "/keelhaul --version\nno-such-program\n");
    assert!(told.stdout.starts_with("keelhaul "), "{told:?}");
    assert_eq!(told.code, Some(1));
    assert!(told.stderr.contains("`no-such-program` is neither built in nor"), "{told:?}");
    finish(run);
}

#[test]
fn what_is_not_there_is_answered_with_what_is() {
    let test = Test::new();
    let (run, id) = held(&test);
    let other = test.keelhaul(&["shell", &id, "database"]);
    assert_eq!(other.code, Some(2));
    assert!(other.stderr.contains("no service `database`"), "{other:?}");
    assert!(other.stderr.contains("it has `agent`"), "{other:?}");
    let none = test.keelhaul(&["shell", "no-such-run", "agent"]);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains(&format!("`{id}-0` (agent)")), "{none:?}");
    // the beginning of an id is enough where it is clear
    let begin = test.told(&["shell", &id[..id.len() - 1], "agent"], "pwd\n");
    assert_eq!((begin.code, begin.stdout.as_str()), (Some(0), "/\n"), "{begin:?}");
    finish(run);
}
