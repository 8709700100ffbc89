//! The load driver: paced writers, each record remembered outside the faulted volume.
//!
//! An intent is durable before its record is sent, an acknowledgement before it is counted. It
//! drives and records; what the ledger came to is judged by the pure checker.

mod again;
mod command;
mod driver;
mod etcd;
mod explore;
mod file;
mod http;
mod judge;
mod kept;
mod log;
mod marks;
mod postgres;
mod redis;
mod stats;
mod way;
mod writer;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{super::HelperError, http::blocking};
use crate::{
    ledger::Event,
    protocol::{Artifact, ExploreSpec, LoadCall, LoadReply, LoggedDisk},
};
use again::Again;
use driver::Load;
use explore::piece;
pub(super) use explore::replay;

/// Directory of the driver's logs below the run's directory.
pub(in crate::helper) const LEDGER: &str = "ledger";

/// Every load of the run, by name.
#[derive(Debug, Clone)]
pub(super) struct Loads {
    dir: PathBuf,
    running: Arc<Mutex<HashMap<String, Arc<Load>>>>,
    /// Explorations without a load, by name.
    again: Arc<Mutex<HashMap<String, Again>>>,
}

impl Loads {
    /// None yet.
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.join(LEDGER), running: Arc::default(), again: Arc::default() }
    }

    /// Does what is asked.
    pub(super) async fn call(&self, call: LoadCall) -> Result<LoadReply, HelperError> {
        match call {
            LoadCall::Start { name, load } => {
                if self.get(&name).is_ok() {
                    return Err(HelperError::Refused(format!("load `{name}` is running already")));
                }
                let load = Load::start(&self.dir, &name, load).await?;
                let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                running.insert(name, load);
                Ok(LoadReply::Nothing)
            }
            LoadCall::Retarget { name, place } => {
                self.get(&name)?.retarget(place);
                Ok(LoadReply::Nothing)
            }
            LoadCall::Stats { name } => Ok(LoadReply::Stats(self.get(&name)?.stats())),
            LoadCall::Stop { name } => {
                let load = self.get(&name)?;
                load.stop().await;
                Ok(LoadReply::Stats(load.stats()))
            }
            LoadCall::JudgeAt { name, place, within_ms } => {
                let load = self.get(&name)?;
                load.stop().await;
                let within = Duration::from_millis(within_ms);
                let report = judge::judge_at(&load, place, within).await;
                Ok(LoadReply::Ledger(report.map(Box::new)))
            }
            LoadCall::Judge { name } => {
                let load = self.get(&name)?;
                load.stop().await;
                Ok(LoadReply::Ledger(judge::judge(&load).await.map(Box::new)))
            }
            LoadCall::JudgeStanding { name, acknowledged, within_ms } => {
                let (load, within) = (self.get(&name)?, Duration::from_millis(within_ms));
                let report = judge::judge_standing(&load, acknowledged, within).await?;
                Ok(LoadReply::Ledger(report.map(Box::new)))
            }
            LoadCall::Explore { name, explore } => self.explore(&name, explore).await,
            LoadCall::ExploreLog { name, logged } => self.explore_log(name, *logged).await,
            LoadCall::Explored { name } => self.explored(&name),
            LoadCall::Piece { name, artifact, from } => self.piece(&name, artifact, from).await,
        }
    }

    async fn explore(&self, name: &str, explore: ExploreSpec) -> Result<LoadReply, HelperError> {
        let load = self.get(name)?;
        load.stop().await;
        // locked until it has begun: the devices that show the past of a disk do so for one at a time
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((other, _)) = running.iter().find(|(_, load)| load.explores(&explore.disk)) {
            return Err(HelperError::Refused(format!(
                "the past of `{}` is being looked at for load `{other}`",
                explore.disk
            )));
        }
        load.explore(explore)?;
        Ok(LoadReply::Nothing)
    }

    async fn explore_log(
        &self,
        name: String,
        logged: LoggedDisk,
    ) -> Result<LoadReply, HelperError> {
        let (dir, of) = (self.dir.clone(), name.clone());
        let begun = blocking(move || Again::begin(&dir, &of, logged)).await?;
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        again.insert(name, begun);
        Ok(LoadReply::Nothing)
    }

    /// Something of an exploration without a load; none where there is none of that name.
    fn of_again<T>(&self, name: &str, of: impl FnOnce(&Again) -> T) -> Option<T> {
        let again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        again.get(name).map(of)
    }

    fn explored(&self, name: &str) -> Result<LoadReply, HelperError> {
        if let Some(report) = self.of_again(name, |again| again.exploration.report()) {
            return Ok(LoadReply::Explored(Box::new(report)));
        }
        let explored = self.get(name)?.explored();
        let none = || HelperError::Refused(format!("nobody explores for load `{name}`"));
        Ok(LoadReply::Explored(Box::new(explored.ok_or_else(none)?)))
    }

    async fn piece(
        &self,
        name: &str,
        artifact: Artifact,
        from: u64,
    ) -> Result<LoadReply, HelperError> {
        let again = self.of_again(name, |again| again.log_path.clone());
        let log = match again {
            Some(log) => log,
            None => self.get(name)?.log_path.clone(),
        };
        let failed = |error| HelperError::Refused(format!("what was kept: {error}"));
        let piece = blocking(move || piece(&log, artifact, from).map_err(failed)).await?;
        Ok(LoadReply::Piece(piece))
    }

    /// Notes in the ledgers of those that load this container what happened to it; durable on
    /// return.
    pub(super) async fn note(&self, container: &str, event: &Event) -> Result<(), String> {
        let running: Vec<Arc<Load>> = {
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.values().cloned().collect()
        };
        for load in running.iter().filter(|load| load.target.container() == container) {
            load.note(event.clone()).await?;
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Arc<Load>, HelperError> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running
            .get(name)
            .cloned()
            .ok_or_else(|| HelperError::Refused(format!("there is no load `{name}`")))
    }
}
