//! Looking at one container.

use std::collections::BTreeMap;

use bollard::{
    models::{
        ContainerConfig, ContainerInspectResponse, ContainerState, ContainerStateStatusEnum,
        HealthStatusEnum, HostConfig, MountPoint,
    },
    query_parameters::InspectContainerOptions,
};

use super::{Docker, choices, network};
use crate::runtime::{Checked, ContainerFacts, ContainerMount, Health, MemoryLimit, Result, State};

impl Docker {
    pub(super) async fn container_facts(&self, container: &str) -> Result<ContainerFacts> {
        let call = self.call("looking at", "container", container);
        let options = None::<InspectContainerOptions>;
        let found = call.run(self.client.inspect_container(container, options)).await?;
        let has_check = found.state.as_ref().is_some_and(|state| state.health.is_some());
        let ahead_ns = if has_check { self.ahead_ns().await } else { 0 };
        Ok(facts(found, ahead_ns))
    }

    pub(super) async fn labels_of(&self, container: &str) -> Result<BTreeMap<String, String>> {
        let call = self.call("looking at", "container", container);
        let options = None::<InspectContainerOptions>;
        let found = call.run(self.client.inspect_container(container, options)).await?;
        let labels = found.config.and_then(|config| config.labels);
        Ok(labels.unwrap_or_default().into_iter().collect())
    }
}

/// `ahead_ns`: how far the engine's clock is ahead of ours.
fn facts(answer: ContainerInspectResponse, ahead_ns: i64) -> ContainerFacts {
    let state = answer.state.unwrap_or_default();
    let mut mounts: Vec<_> = answer.mounts.unwrap_or_default().into_iter().map(mount).collect();
    let host = answer.host_config.unwrap_or_default();
    let (memory, restart, attempts) =
        (memory(&host), choices::restart(&host), choices::attempts(&host));
    // a tmpfs that was asked for by mount options is not among the mounts
    let tmpfs = host.tmpfs.unwrap_or_default();
    mounts.extend(tmpfs.into_iter().map(|(at, options)| in_memory(at, &options)));
    mounts.sort_by(|one, other| one.destination.cmp(&other.destination));
    let id = answer.id.unwrap_or_default();
    let networks = answer.network_settings.and_then(|settings| settings.networks);
    ContainerFacts {
        networks: network::facts(networks.unwrap_or_default(), &id),
        id,
        name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or_default(),
        exit_code: state.exit_code.unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
        restarts: answer.restart_count.unwrap_or_default(),
        health: health(&state),
        checked: checked(&state, ahead_ns),
        next_check_ms: answer.config.as_ref().and_then(next_check_ms),
        state: status(&state),
        started_at: state.started_at.unwrap_or_default(),
        stop_grace_ms: answer.config.and_then(|config| stop_grace_ms(config.stop_timeout)),
        memory,
        goes_when_ended: host.auto_remove.unwrap_or_default(),
        restart,
        restart_attempts: attempts,
        image: answer.image.unwrap_or_default(),
        mounts,
    }
}

fn in_memory(destination: String, options: &str) -> ContainerMount {
    ContainerMount {
        destination,
        kind: "tmpfs".to_owned(),
        source: String::new(),
        volume: String::new(),
        writable: !options.split(',').any(|option| option == "ro"),
        own: None,
    }
}

/// The engine says 0 where there is no limit, and for swap where it is twice the memory.
fn memory(host: &HostConfig) -> Option<MemoryLimit> {
    let memory = u64::try_from(host.memory?).ok().filter(|memory| *memory > 0)?;
    let twice = i64::try_from(memory.saturating_mul(2)).unwrap_or(i64::MAX);
    let with_swap = host.memory_swap.filter(|swap| *swap != 0).unwrap_or(twice);
    Some(MemoryLimit { memory, with_swap })
}

/// The engine counts in seconds; a negative number waits for ever, which nobody here does.
fn stop_grace_ms(seconds: Option<i64>) -> Option<u64> {
    u64::try_from(seconds?).ok().map(|seconds| seconds.saturating_mul(1000))
}

fn status(state: &ContainerState) -> State {
    use ContainerStateStatusEnum as Engine;
    match state.status {
        Some(Engine::RUNNING | Engine::STOPPING) => State::Running,
        Some(Engine::PAUSED) => State::Paused,
        Some(Engine::RESTARTING) => State::Restarting,
        Some(Engine::REMOVING) => State::Removing,
        Some(Engine::EXITED) => State::Exited,
        Some(Engine::DEAD) => State::Dead,
        Some(Engine::CREATED | Engine::EMPTY) | None => State::Created,
    }
}

fn health(state: &ContainerState) -> Health {
    match state.health.as_ref().and_then(|health| health.status) {
        Some(HealthStatusEnum::STARTING) => Health::Starting,
        Some(HealthStatusEnum::HEALTHY) => Health::Healthy,
        Some(HealthStatusEnum::UNHEALTHY) => Health::Unhealthy,
        Some(HealthStatusEnum::NONE | HealthStatusEnum::EMPTY) | None => Health::None,
    }
}

/// The engine lists the last few, the newest at the end.
fn checked(state: &ContainerState, ahead_ns: i64) -> Option<Checked> {
    let last = state.health.as_ref()?.log.as_ref()?.last()?;
    let output = last.output.clone().unwrap_or_default();
    let began = last.start.and_then(|at| i64::try_from(at.unix_timestamp_nanos()).ok());
    let started_ns = began.map(|at| at.saturating_sub(ahead_ns));
    Some(Checked { exit_code: last.exit_code?, output, started_ns })
}

/// Nanoseconds that the engine takes for an interval and for a timeout that nobody chose.
const UNCHOSEN_NS: i64 = 30_000_000_000;

/// The interval counts from the end of the check before.
fn next_check_ms(config: &ContainerConfig) -> Option<u64> {
    let check = config.healthcheck.as_ref()?;
    let chosen = |time: Option<i64>| time.filter(|time| *time > 0).unwrap_or(UNCHOSEN_NS);
    let both = chosen(check.interval).saturating_add(chosen(check.timeout));
    u64::try_from(both / 1_000_000).ok()
}

fn mount(point: MountPoint) -> ContainerMount {
    let kind = point.typ.unwrap_or_default();
    ContainerMount {
        destination: point.destination.unwrap_or_default(),
        source: if kind == "tmpfs" { String::new() } else { point.source.unwrap_or_default() },
        volume: point.name.unwrap_or_default(),
        writable: point.rw.unwrap_or_default(),
        own: None,
        kind,
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use crate::runtime::{
        Health,
        docker::scripted::{ScriptedEngine, json},
    };

    /// What is done by us and when the engine looked must be told apart on any clock.
    #[tokio::test]
    async fn a_health_check_began_when_our_clock_says() {
        for ahead in [SignedDuration::ZERO, SignedDuration::from_hours(1)] {
            let began = Timestamp::now() - SignedDuration::from_secs(7);
            let engine = ScriptedEngine::start(move |asked| match asked {
                "GET /info" => {
                    json(&json!({ "SystemTime": (Timestamp::now() + ahead).to_string() }))
                }
                _ => {
                    let check = json!({ "Start": (began + ahead).to_string(), "ExitCode": 1, "Output": "no" });
                    let health = json!({ "Status": "healthy", "FailingStreak": 1, "Log": [check] });
                    let config = json!({ "Healthcheck": { "Test": ["CMD", "x"], "Interval": 5_000_000_000_i64 } });
                    let state = json!({ "Status": "running", "Health": health });
                    json(&json!({ "Id": "c", "State": state, "Config": config }))
                }
            });
            let facts = engine.client().container_facts("c").await.unwrap();
            let last = facts.checked.unwrap();
            assert_eq!((facts.health, last.exit_code), (Health::Healthy, 1));
            let off = i128::from(last.started_ns.unwrap()) - began.as_nanosecond();
            assert!(off.abs() < 5_000_000_000, "{off} ns");
            assert_eq!(
                facts.next_check_ms,
                Some(35_000),
                "its interval, and the engine's own timeout"
            );
        }
    }
}
