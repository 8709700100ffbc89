//! Engines that refuse: each in words of its own, with exit code 3, and nothing left behind.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixListener,
    time::Duration,
};

use super::harness::{Ended, Test};
use super::{
    fixtures::Fixture,
    host::{assert_clean, docker},
    say,
};

/// `nobody`, almost everywhere.
const NOBODY: u32 = 65534;

fn test() -> Test {
    Test::of(&Fixture::called("read-only").scenario(""))
}

/// Exit code 3, these words, and reports all the same.
fn assert_refused(ended: &Ended, words: &[&str]) {
    let told = ended.told();
    assert_eq!((ended.code, ended.verdict()), (3, "error".into()), "{told}");
    for word in words {
        assert!(told.contains(word), "no `{word}` in: {told}");
    }
    assert!(ended.all("injected").is_empty(), "{told}");
    assert!(ended.reports.iter().any(|name| name == "junit.xml"), "{told}");
}

#[test]
fn an_engine_that_cannot_be_reached() {
    for (scheme, address) in [("unix", "/nowhere/engine.sock"), ("tcp", "127.0.0.1:1")] {
        let ended = test().env("DOCKER_HOST", &format!("{scheme}://{address}")).finish();
        assert_refused(&ended, &["no container engine answers", address, "hint: "]);
    }
}

#[test]
fn a_socket_without_permission() {
    let open = std::process::Command::new("setpriv")
        .args(["--reuid", &NOBODY.to_string(), "--clear-groups", "test", "-w"])
        .arg("/var/run/docker.sock")
        .status();
    if !rustix::process::getuid().is_root() || open.is_ok_and(|status| status.success()) {
        return say("skipped: needs root, and a socket that is closed to others");
    }
    let ended = test().user(NOBODY).finish();
    assert_refused(&ended, &["no permission to use the engine's socket", "/var/run/docker.sock"]);
}

#[test]
fn an_image_that_is_not_there() {
    let yaml = Fixture::called("read-only").scenario("");
    let yaml =
        yaml.replace("image: keelhaul/specimen", "image: \"nowhere/nothing:1\", pull: never");
    let ended = Test::of(&yaml).finish();
    assert_refused(&ended, &["image `nowhere/nothing:1` is not present", "pull: missing"]);
    assert_clean(&ended.id(), &ended.env, "image");
}

#[test]
fn a_name_that_is_taken() {
    let mut run = test().start();
    let (id, env) = (run.id(), run.env());
    let image = docker(&env, &["image", "ls", "-q", "--filter", "label=keelhaul.build"]);
    let name = format!("keelhaul-{id}-0-agent");
    let taken = loop {
        // the helper's image is made at the start of the very first run
        let image = image.lines().next().map_or_else(
            || docker(&env, &["image", "ls", "-q", "--filter", "label=keelhaul.build"]),
            str::to_owned,
        );
        let taken = docker(&env, &["create", "--name", &name, image.trim()]);
        if !taken.is_empty() || run.is_over() {
            break taken;
        }
    };
    let ended = run.end();
    // ours, and so not the run's to remove
    let kept = docker(&env, &["rm", &taken]);
    assert_refused(&ended, &["already in use", &name]);
    assert_eq!(kept, taken, "the other container was touched");
    assert_clean(&id, &env, "name");
}

#[test]
fn an_engine_that_is_too_old() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = stream.read(&mut [0; 16 << 10]);
            let body = r#"{"ApiVersion":"1.24","Version":"1.12.6"}"#;
            let length = body.len();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let answer = format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let ended = test().env("DOCKER_HOST", &format!("unix://{}", path.display())).finish();
    assert_refused(&ended, &["the engine speaks API `1.24`", "or newer"]);
}
