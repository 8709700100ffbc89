//! STOP: everything that is in force is reverted, before anything else that waits for its turn.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use super::{Live, LiveError, Stopped, judge};
use crate::run::revert::Gone;

impl Live {
    /// From now on nothing is injected until [`stop`](Self::stop) is done: what waits for its turn is
    /// called off, and so is what has touched nothing yet. Waits for nobody.
    ///
    /// What is being done to a subject just now is not cut off, or nobody would know what became of it:
    /// `stop` comes right after it.
    pub fn halt(&self) {
        self.halting().cancel();
    }

    /// Reverts everything that is in force, last first, and says what became of each. What was not seen
    /// to be gone stays listed as in force, and is tried again by the next call, and by the end. The
    /// case goes on.
    pub async fn stop(&self) -> Vec<Stopped> {
        self.halt();
        let mut open = self.open.lock().await;
        let Some((begun, _)) = open.as_mut() else { return Vec::new() };
        let ends = begun.walk.rollback().await;
        *self.list() = begun.walk.lasting();
        *self.halting() = CancellationToken::new();
        by_step(ends)
    }
}

/// Of each id, in the order of their ends.
fn by_step(ends: Vec<Gone>) -> Vec<Stopped> {
    let mut steps: Vec<(String, Vec<Gone>)> = Vec::new();
    for gone in ends {
        match steps.iter_mut().find(|(step, _)| *step == gone.step) {
            Some((_, of_step)) => of_step.push(gone),
            None => steps.push((gone.step.clone(), vec![gone])),
        }
    }
    let stopped = steps.into_iter().map(|(id, ends)| Stopped { end: judge(&id, ends), id });
    stopped.collect()
}

/// Does something, unless it is called off before it is done.
pub(super) async fn unless<T>(
    off: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, LiveError> {
    tokio::select! {
        biased;
        () = off.cancelled() => Err(LiveError::Stopped),
        done = work => Ok(done),
    }
}
