//! Load by hand: a ledger that is begun when somebody wants it, and judged when they ask.

use tokio::time::timeout;

use super::{Live, LiveError};
use crate::{
    ledger::LedgerReport,
    probes::JUDGING,
    protocol::{LoadCall, LoadReply, LoadStats, Place},
    workloads::WorkloadSpec,
};

impl Live {
    /// Begins a load under a name of the caller's; it ends with the case, or when it is judged.
    ///
    /// # Errors
    /// When its service has no container, or the helper refuses.
    pub async fn start_load(&self, name: &str, workload: &WorkloadSpec) -> Result<(), LiveError> {
        let (world, service) = (&self.world, workload.service());
        let Some(container) = world.container(service) else {
            return Err(LiveError::Refused(format!("service `{service}` has no container")));
        };
        let place = Place { container, pid: 0, path: "/".into(), host_path: None };
        let load = workload.load(&world.run, place, world.case.seed);
        let call = LoadCall::Start { name: world.load_name(name), load };
        let started = world.helper.load(call).await;
        started.map(drop).map_err(|error| LiveError::Failed(error.to_string()))
    }

    /// How a load goes.
    ///
    /// # Errors
    /// When there is none of this name, or the helper does not answer.
    pub async fn load(&self, name: &str) -> Result<LoadStats, LiveError> {
        let call = LoadCall::Stats { name: self.world.load_name(name) };
        match self.world.helper.load(call).await {
            Ok(LoadReply::Stats(stats)) => Ok(stats),
            Ok(other) => Err(LiveError::Failed(format!("{other:?}"))),
            Err(error) => Err(LiveError::Failed(error.to_string())),
        }
    }

    /// Ends a load, reads everything back and counts what became of it. Who asks judges.
    ///
    /// # Errors
    /// When it cannot be read back, in time or at all.
    pub async fn judge_load(&self, name: &str) -> Result<LedgerReport, LiveError> {
        let call = LoadCall::Judge { name: self.world.load_name(name) };
        let unread =
            |why: String| LiveError::Failed(format!("`{name}` cannot be read back: {why}"));
        match timeout(JUDGING, self.world.helper.load(call)).await {
            Ok(Ok(LoadReply::Ledger(Ok(report)))) => Ok(*report),
            Ok(Ok(LoadReply::Ledger(Err(why)))) => Err(unread(why)),
            Ok(Ok(other)) => Err(unread(format!("{other:?}"))),
            Ok(Err(error)) => Err(unread(error.to_string())),
            Err(_) => Err(unread("not in time".to_owned())),
        }
    }
}
