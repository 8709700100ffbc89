//! What was chosen for a container, from the engine's own record of it. Changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::{
    models::{
        ContainerConfig, ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum,
        HostConfig, MountPoint, RestartPolicyNameEnum,
    },
    query_parameters::{InspectContainerOptions, ListContainersOptions},
};

use super::Docker;
use crate::runtime::{
    Choices, ChosenMount, ChosenSource, ImageFacts, Listed, RestartPolicy, Result, RuntimeError,
    Ulimit, labels,
};

/// Where Compose notes the project of a container.
const PROJECT: &str = "com.docker.compose.project";

impl Docker {
    /// What was chosen for a container; it need not run.
    ///
    /// # Errors
    /// What the call came to.
    pub async fn choices(&self, container: &str) -> Result<Choices> {
        let call = self.call("looking at", "container", container);
        let options = None::<InspectContainerOptions>;
        Ok(choices(call.run(self.client.inspect_container(container, options)).await?))
    }

    /// What an image says of its containers; none where it is not there.
    ///
    /// # Errors
    /// What the call came to.
    pub async fn image_facts(&self, image: &str) -> Result<Option<ImageFacts>> {
        let call = self.call("looking at", "image", image);
        let found = match call.run(self.client.inspect_image(image)).await {
            Ok(found) => found,
            Err(RuntimeError::ImageMissing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let in_registry = found.repo_digests.is_some_and(|digests| !digests.is_empty());
        let config = found.config.unwrap_or_default();
        let test = config.healthcheck.and_then(|check| check.test).unwrap_or_default();
        let has_health_check = test.first().is_some_and(|word| word != "NONE");
        let env = config.env.unwrap_or_default();
        Ok(Some(ImageFacts { env, has_health_check, in_registry }))
    }

    /// Every container that there is, stopped ones included.
    ///
    /// # Errors
    /// What the call came to.
    pub async fn listed(&self) -> Result<Vec<Listed>> {
        let options = ListContainersOptions { all: true, ..Default::default() };
        let call = self.call("listing", "containers", "");
        let found = call.run(self.client.list_containers(Some(options))).await?;
        let mut listed: Vec<Listed> = found.into_iter().map(one_of_many).collect();
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }
}

/// Has processes, or will have them again at once: one that is paused goes on writing later.
fn alive(state: ContainerSummaryStateEnum) -> bool {
    use ContainerSummaryStateEnum::{PAUSED, RESTARTING, RUNNING};
    matches!(state, RUNNING | PAUSED | RESTARTING)
}

fn one_of_many(summary: ContainerSummary) -> Listed {
    let labels = summary.labels.unwrap_or_default();
    let names = summary.names.unwrap_or_default();
    let mounts: Vec<_> = summary.mounts.unwrap_or_default().into_iter().map(mount).collect();
    let shared = |one: &ChosenMount| one.shared_as().map(str::to_owned);
    let networks = summary.network_settings.and_then(|settings| settings.networks);
    let networks: BTreeSet<String> = networks.unwrap_or_default().into_keys().collect();
    Listed {
        id: summary.id.unwrap_or_default(),
        name: names.first().map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default(),
        running: summary.state.is_some_and(alive),
        project: labels.get(PROJECT).cloned(),
        ours: labels.contains_key(labels::RUN),
        helper: labels.get(labels::ROLE).is_some_and(|role| role == labels::ROLE_HELPER),
        writes: mounts.iter().filter(|mount| mount.writable).filter_map(shared).collect(),
        mounts: mounts.iter().filter_map(shared).collect(),
        networks: networks.into_iter().collect(),
        image: summary.image.unwrap_or_default(),
        status: summary.status.unwrap_or_default(),
        labels: labels.into_iter().collect(),
    }
}

fn choices(answer: ContainerInspectResponse) -> Choices {
    let config = answer.config.unwrap_or_default();
    let host = answer.host_config.unwrap_or_default();
    let mounts = mounts(answer.mounts.unwrap_or_default(), &host);
    let id = answer.id.unwrap_or_default();
    Choices {
        ulimits: ulimits(&host),
        restart_attempts: attempts(&host),
        name: answer.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        running: answer.state.and_then(|state| state.running).unwrap_or_default(),
        health: health(&config),
        memory: host.memory.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0),
        restart: restart(&host),
        ports: ports(&config, &host),
        published: host.port_bindings.as_ref().is_some_and(|ports| !ports.is_empty()),
        makes_binds: makes_binds(&mounts, &host),
        mounts,
        image: config.image.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        groups: host.group_add.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        // its own, where nobody chose one, begins its id
        hostname: config.hostname.filter(|name| !name.is_empty() && !id.starts_with(name)),
        working_dir: config.working_dir.unwrap_or_default(),
        env: config.env.unwrap_or_default(),
        id,
    }
}

/// Any bind, be it asked for here or taken from another container, but those that were asked for in
/// the form that makes no directory.
fn makes_binds(mounts: &[ChosenMount], host: &HostConfig) -> bool {
    let makes_none = |at: &str| {
        host.mounts.iter().flatten().any(|asked| {
            let options = asked.bind_options.as_ref();
            let makes = options.and_then(|options| options.create_mountpoint).unwrap_or_default();
            asked.target.as_deref() == Some(at) && !makes
        })
    };
    let mut binds = mounts.iter().filter(|mount| matches!(mount.source, ChosenSource::Bind(_)));
    binds.any(|bind| !makes_none(&bind.destination))
}

/// The mounts that the engine lists, and the tmpfs that were asked for by mount options.
fn mounts(points: Vec<MountPoint>, host: &HostConfig) -> Vec<ChosenMount> {
    let sizes: HashMap<&str, Option<String>> = host
        .mounts
        .iter()
        .flatten()
        .filter_map(|mount| {
            let size = mount.tmpfs_options.as_ref().and_then(|options| options.size_bytes);
            Some((mount.target.as_deref()?, size.map(|bytes| bytes.to_string())))
        })
        .collect();
    let mut all: Vec<ChosenMount> = points.into_iter().map(mount).collect();
    for one in &mut all {
        if let ChosenSource::Tmpfs(size) = &mut one.source {
            *size = sizes.get(one.destination.as_str()).cloned().flatten();
        }
    }
    all.extend(host.tmpfs.iter().flatten().map(|(destination, options)| ChosenMount {
        destination: destination.clone(),
        source: ChosenSource::Tmpfs(
            options.split(',').find_map(|option| option.strip_prefix("size=")).map(str::to_owned),
        ),
        writable: !options.split(',').any(|option| option == "ro"),
    }));
    all.sort_by(|one, other| one.destination.cmp(&other.destination));
    all
}

fn mount(point: MountPoint) -> ChosenMount {
    let kind = point.typ.unwrap_or_default();
    ChosenMount {
        destination: point.destination.unwrap_or_default(),
        source: match kind.as_str() {
            "volume" => ChosenSource::Volume(point.name.unwrap_or_default()),
            "bind" => ChosenSource::Bind(point.source.unwrap_or_default()),
            "tmpfs" => ChosenSource::Tmpfs(None),
            other => ChosenSource::Other(other.to_owned()),
        },
        writable: point.rw.unwrap_or_default(),
    }
}

/// `NONE` switches off what the image has.
fn health(config: &ContainerConfig) -> Option<Vec<String>> {
    let test = config.healthcheck.as_ref()?.test.clone()?;
    match test.first().map(String::as_str) {
        None | Some("NONE") => None,
        Some("CMD-SHELL") => {
            let shell = ["/bin/sh", "-c"].map(str::to_owned);
            Some(shell.into_iter().chain(test.into_iter().skip(1)).collect())
        }
        Some(_) => Some(test.into_iter().skip(1).collect()),
    }
}

fn ulimits(host: &HostConfig) -> BTreeMap<String, Ulimit> {
    let limits = host.ulimits.iter().flatten();
    let named = limits.filter_map(|limit| {
        let (soft, hard) = (limit.soft?, limit.hard?);
        Some((limit.name.clone()?, Ulimit { soft, hard }))
    });
    named.collect()
}

pub(super) fn attempts(host: &HostConfig) -> Option<u32> {
    let count = host.restart_policy.as_ref()?.maximum_retry_count?;
    u32::try_from(count).ok().filter(|count| *count > 0)
}

pub(super) fn restart(host: &HostConfig) -> RestartPolicy {
    match host.restart_policy.as_ref().and_then(|policy| policy.name) {
        Some(RestartPolicyNameEnum::ALWAYS) => RestartPolicy::Always,
        Some(RestartPolicyNameEnum::ON_FAILURE) => RestartPolicy::OnFailure,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => RestartPolicy::UnlessStopped,
        _ => RestartPolicy::No,
    }
}

/// Those that are published; an image exposes more than it serves. Where none is, those that are exposed.
fn ports(config: &ContainerConfig, host: &HostConfig) -> Vec<u16> {
    // `8080/tcp` and the like
    let tcp =
        |port: &String| port.split('/').next()?.parse().ok().filter(|_| port.ends_with("/tcp"));
    let published = host.port_bindings.iter().flatten().map(|(port, _)| port);
    let mut ports: Vec<u16> = published.filter_map(tcp).collect();
    if ports.is_empty() {
        ports = config.exposed_ports.iter().flatten().filter_map(tcp).collect();
    }
    ports.sort_unstable();
    ports
}
