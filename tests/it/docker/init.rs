//! `init`: what it writes checks, and runs green as it is.

use std::fs;

use keelhaul::runtime::{Docker, ObjectKind, Runtime as _};

use crate::harness::Test;

const COMPOSE: &str = "\
services:
  app:
    image: keelhaul/specimen
    user: \"1001:1001\"
    restart: unless-stopped
    volumes: [ app_data:/data, ./uploads:/uploads, ./conf:/conf:ro ]
    tmpfs: /run
    healthcheck: { test: [ CMD, /keelhaul, --version ], interval: 2s }
volumes: { app_data: }
";

/// A container whose data is on a volume, and which is kept.
const KEPT: &str = "\
keelhaul: 1
name: kept
volumes: { data: { docker: {} } }
services:
  agent:
    image: keelhaul/specimen
    memory: 128MiB
    mounts: { /data: data }
steady_state: [ { container: { service: agent, state: running } } ]
steps: [ { expect: [ { file: { service: agent, path: /data/initialised } } ], within: 20s } ]
";

/// One of everything that a run does not have, or that nobody has.
const BEYOND: &str = "\
services:
  app:
    image: keelhaul/specimen
    privileged: true
    devices: [ /dev/fuse ]
    restart: whenever
    mem_limit: lots
    provider: { type: other }
    healthcheck: { test: [ CMD, /keelhaul, --version ] }
    deploy: { resources: { limits: { memory: 64m, pids: 3 } } }
    volumes: [ data:/data, shared:/shared ]
  worker:
    image: keelhaul/specimen
    restart: always
    pid: host
volumes: { data: , shared: { external: true } }
";

fn names(stdout: &str) -> Vec<&str> {
    stdout.lines().filter_map(|line| line.rsplit('/').next()).collect()
}

#[test]
fn a_compose_file_gets_a_scenario_for_each_mount_and_fault() {
    let test = Test::new();
    test.scenario("compose.yaml", COMPOSE);
    let init = ["init", "--compose", "compose.yaml", "--out", "suite"];
    let ran = test.keelhaul(&init);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let all = names(&ran.stdout).join(" ");
    for end in [
        "app-crash.yaml",
        "app-restart.yaml",
        "app-data-disk-full.yaml",
        "app-data-inode-exhaustion.yaml",
        "app-data-power-cut.yaml",
        "app-data-read-only.yaml",
        "app-uploads-disk-full.yaml",
        "app-run-tmpfs-restart.yaml",
        "app-run-tmpfs-full.yaml",
        "app-data-ownership.yaml",
        "app-data-shadow-mount.yaml",
        "app-data-lost-mount.yaml",
        "app-data-slow-start.yaml",
    ] {
        assert!(all.contains(end), "{end} is not among {all}");
    }
    assert!(!all.contains("conf"), "what is only read is not filled: {all}");
    let checked = test.keelhaul(&["check", "suite"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let full = names(&ran.stdout).into_iter().find(|name| name.ends_with("data-disk-full.yaml"));
    let text = fs::read_to_string(test.path("suite").join(full.unwrap())).unwrap();
    for line in ["compose: \"../compose.yaml\"", "owner: \"1001:1001\"", "health: healthy"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    // nobody's changes are overwritten
    let again = test.keelhaul(&init);
    assert_eq!(again.code, Some(2), "{}", again.stderr);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
}

/// Whether a service is up is asked at its ports, unless a health check tells.
#[test]
fn ports_are_asked_where_no_health_check_tells() {
    let test = Test::new();
    let ports = "[ '127.0.0.1:8080:80/tcp', 443, '53:53/udp', '7000-7002:7000-7002', '${NO:?}:9', { target: 81, published: '82' } ]";
    let steady = |more: &str, out: &str| {
        let service =
            format!("{{ image: keelhaul/specimen, ports: {ports}, expose: [ '6000' ]{more} }}");
        test.scenario("compose.yaml", &format!("services: {{ app: {service} }}\n"));
        let ran = test.keelhaul(&["init", "--compose", "compose.yaml", "--out", out]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let checked = test.keelhaul(&["check", out]);
        assert_eq!(checked.code, Some(0), "{}", checked.stderr);
        let name = names(&ran.stdout)[0].to_owned();
        let text = fs::read_to_string(test.path(out).join(name)).unwrap();
        let (_, after) = text.split_once("steady_state:\n").unwrap();
        after.split("\n\n").next().unwrap().replace(" service: app,", "")
    };
    let asked = [80, 443, 81].map(|port| format!("\n  - tcp: {{ port: {port} }}")).concat();
    assert_eq!(steady("", "suite"), format!("  - container: {{ state: running }}{asked}"));
    let check = ", healthcheck: { test: [ CMD, /keelhaul, --version ] }";
    assert_eq!(steady(check, "other"), "  - container: { health: healthy }");
}

#[test]
fn a_directory_of_whoever_runs_this_is_an_empty_volume() {
    let test = Test::new();
    let compose = COMPOSE.replace("./uploads:", "~/uploads:");
    test.scenario("compose.yaml", &compose);
    let ran = test.keelhaul(&["init", "--compose", "compose.yaml", "--out", "suite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let is_crash = |name: &&str| name.ends_with("app-crash.yaml");
    let crash = names(&ran.stdout).into_iter().find(is_crash).unwrap().to_owned();
    let text = fs::read_to_string(test.path("suite").join(crash)).unwrap();
    assert!(text.contains("  app-uploads: { docker: {} }"), "{text}");
    let checked = test.keelhaul(&["check", "suite"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    // a scenario has to say so itself
    test.scenario("x.yaml", "keelhaul: 1\nname: x\ncompose: compose.yaml\nsteps: [ wait: 1s ]\n");
    let checked = test.keelhaul(&["check", "x.yaml"]);
    assert_eq!(checked.code, Some(2), "{}", checked.stderr);
    assert!(checked.stderr.contains("volumes: { app-uploads: { docker: {} } }"), "{checked:?}");
}

#[test]
fn a_scenario_that_is_not_written_says_why() {
    let test = Test::new();
    test.scenario("compose.yaml", &COMPOSE.replace("    restart: unless-stopped\n", ""));
    let ran = test.keelhaul(&["init", "--compose", "compose.yaml", "--out", "suite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stdout.contains("app-crash"), "{}", ran.stdout);
    let why = "note: no crash of `app`: it has no restart policy";
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    test.scenario("compose.yaml", COMPOSE);
    let ran = test.keelhaul(&["init", "--compose", "compose.yaml", "--out", "other"]);
    assert!(ran.stdout.contains("app-crash") && !ran.stderr.contains("no crash"), "{ran:?}");
}

/// Where each is, and what becomes of it; nothing more is left out.
#[test]
fn what_a_run_does_not_have_is_left_out_and_named() {
    let test = Test::new();
    test.scenario("compose.yaml", BEYOND);
    let ran = test.keelhaul(&["init", "--compose", "compose.yaml", "--out", "suite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for (place, of) in [
        ("compose.yaml:4:5: ", "left out by `without: [app.privileged]`"),
        ("compose.yaml:5:5: ", "left out by `without: [app.devices]`"),
        ("compose.yaml:6:14: ", "left out by `without: [app.restart]`"),
        ("compose.yaml:7:16: ", "left out by `without: [app.mem_limit]`"),
        ("compose.yaml:8:5: ", "left out by `without: [app.provider]`"),
        ("compose.yaml:10:51: ", "left out by `without: [app.pids]`"),
        ("compose.yaml:15:5: ", "left out by `without: [worker.pid]`"),
        ("compose.yaml:16:", "`shared` is an empty volume of the run's (`docker`)"),
    ] {
        let told = ran
            .stderr
            .lines()
            .any(|line| line.starts_with("note: ") && line.contains(place) && line.ends_with(of));
        assert!(told, "{place}, {of} is not in\n{}", ran.stderr);
    }
    let full = names(&ran.stdout).into_iter().find(|name| name.ends_with("app-restart.yaml"));
    let text = fs::read_to_string(test.path("suite").join(full.unwrap())).unwrap();
    let of_app = "    - app.devices\n    - app.mem_limit\n    - app.pids\n    - app.privileged\n    \
                  - app.provider\n    - app.restart\n    - worker.";
    for part in [of_app, "  shared: { docker: {} }\n", "health: healthy"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("app.volumes") && !text.contains("app.deploy"), "{text}");
    let checked = test.keelhaul(&["check", "suite"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

/// A service that is built is the image that Compose makes of it; nothing can stand in for a value
/// that only the user knows.
#[test]
fn what_has_to_be_mended_is_no_gap() {
    let test = Test::new();
    let built = "services: { app: { build: ., privileged: true } }\nname: shop\n";
    test.scenario("compose.yaml", built);
    let ran = test.keelhaul(&["init", "--compose", "compose.yaml", "--out", "suite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("`shop-app` is run"), "{}", ran.stderr);
    let checked = test.keelhaul(&["check", "suite"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);

    let open = "services: { app: { image: i, privileged: true, command: '${WHAT:?say it}' } }\n";
    test.scenario("open.yaml", open);
    let ran = test.keelhaul(&["init", "--compose", "open.yaml", "--out", "other"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("say it") && !ran.stderr.contains("note: "), "{}", ran.stderr);
    assert!(!test.path("other").exists());
}

/// What `init` says of a service with these lines, in a file with this at its end; it writes nothing.
fn refused(lines: &str, end: &str) -> String {
    let test = Test::new();
    let image = "services:\n  app:\n    image: keelhaul/specimen\n    privileged: true\n";
    test.scenario("compose.yaml", &format!("{image}    {lines}\n{end}\n"));
    let ran = test.keelhaul(&["init", "--compose", "compose.yaml", "--out", "suite"]);
    assert_eq!(ran.code, Some(2), "{lines}: {}{}", ran.stdout, ran.stderr);
    assert!(!test.path("suite").exists(), "{lines}");
    ran.stderr
}

#[test]
fn what_is_mistyped_inside_a_key_never_takes_a_key_of_the_service_along() {
    for (lines, says) in [
        (
            "healthcheck: { test: [ CMD, /x ], command: 1 }",
            "unknown key `command` in `healthcheck`",
        ),
        ("healthcheck: { test: [ CMD, /x ], retrys: 3 }", "did you mean `retries`?"),
        ("volumes: [ { type: volume, target: /d, user: x } ]", "unknown key `user` in a mount"),
        ("deploy: { resources: { limits: { command: x } } }", "remove it: no `without`"),
    ] {
        let said = refused(&format!("command: [ specimen ]\n    {lines}"), "");
        assert!(said.contains(says), "{says} is not in\n{said}");
    }
}

#[test]
fn what_makes_a_service_itself_or_safe_is_never_left_out() {
    for (lines, says) in [
        ("user: [ 1001 ]", "`user` wants text"),
        ("read_only: sometimes", "`read_only` wants `true` or `false`"),
        ("cap_drop: ALL", "`cap_drop` wants a list"),
        ("command: echo \"never closed", "`command` wants a command"),
        ("entrypoint: echo \"never closed", "`entrypoint` wants a command"),
        ("environment: [ { A: b } ]", "`environment` wants"),
        ("env_file: [ { path: none.env, required: maybe } ]", "`required` wants"),
        ("usr: \"1001\"", "did you mean `user`?"),
        ("network_mode: none", "without: [app.network_mode]"),
    ] {
        let said = refused(lines, "");
        assert!(said.contains(says), "{says} is not in\n{said}");
    }
    for network in ["{ internal: true }", "{ driver: overlay, internal: true }"] {
        let said = refused("networks: [ back ]", &format!("networks: {{ back: {network} }}"));
        let says = "`internal` of network `back` has no counterpart";
        assert!(said.contains(says) && said.contains("without: [networks.back]"), "{said}");
    }
}

/// By its project: of its variables, of the file, or of the directory that it lies in.
#[test]
fn the_image_of_what_is_built_is_called_as_compose_calls_it() {
    for (folder, name, variables, image) in [
        ("My.Shop_1", "", "", Some("myshop_1-app")),
        ("-_Shop", "", "COMPOSE_PROJECT_NAME=\n", Some("shop-app")),
        ("shop", "name: ${OF:-Other}\n", "OF=Third\n", Some("third-app")),
        ("shop", "name: other\n", "COMPOSE_PROJECT_NAME=fourth\n", Some("fourth-app")),
        ("__", "", "", None),
    ] {
        let test = Test::new();
        fs::create_dir(test.path(folder)).unwrap();
        let file = format!("./{folder}/compose.yaml");
        test.scenario(&file, &format!("{name}services: {{ app: {{ build: . }} }}\n"));
        test.scenario(&format!("{folder}/.env"), variables);
        let out = format!("./{folder}/suite");
        let ran = test.keelhaul(&["init", "--compose", &file, "--out", &out]);
        assert_eq!(ran.code, Some(if image.is_some() { 0 } else { 2 }), "{}", ran.stderr);
        let says =
            image.map_or("name the image".into(), |image| format!("`{image}` is run, which"));
        assert!(ran.stderr.contains(&says), "{says} is not in\n{}", ran.stderr);
    }
}

/// Whatever quotes a value shows what the file has in its place.
#[test]
fn what_a_variable_stands_for_is_never_told() {
    let test = Test::new();
    test.scenario(".env", "SECRET=hunter22\nPAIR=ro,hunter22\nCOUNT=on-failure:hunter22\n");
    let service =
        |lines: &str| format!("services: {{ app: {{ image: keelhaul/specimen, {lines} }} }}\n");
    let init = ["init", "--compose", "compose.yaml", "--out", "suite"];
    let audit = ["audit", "--compose", "compose.yaml", "--format", "json"];
    for (lines, says) in [
        ("mem_limit: '${SECRET}'", "or `1g`, not `${SECRET}`"),
        ("mem_limit: 'x${SECRET}'", "or `1g`, not `x${SECRET}`"),
        ("restart: $SECRET", "cannot be `$SECRET`"),
        ("restart: '${COUNT}'", "not `${COUNT}`"),
        ("user: [ '${SECRET}', '${SECRET:?}' ]", "`user` wants text"),
        ("volumes: [ './a:/a:${PAIR}' ]", "`${PAIR}` of service"),
        ("volumes: [ '${SECRET}:/a' ]", "no volume is called `${SECRET}`"),
    ] {
        test.scenario("compose.yaml", &service(lines));
        for args in [&init[..], &audit] {
            let ran = test.keelhaul(args);
            let said = ran.stdout + &ran.stderr;
            assert!(said.contains(says) && !said.contains("hunter22"), "{says} is not in\n{said}");
        }
        let _ = fs::remove_dir_all(test.path("suite"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_s_suite_runs_green_as_it_is_written() {
    let test = Test::new();
    test.scenario("kept.yaml", KEPT);
    let ran = test.keelhaul(&["run", "kept.yaml", "--keep"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let run = test.run_id();
    let docker = Docker::connect(None).unwrap();
    let objects = docker.all_objects().await.unwrap();
    let agent = objects.iter().find(|object| {
        object.kind == ObjectKind::Container
            && object.run.starts_with(&run)
            && object.name.ends_with("-agent")
    });
    let agent = agent.unwrap().name.clone();
    let before = docker.inspect(&agent).await.unwrap();

    let ran = test.keelhaul(&["init", &agent, "--out", "suite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ran.stdout.lines().count(), 8, "{}", ran.stdout);
    let ran = test.keelhaul(&["run", "suite", "--jobs", "4"]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("8 passed"), "{}", ran.stdout);
    let after = docker.inspect(&agent).await.unwrap();
    assert_eq!((after.started_at, after.state), (before.started_at, before.state));
    let recovered = test.keelhaul(&["recover", &run]);
    assert_eq!(recovered.code, Some(0), "{recovered:?}");
}

#[test]
fn what_is_not_there_gets_no_suite() {
    let test = Test::new();
    for (args, says) in [
        (&["init", "no-such-container"][..], "no container is called `no-such-container`"),
        (&["init", "--compose", "nowhere.yaml"][..], "nowhere.yaml"),
        (&["init"][..], "--compose"),
    ] {
        let ran = test.keelhaul(args);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(says), "{}", ran.stderr);
    }
    assert!(!test.path("scenarios").exists());
}
