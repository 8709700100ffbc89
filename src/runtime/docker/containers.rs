//! Creating containers, networks and volumes from their specs.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bollard::{
    models::{
        ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
        Mount, MountType, MountVolumeOptions, NetworkCreateRequest, NetworkingConfig,
        ResourcesUlimits, RestartPolicyNameEnum, VolumeCreateRequest,
    },
    query_parameters::CreateContainerOptions,
};

use super::{Docker, inner_engine};
use crate::runtime::{
    ContainerSpec, HealthCheck, MountSource, MountSpec, NetworkSpec, Relabel, RestartPolicy,
    Result, Ulimit, VolumeSpec,
};

/// Creating may copy an image's files into a volume.
pub(super) const CREATE_LIMIT: Duration = Duration::from_secs(120);

impl Docker {
    pub(super) async fn new_network(&self, spec: &NetworkSpec) -> Result<String> {
        let request = NetworkCreateRequest {
            name: spec.name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(map(&spec.labels)),
            ..NetworkCreateRequest::default()
        };
        let call = self.call("creating", "network", &spec.name);
        Ok(call.run(self.client.create_network(request)).await?.id)
    }

    pub(super) async fn new_volume(&self, spec: &VolumeSpec) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(spec.name.clone()),
            driver: Some(spec.driver.clone()),
            driver_opts: Some(map(&spec.options)),
            labels: Some(map(&spec.labels)),
            ..VolumeCreateRequest::default()
        };
        let call = self.call("creating", "volume", &spec.name);
        call.run(self.client.create_volume(request)).await.map(drop)
    }

    pub(super) async fn directory_of(&self, volume: &str) -> Result<String> {
        let call = self.call("looking at", "volume", volume);
        Ok(call.run(self.client.inspect_volume(volume)).await?.mountpoint)
    }

    pub(super) async fn new_container(&self, spec: &ContainerSpec) -> Result<String> {
        self.create_from(&spec.name, body(spec)).await
    }

    /// Creates a container from a complete request; returns its id.
    pub(super) async fn create_from(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<String> {
        let options = CreateContainerOptions {
            name: Some(name.to_owned()),
            ..CreateContainerOptions::default()
        };
        let call = self.call("creating", "container", name).within(CREATE_LIMIT);
        Ok(call.run(self.client.create_container(Some(options), body)).await?.id)
    }
}

fn body(spec: &ContainerSpec) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        env: Some(environment(&spec.env)),
        user: spec.user.clone(),
        hostname: spec.hostname.clone(),
        working_dir: spec.working_dir.clone(),
        labels: Some(map(&spec.labels)),
        healthcheck: spec.health.as_ref().map(health),
        stop_timeout: spec.stop_grace.map(signed),
        networking_config: spec.network.as_ref().map(|network| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                network.clone(),
                EndpointSettings { aliases: Some(spec.aliases.clone()), ..Default::default() },
            )])),
        }),
        host_config: Some(if spec.inner_engine {
            inner_engine::host(host(spec))
        } else {
            host(spec)
        }),
        ..ContainerCreateBody::default()
    }
}

fn host(spec: &ContainerSpec) -> HostConfig {
    let memory = spec.memory.map(signed);
    HostConfig {
        mounts: Some(spec.mounts.iter().filter_map(mount).collect()),
        binds: Some(spec.mounts.iter().filter_map(labelled).collect()),
        tmpfs: Some(spec.mounts.iter().filter_map(tmpfs).collect()),
        memory,
        // the same sum for memory and swap together: no swap
        memory_swap: memory,
        nano_cpus: spec.cpus.map(nano_cpus),
        restart_policy: Some(restart(spec)),
        ulimits: (!spec.ulimits.is_empty()).then(|| spec.ulimits.iter().map(ulimit).collect()),
        // never the engine's default bridge: a second engine on the host can take it away
        network_mode: Some(spec.network.clone().unwrap_or_else(|| "none".to_owned())),
        cap_drop: Some(spec.cap_drop.clone()),
        readonly_rootfs: Some(spec.read_only),
        init: Some(spec.init),
        log_config: Some(log_config()),
        ..HostConfig::default()
    }
}

/// The one log driver that every engine has and whose output can be read back, bounded.
fn log_config() -> HostConfigLogConfig {
    let options = [("max-size", "16m"), ("max-file", "2")];
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(options.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
    }
}

/// A mount of a volume or a bind. Others go another way: [`tmpfs`], [`labelled`].
pub(super) fn mount(spec: &MountSpec) -> Option<Mount> {
    let (typ, source, no_copy) = match &spec.source {
        MountSource::Volume { name, no_copy } => (MountType::VOLUME, name, Some(*no_copy)),
        MountSource::Bind { path } if spec.relabel.is_none() => (MountType::BIND, path, None),
        MountSource::Bind { .. } | MountSource::Tmpfs { .. } => return None,
    };
    Some(Mount {
        target: Some(spec.target.clone()),
        source: Some(source.clone()),
        typ: Some(typ),
        read_only: Some(spec.read_only),
        volume_options: no_copy
            .map(|no_copy| MountVolumeOptions { no_copy: Some(no_copy), ..Default::default() }),
        ..Mount::default()
    })
}

/// A bind that is labelled, as `SOURCE:TARGET:OPTIONS`: the API's own mounts have no such option.
fn labelled(spec: &MountSpec) -> Option<String> {
    let MountSource::Bind { path } = &spec.source else { return None };
    let relabel = match spec.relabel? {
        Relabel::Shared => "z",
        Relabel::Private => "Z",
    };
    let access = if spec.read_only { "ro" } else { "rw" };
    Some(format!("{path}:{}:{access},{relabel}", spec.target))
}

/// A tmpfs as a line of mount options: the API's own tmpfs mount has no number of inodes.
fn tmpfs(spec: &MountSpec) -> Option<(String, String)> {
    let MountSource::Tmpfs { size, inodes, mode } = &spec.source else {
        return None;
    };
    let options: Vec<_> = [
        spec.read_only.then(|| "ro".to_owned()),
        size.map(|size| format!("size={size}")),
        inodes.map(|inodes| format!("nr_inodes={inodes}")),
        mode.map(|mode| format!("mode={mode:o}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    Some((spec.target.clone(), options.join(",")))
}

fn health(check: &HealthCheck) -> HealthConfig {
    let nanoseconds = |milliseconds: u64| signed(milliseconds.saturating_mul(1_000_000));
    HealthConfig {
        test: Some(
            std::iter::once("CMD".to_owned()).chain(check.command.iter().cloned()).collect(),
        ),
        interval: Some(nanoseconds(check.interval_ms)),
        timeout: Some(nanoseconds(check.timeout_ms)),
        retries: Some(i64::from(check.retries)),
        start_period: check.start_period_ms.map(nanoseconds),
        ..HealthConfig::default()
    }
}

fn ulimit((name, limit): (&String, &Ulimit)) -> ResourcesUlimits {
    let (soft, hard) = (Some(limit.soft), Some(limit.hard));
    ResourcesUlimits { name: Some(name.clone()), soft, hard }
}

fn restart(spec: &ContainerSpec) -> bollard::models::RestartPolicy {
    let name = match spec.restart {
        RestartPolicy::No => RestartPolicyNameEnum::NO,
        RestartPolicy::OnFailure => RestartPolicyNameEnum::ON_FAILURE,
        RestartPolicy::Always => RestartPolicyNameEnum::ALWAYS,
        RestartPolicy::UnlessStopped => RestartPolicyNameEnum::UNLESS_STOPPED,
    };
    let maximum_retry_count = spec.restart_attempts.map(i64::from);
    bollard::models::RestartPolicy { name: Some(name), maximum_retry_count }
}

/// `KEY=VALUE`.
pub(super) fn environment(env: &BTreeMap<String, String>) -> Vec<String> {
    env.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

pub(super) fn map(entries: &BTreeMap<String, String>) -> HashMap<String, String> {
    entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "a float to an integer saturates")]
fn nano_cpus(cpus: f64) -> i64 {
    (cpus * 1e9).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tmpfs_carries_its_limits_as_options() {
        let spec = MountSpec {
            target: "/t".into(),
            source: MountSource::Tmpfs { size: Some(4096), inodes: Some(9), mode: Some(0o1770) },
            read_only: true,
            relabel: None,
        };
        assert_eq!(tmpfs(&spec), Some(("/t".into(), "ro,size=4096,nr_inodes=9,mode=1770".into())));
        assert_eq!(mount(&spec), None);
    }

    #[test]
    fn a_bind_goes_one_way_only() {
        let spec = |relabel| MountSpec {
            target: "/t".into(),
            source: MountSource::Bind { path: "/srv".into() },
            read_only: false,
            relabel,
        };
        assert!(mount(&spec(None)).is_some() && labelled(&spec(None)).is_none());
        for (relabel, asked) in [(Relabel::Shared, "z"), (Relabel::Private, "Z")] {
            let spec = spec(Some(relabel));
            assert_eq!(
                (mount(&spec), labelled(&spec)),
                (None, Some(format!("/srv:/t:rw,{asked}")))
            );
        }
    }

    #[test]
    fn limits_attempts_and_names_reach_the_engine() {
        let spec = ContainerSpec {
            hostname: Some("db".into()),
            working_dir: Some("/srv".into()),
            ulimits: [("nofile".to_owned(), Ulimit { soft: 64, hard: -1 })].into(),
            restart: RestartPolicy::OnFailure,
            restart_attempts: Some(3),
            ..Default::default()
        };
        let body = body(&spec);
        assert_eq!(body.hostname.as_deref(), Some("db"));
        assert_eq!(body.working_dir.as_deref(), Some("/srv"));
        let host = body.host_config.unwrap();
        assert_eq!(host.restart_policy.unwrap().maximum_retry_count, Some(3));
        let limit = &host.ulimits.unwrap()[0];
        assert_eq!(
            (limit.name.as_deref(), limit.soft, limit.hard),
            (Some("nofile"), Some(64), Some(-1))
        );
    }

    #[test]
    fn a_memory_limit_leaves_no_swap() {
        let spec = ContainerSpec { memory: Some(1 << 20), cpus: Some(0.5), ..Default::default() };
        let host = host(&spec);
        assert_eq!((host.memory, host.memory_swap), (Some(1 << 20), Some(1 << 20)));
        assert_eq!(host.nano_cpus, Some(500_000_000));
    }
}
