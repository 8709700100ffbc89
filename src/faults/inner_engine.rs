//! What the faults of an engine of the scenario's own share: its process, and what it starts.
//!
//! Changes nothing itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Cx, Effect, FaultError, Prepared, unexpected};
use crate::protocol::{Ending, Init, InnerEngineFacts, Op, Read, Reading, StartTrial};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 100 });
/// How many of them until its process is gone: an engine that is asked stops its containers first.
const GOING: u32 = 100;
/// And until another answers.
const COMING: u32 = 300;

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The engine's process.
    process: Init,
}

impl Cx<'_> {
    /// The engine in the target.
    pub(super) async fn inner_engine(&self) -> Result<InnerEngineFacts, FaultError> {
        match self.helper.read(Read::InnerEngine(self.site.place.clone())).await? {
            Reading::InnerEngine(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// Tries to start a container on the engine in the target.
    pub(super) async fn try_start(&self) -> Result<StartTrial, FaultError> {
        match self.helper.read(Read::TryStart(self.site.place.clone())).await? {
            Reading::Started(trial) => Ok(trial),
            other => Err(unexpected(&other)),
        }
    }
}

/// Ends the engine's process, which must answer.
pub(super) async fn end(cx: &Cx<'_>, how: Ending) -> Result<Prepared<Before>, FaultError> {
    cx.running().await?;
    let facts = cx.inner_engine().await?;
    let process = match (facts.process, facts.running) {
        (Some(process), Ok(_)) => process,
        (_, Err(why)) => {
            let service = &cx.site.service;
            return Err(FaultError::Refused(format!(
                "the engine of `{service}` does not answer, so ending it would show nothing: {why}"
            )));
        }
        (None, Ok(_)) => {
            return Err(FaultError::Unexpected("an engine without a process".into()));
        }
    };
    let op = Op::EndEngine { place: cx.site.place.clone(), process, how };
    // its service manager starts it again: there is nothing to undo
    Ok(Prepared { before: Before { process }, ops: vec![op], undo: Vec::new() })
}

/// Its process is gone, and another one answers.
pub(super) async fn ended(before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
    let old = before.process;
    let mut facts = cx.inner_engine().await?;
    for look in 0..GOING + COMING {
        let gone = facts.process != Some(old);
        if (!gone && look >= GOING) || (gone && facts.process.is_some() && facts.running.is_ok()) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        facts = cx.inner_engine().await?;
    }
    Ok(match facts {
        InnerEngineFacts { process: Some(new), running: Ok(running) } if new != old => {
            Effect::proven(format!(
                "process {} is gone, and {} answers: {running} containers run",
                old.pid, new.pid
            ))
        }
        InnerEngineFacts { process: Some(new), .. } if new == old => {
            Effect::unproven(format!("process {} is still there", old.pid))
        }
        InnerEngineFacts { running, .. } => Effect::proven(format!(
            "process {} is gone, and no other answers: {}",
            old.pid,
            running.err().unwrap_or_else(|| "nothing".into())
        )),
    })
}
