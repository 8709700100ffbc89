//! The container of a shell: created, and waited for. What runs in it is not known here.

use bollard::{
    errors::Error,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::WaitContainerOptions,
};
use futures_util::StreamExt as _;

use super::{ApiVersion, Docker, error, helper::host};
use crate::runtime::{HELPER_CAPABILITIES, Result, ShellSpec};

impl Docker {
    /// Creates the container of a shell; returns its id. It is not started: attach first.
    ///
    /// The engine removes it when it ends. Like the helper's it is never privileged.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn create_shell(&self, spec: &ShellSpec) -> Result<String> {
        let api = self.api_version().await?;
        self.create_from(&spec.name, body(spec, api)).await
    }

    /// Waits, without limit, until a container has ended and is removed; returns its exit code.
    /// Someone is at its other end: ask before its start, so that the end is not missed.
    ///
    /// # Errors
    /// When the container is gone already, or the engine ends the call.
    pub async fn ended(&self, container: &str) -> Result<i64> {
        let options = WaitContainerOptions { condition: "removed".to_owned() };
        let mut answers = Box::pin(self.client.wait_container(container, Some(options)));
        let call = self.call("waiting for", "container", container);
        match answers.next().await {
            Some(Ok(answer)) => Ok(answer.status_code),
            // this client counts another exit code than 0 among the errors
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(failure)) => Err(error::classify(&call, &failure)),
            None => Err(call.refused("it did not say how the container ended")),
        }
    }
}

fn body(spec: &ShellSpec, api: ApiVersion) -> ContainerCreateBody {
    let capabilities: Vec<String> =
        HELPER_CAPABILITIES.iter().map(|name| (*name).to_owned()).collect();
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint: Some(vec![super::PROGRAM.to_owned()]),
        cmd: Some(spec.command.clone()),
        labels: Some(super::containers::map(&spec.labels)),
        tty: Some(false),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        // so the shell ends with whoever asked for it
        stdin_once: Some(true),
        host_config: Some(HostConfig { device_cgroup_rules: None, ..host(&capabilities, api) }),
        ..ContainerCreateBody::default()
    }
}
