//! Programs that run in subjects: one after the other, or beside the steps.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::{
    assert::{Outcome, record},
    world::World,
};
use crate::{
    scenario::{ExecStep, Hypothesis},
    verdict::Verdict,
};

/// Programs that run beside the steps, by the id of their step.
#[derive(Default)]
pub(super) struct Background(BTreeMap<String, Running>);

struct Running {
    title: String,
    soft: bool,
    started: Instant,
    task: AbortOnDropHandle<Outcome>,
}

impl Running {
    fn record(&self, world: &World, id: &str, verdict: Option<Verdict>, message: &str) {
        let (step, title) = (Hypothesis::Step, &self.title);
        record(world, id, step, title, verdict, message, self.started);
    }
}

impl Background {
    pub(super) fn start(&mut self, world: &Arc<World>, id: &str, exec: &ExecStep, soft: bool) {
        let title = format!("{}: {}", exec.service, exec.command.join(" "));
        let (world, exec) = (Arc::clone(world), exec.clone());
        let task = tokio::spawn(async move { execute(&world, &exec).await });
        let task = AbortOnDropHandle::new(task);
        let running = Running { title, soft, started: Instant::now(), task };
        self.0.insert(id.to_owned(), running);
    }

    /// Waits for a program. What the `await` asserts is its end; what it left is asserted under its
    /// own step. Returns the first, none when the case was ended, and whether the second failed.
    pub(super) async fn wait_for(
        &mut self,
        world: &World,
        id: &str,
        within: Duration,
    ) -> (Option<Outcome>, bool) {
        let Some(mut running) = self.0.remove(id) else {
            let why = format!("`{id}` does not run in the background");
            return (Some((Verdict::Error, why)), false);
        };
        let ended = tokio::select! {
            ended = timeout(within, &mut running.task) => ended,
            () = world.stop.cancelled() => {
                running.record(world, id, None, "the run was stopped");
                return (None, false);
            }
        };
        match ended {
            Ok(ended) => {
                let (verdict, message) = ended.unwrap_or_else(|e| (Verdict::Error, e.to_string()));
                running.record(world, id, Some(verdict), &message);
                let failed = verdict != Verdict::Pass && !running.soft;
                (Some((Verdict::Pass, "ended".to_owned())), failed)
            }
            Err(_) => {
                let why = format!("did not end within {} ms", within.as_millis());
                running.record(world, id, None, &why);
                (Some((Verdict::Fail, why)), false)
            }
        }
    }

    /// The steps are over: what nobody waited for is judged where it has ended.
    pub(super) async fn end(&mut self, world: &World) {
        for (id, mut running) in std::mem::take(&mut self.0) {
            match timeout(Duration::ZERO, &mut running.task).await {
                Ok(Ok((verdict, message))) => running.record(world, &id, Some(verdict), &message),
                Ok(Err(error)) => {
                    running.record(world, &id, Some(Verdict::Error), &error.to_string());
                }
                Err(_) => running.record(world, &id, None, "not awaited, and not over"),
            }
        }
    }
}

/// Runs a program in a subject.
pub(super) async fn execute(world: &World, exec: &ExecStep) -> Outcome {
    let Some(container) = world.container(&exec.service) else {
        return (Verdict::Error, format!("service `{}` has no container", exec.service));
    };
    match world.runtime.exec(&container, &exec.command, exec.timeout.0).await {
        Ok(output) if output.exit_code == exec.exit_code => {
            (Verdict::Pass, format!("exit code {}", output.exit_code))
        }
        Ok(output) => {
            let (code, said) = (output.exit_code, output.stderr.trim());
            (Verdict::Fail, format!("exit code {code}, expected {}: {said}", exec.exit_code))
        }
        Err(error) => (Verdict::Error, error.to_string()),
    }
}
