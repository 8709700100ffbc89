//! Engine ops: which call does which, and what starts, stops and thaws.

use std::time::Duration;

use bollard::{
    models::ContainerUpdateBody,
    query_parameters::{
        KillContainerOptions, RestartContainerOptions, StartContainerOptions, StopContainerOptions,
    },
};

use super::Docker;
use crate::{
    protocol::EngineOp,
    runtime::{Result, RuntimeError},
};

/// Above the grace period: what the engine needs for its own work.
const OVERHEAD: Duration = Duration::from_secs(30);

impl Docker {
    pub(super) async fn engine_op(&self, op: &EngineOp) -> Result<()> {
        match op {
            EngineOp::Start { container } => self.start(container).await,
            EngineOp::Stop { container, grace_ms } => self.stop(container, *grace_ms).await,
            EngineOp::Restart { container, grace_ms } => self.restart(container, *grace_ms).await,
            EngineOp::Recreate { container, grace_ms } => self.recreate(container, *grace_ms).await,
            EngineOp::RunFromCommit { container, grace_ms } => {
                self.run_from_commit(container, *grace_ms).await
            }
            EngineOp::ReplaceVolume { container, volume, grace_ms } => {
                self.replace_volume(container, volume, *grace_ms).await
            }
            EngineOp::Kill { container, signal } => {
                let options = KillContainerOptions { signal: signal.clone() };
                let call = self.call("killing", "container", container);
                call.run(self.client.kill_container(container, Some(options))).await
            }
            EngineOp::Pause { container } => {
                let call = self.call("pausing", "container", container);
                call.run(self.client.pause_container(container)).await
            }
            EngineOp::Unpause { container } => self.unpause(container).await,
            EngineOp::LimitMemory { container, memory, with_swap } => {
                self.limit_memory(container, *memory, *with_swap).await
            }
            EngineOp::Disconnect { container, network } => {
                self.disconnect(container, network).await
            }
            EngineOp::Connect { container, network, aliases } => {
                self.connect_to(container, network, aliases).await
            }
            EngineOp::Remove { container } => self.remove_container(container).await,
            EngineOp::RemoveRun { run } => self.remove_run(run).await,
        }
    }

    async fn limit_memory(&self, container: &str, memory: u64, with_swap: i64) -> Result<()> {
        let body = ContainerUpdateBody {
            memory: Some(i64::try_from(memory).unwrap_or(i64::MAX)),
            memory_swap: Some(with_swap),
            ..ContainerUpdateBody::default()
        };
        let call = self.call("limiting the memory of", "container", container);
        call.run(self.client.update_container(container, body)).await
    }

    /// Starts a container. One that runs already, paused or not, is left alone.
    ///
    /// # Errors
    /// When it cannot start, or is gone.
    pub async fn start(&self, container: &str) -> Result<()> {
        let call = self.call("starting", "container", container);
        let started = self.client.start_container(container, None::<StartContainerOptions>);
        unless(call.run(started).await, "start a paused container")
    }

    pub(super) async fn stop(&self, container: &str, grace_ms: u64) -> Result<()> {
        let options = StopContainerOptions { t: Some(seconds(grace_ms)), ..Default::default() };
        let call = self.call("stopping", "container", container).within(limit(grace_ms));
        call.run(self.client.stop_container(container, Some(options))).await
    }

    async fn restart(&self, container: &str, grace_ms: u64) -> Result<()> {
        let options = RestartContainerOptions { t: Some(seconds(grace_ms)), ..Default::default() };
        let call = self.call("restarting", "container", container).within(limit(grace_ms));
        call.run(self.client.restart_container(container, Some(options))).await
    }

    pub(super) async fn unpause(&self, container: &str) -> Result<()> {
        let call = self.call("unpausing", "container", container);
        unless(call.run(self.client.unpause_container(container)).await, "is not paused")
    }
}

/// A refusal in these words is success.
pub(super) fn unless(result: Result<()>, words: &str) -> Result<()> {
    match result {
        Err(RuntimeError::Refused { detail, .. }) if detail.contains(words) => Ok(()),
        other => other,
    }
}

/// The engine counts whole seconds; never less grace than asked for.
fn seconds(milliseconds: u64) -> i32 {
    i32::try_from(milliseconds.div_ceil(1000)).unwrap_or(i32::MAX)
}

fn limit(grace_ms: u64) -> Duration {
    Duration::from_millis(grace_ms).saturating_add(OVERHEAD)
}
