//! What a Compose file makes of a scenario.

use std::collections::BTreeMap;

use keelhaul::scenario::{Depends, Scenario, Service};
use serde_json::{Value, json};

use super::{folder, load};

fn scenario(name: &str) -> Scenario {
    let path = folder("good-compose").join(name);
    let loaded = load(&[path]);
    let mut loaded = loaded.unwrap_or_else(|all| panic!("{}", keelhaul::diagnostic::render(&all)));
    loaded.remove(0).cells.remove(0).scenario
}

fn volume(scenario: &Scenario, name: &str) -> Value {
    serde_json::to_value(&scenario.volumes[name]).unwrap()
}

fn mounts(service: &Service) -> BTreeMap<&str, (&str, bool)> {
    let each = service.mounts.iter();
    each.map(|(at, mount)| (at.as_str(), (mount.volume.as_str(), mount.read_only))).collect()
}

#[test]
fn a_database_keeps_its_check_its_limits_and_the_scenario_s_overrides() {
    let scenario = scenario("pipeline.yaml");
    let db = &scenario.services["db"];
    assert_eq!(db.command.as_deref().unwrap(), ["postgres", "-c", "max_connections=100"]);
    // of `.env` beside the file
    let env = [("DB_PASSWORD", "s3cret"), ("DB_USER", "app")];
    assert_eq!(db.env, env.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    assert_eq!(db.memory.unwrap().0, 256 << 20, "the scenario goes over the file");
    assert_eq!(db.cpus, Some(0.5));
    let check = db.healthcheck.as_ref().unwrap();
    assert_eq!(check.command, ["/bin/sh", "-c", "pg_isready -U ${DB_USER}"]);
    let (interval, timeout) = (check.interval.to_string(), check.timeout.to_string());
    assert_eq!((interval.as_str(), timeout.as_str(), check.retries), ("90s", "5s", 3));
    assert!(volume(&scenario, "db_data").get("ext4").is_some(), "the scenario's own volume");
    let steady = serde_json::to_value(&scenario.steady_state).unwrap();
    assert!(steady.to_string().contains(r#""health":"healthy""#), "{steady}");
    assert_eq!(scenario.steady_state.len(), 1);
}

#[test]
fn mounts_of_every_form_become_volumes() {
    let scenario = scenario("pipeline.yaml");
    let expected = [
        ("/anonymous", ("redis-anonymous", false)),
        ("/data", ("redis_data", false)),
        ("/run", ("redis-run", false)),
        ("/scratch", ("redis-scratch", false)),
        ("/tmp", ("redis-tmp", false)),
    ];
    let redis = &scenario.services["redis"];
    assert_eq!(mounts(redis), BTreeMap::from(expected));
    assert_eq!(volume(&scenario, "redis_data")["docker"]["no_copy"], json!(true));
    assert_eq!(volume(&scenario, "redis-run")["tmpfs"]["size"], json!("16MiB"));
    assert_eq!(volume(&scenario, "redis-run")["tmpfs"]["mode"], json!("0755"));
    assert_eq!(volume(&scenario, "redis-scratch")["tmpfs"]["size"], json!("8MiB"));
    assert!(redis.read_only && redis.init);
    assert_eq!(
        (&redis.networks[..], &redis.aliases[..]),
        (&["back".into()][..], &["cache".into()][..])
    );
    assert_eq!(redis.stop_grace.unwrap().to_string(), "90s");
    let worker = mounts(&scenario.services["worker"]);
    assert_eq!(worker["/opt/pipeline/dags"], ("worker-opt-pipeline-dags", true));
    let bind = volume(&scenario, "worker-opt-pipeline-dags");
    assert_eq!(bind["bind"]["path"], json!("/here/dags"));
}

#[test]
fn shared_parts_variables_and_files_of_variables_are_put_in() {
    let scenario = scenario("pipeline.yaml");
    let worker = &scenario.services["worker"];
    assert_eq!(worker.user.as_deref(), Some("1001:0"), "a variable of the scenario");
    let expected = [
        ("DATABASE", "postgresql://app:s3cret@db/app"),
        ("EXECUTOR", "celery"),
        ("HOST_DOLLAR", "${HOSTNAME}"),
        ("QUEUE", "a b"),
        ("TOKEN", "${kept}"),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(worker.env, expected.into());
    assert_eq!(worker.entrypoint.as_deref().unwrap(), ["/keelhaul"]);
    assert_eq!(worker.depends_on["db"], Depends::ServiceHealthy);
    assert_eq!(worker.depends_on["redis"], Depends::ServiceStarted);
    assert_eq!(worker.labels["role"], "worker");
    let restart = serde_json::to_value(worker.restart).unwrap();
    assert_eq!((restart, worker.restart_attempts), (json!("on-failure"), Some(3)));
    assert_eq!(worker.hostname.as_deref(), Some("worker-0"));
    assert_eq!(worker.working_dir.as_deref(), Some("/opt/pipeline"));
    let limits = serde_json::to_value(&worker.ulimits).unwrap();
    let expected =
        json!({ "nofile": { "soft": 1024, "hard": 4096 }, "nproc": { "soft": 99, "hard": 99 } });
    assert_eq!(limits, expected);
    let names: Vec<&str> = scenario.services.keys().map(String::as_str).collect();
    assert_eq!(names, ["db", "redis", "worker"], "what a profile starts is left out");
}

#[test]
fn chosen_services_come_without_what_the_scenario_does_without() {
    let scenario = scenario("chosen.yaml");
    let names: Vec<&str> = scenario.services.keys().map(String::as_str).collect();
    assert_eq!(names, ["db"]);
    assert!(scenario.services["db"].depends_on.is_empty());
}

#[test]
fn volumes_never_share_a_name_and_never_reach_the_user_s_storage() {
    let scenario = scenario("names.yaml");
    let expected = [
        ("/a-b", ("app-a-b", false)),
        ("/a/b", ("app-a-b-2", true)),
        ("/cache", ("app-cache", false)),
        ("/conf", ("app-conf", true)),
        ("/data", ("app-data-2", true)),
        ("/nas", ("nas", false)),
        ("/var/lib/app", ("app-data", false)),
    ];
    assert_eq!(mounts(&scenario.services["app"]), BTreeMap::from(expected));
    let kind = |name| volume(&scenario, name).as_object().unwrap().keys().next().cloned().unwrap();
    assert_eq!((kind("app-data"), kind("app-data-2")), ("docker".into(), "bind".into()));
    assert_eq!((kind("app-a-b"), kind("app-a-b-2")), ("docker".into(), "tmpfs".into()));
    assert_eq!(kind("app-cache"), "docker", "the scenario's own goes over the file's");
    let nas = volume(&scenario, "nas").to_string();
    assert!(!nas.contains("device") && !nas.contains("nfs"), "{nas}");
}

#[test]
fn a_file_takes_what_it_includes_and_its_services_what_they_extend() {
    let scenario = scenario("family.yaml");
    let names: Vec<&str> = scenario.services.keys().map(String::as_str).collect();
    assert_eq!(names, ["api", "cache", "worker"]);
    let worker = &scenario.services["worker"];
    assert_eq!(worker.command.as_deref().unwrap(), ["work"]);
    let env = [("FROM_BASE", "yes"), ("LEVEL", "debug"), ("REGION", "eu")];
    assert_eq!(worker.env, env.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    assert_eq!(worker.depends_on["cache"], Depends::ServiceHealthy);
    let expected = [
        ("/data", ("data", false)),
        ("/etc/key", ("api-etc-key", true)),
        ("/run/secrets/token", ("api-run-secrets-token", true)),
        ("/settings", ("api-settings", true)),
        ("/srv/conf", ("api-srv-conf", false)),
        ("/srv/page", ("api-srv-page", true)),
    ];
    assert_eq!(mounts(&scenario.services["api"]), BTreeMap::from(expected));
    let path = |name: &str| volume(&scenario, name)["bind"]["path"].clone();
    // each from the directory of the file that says it
    assert_eq!(path("api-srv-conf"), json!("/here/own"));
    assert_eq!(path("api-srv-page"), json!("/here/shared/page"));
    assert_eq!(path("api-run-secrets-token"), json!("/here/token.txt"));
}
