//! The helper's container: created, attached to, started. What runs in it is not known here.

use std::{collections::BTreeMap, path::Path};

use bollard::{
    models::{
        ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, Mount,
        MountBindOptions, MountType,
    },
    query_parameters::AttachContainerOptions,
};

use super::{
    ApiVersion, Attached, Docker,
    address::DEFAULT_SOCKET,
    containers::{environment, map, mount},
};
use crate::runtime::{HelperSpec, MountSource, MountSpec, Result, RuntimeError, labels};

/// Where the run's own volume is in the helper.
pub const RUN_DIRECTORY: &str = "/run/keelhaul";
/// Where the host's devices are in the helper.
pub const HOST_DEVICES: &str = "/host/dev";
/// Where the directory of the engine's socket is in the helper.
const HOST_ENGINE: &str = "/host/engine";
/// Environment variable of the helper: path of the engine's socket, unset without one. For an
/// engine that we reach by TCP it is a guess, and may belong to another engine: ask it whether it
/// has the helper's container.
pub const ENGINE_SOCKET: &str = "KEELHAUL_ENGINE_SOCKET";

/// Of the processors, as against 1024 of any other container (Documentation/scheduler/sched-design-CFS.rst):
/// a disk does not slow down because a hundred containers start, and who is not heard counts as gone.
const SHARES: i64 = 16 * 1024;

/// Loop devices, the loop control device, the FUSE device.
const DEVICES: [&str; 3] = ["b 7:* rwm", "c 10:237 rwm", "c 10:229 rwm"];

impl Docker {
    /// Creates the helper's container; returns its id. It is not started: attach first.
    ///
    /// The engine removes it when it ends. It is never privileged: an engine that lacks a
    /// capability itself would refuse.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn create_helper(&self, spec: &HelperSpec) -> Result<String> {
        let api = self.api_version().await?;
        for socket in self.sockets() {
            match self.create_from(&spec.name, body(spec, api, Some(socket))).await {
                // the engine's host is not ours: the socket's directory is elsewhere
                Err(RuntimeError::Refused { detail, .. })
                    if detail.contains("bind source path does not exist") => {}
                other => return other,
            }
        }
        self.create_from(&spec.name, body(spec, api, None)).await
    }

    /// Attaches to a container's three streams. Before its start, so that nothing is missed.
    ///
    /// # Errors
    /// When the container is gone, or the engine does not answer.
    pub async fn attach(&self, container: &str) -> Result<Attached> {
        let options = AttachContainerOptions {
            stream: true,
            stdin: true,
            stdout: true,
            stderr: true,
            ..AttachContainerOptions::default()
        };
        let call = self.call("attaching to", "container", container);
        let streams = call.run(self.client.attach_container(container, Some(options))).await?;
        Ok(Attached::new(streams.input, streams.output))
    }

    /// Where the engine's socket may be on the engine's host, likeliest first.
    fn sockets(&self) -> Vec<&str> {
        let mut sockets: Vec<_> = self.local_socket().into_iter().collect();
        if !sockets.contains(&DEFAULT_SOCKET) {
            sockets.push(DEFAULT_SOCKET);
        }
        sockets
    }
}

fn body(spec: &HelperSpec, api: ApiVersion, socket: Option<&str>) -> ContainerCreateBody {
    let mut env: BTreeMap<_, _> = spec.env.clone();
    let mut mounts: Vec<Mount> = spec.mounts.iter().filter_map(mount).collect();
    mounts.extend(run_directory(spec));
    mounts.push(host_directory("/dev", HOST_DEVICES));
    if let Some((directory, name)) = socket.and_then(parts) {
        // the directory, not the socket: a restarted engine makes a new one
        mounts.push(host_directory(directory, HOST_ENGINE));
        env.insert(ENGINE_SOCKET.to_owned(), format!("{HOST_ENGINE}/{name}"));
    }
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: Some(vec![super::PROGRAM.to_owned()]),
        cmd: Some(spec.command.clone()),
        env: Some(environment(&env)),
        labels: Some(map(&spec.labels)),
        tty: Some(false),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        // without it the end of our connection is no end of file
        stdin_once: Some(true),
        host_config: Some(HostConfig {
            mounts: Some(mounts),
            cpu_shares: Some(SHARES),
            ..host(&spec.capabilities, api)
        }),
        ..ContainerCreateBody::default()
    }
}

/// The run's own volume. The engine makes one anew where it was removed in the meantime: with the
/// run's labels, `recover` finds that too.
fn run_directory(spec: &HelperSpec) -> Option<Mount> {
    let mut mount = mount(&MountSpec {
        target: RUN_DIRECTORY.to_owned(),
        source: MountSource::Volume { name: spec.volume.clone(), no_copy: true },
        read_only: false,
        relabel: None,
    })?;
    let mut of_run = spec.labels.clone();
    of_run.insert(labels::ROLE.to_owned(), labels::ROLE_JOURNAL.to_owned());
    mount.volume_options.get_or_insert_default().labels = Some(map(&of_run));
    Some(mount)
}

/// What every container of our own that reaches into the host has in common.
pub(super) fn host(capabilities: &[String], api: ApiVersion) -> HostConfig {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    HostConfig {
        auto_remove: Some(true),
        init: Some(false),
        pid_mode: Some("host".to_owned()),
        userns_mode: Some("host".to_owned()),
        cgroupns_mode: (api >= ApiVersion::CGROUP_NAMESPACE)
            .then_some(HostConfigCgroupnsModeEnum::HOST),
        // it enters its targets' namespaces where it needs a network
        network_mode: Some("none".to_owned()),
        cap_drop: words(&["ALL"]),
        cap_add: Some(capabilities.to_vec()),
        security_opt: words(&["seccomp=unconfined", "apparmor=unconfined", "label=disable"]),
        device_cgroup_rules: words(&DEVICES),
        // its output is a protocol, read by us and by nobody else
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ..HostConfig::default()
    }
}

/// A directory of the engine's host, without what is mounted below it: a private copy of those
/// mounts would keep them alive.
pub(super) fn host_directory(source: &str, target: &str) -> Mount {
    Mount {
        target: Some(target.to_owned()),
        source: Some(source.to_owned()),
        typ: Some(MountType::BIND),
        bind_options: Some(MountBindOptions { non_recursive: Some(true), ..Default::default() }),
        ..Mount::default()
    }
}

/// Directory and file name of a socket.
fn parts(socket: &str) -> Option<(&str, &str)> {
    let path = Path::new(socket);
    Some((path.parent()?.to_str()?, path.file_name()?.to_str()?))
}
