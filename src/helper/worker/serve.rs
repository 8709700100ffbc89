//! The worker's loop: frames in, frames out, a bounded number of requests at a time.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};

use super::{
    super::{
        HelperError,
        wire::{Frame, OTHER_BOOT, WorkerAnswer, WorkerAsk, incoming, input, outgoing, output},
    },
    act::act,
    context::Context,
    detach::Kept,
    http::blocking,
    interposers::Interposers,
    load::Loads,
    read, trial, vacuous,
    witness::Witnesses,
};
use crate::{
    failpoint::{self, Role},
    protocol::Op,
};

/// The most requests at a time, undos apart.
const AT_ONCE: usize = 64;

/// What the worker knows.
#[derive(Debug, Clone)]
struct Worker {
    dir: PathBuf,
    host_dir: String,
    cancel: Arc<AtomicBool>,
    loads: Loads,
    kept: Kept,
    witnesses: Witnesses,
    interposers: Interposers,
    other_boot: bool,
}

/// Runs the worker on its standard streams until the keeper goes. Arguments: the run's directory
/// here, and on the engine's host; [`OTHER_BOOT`].
pub fn main(mut args: impl Iterator<Item = String>) -> ExitCode {
    failpoint::this_is(Role::Worker);
    // the signal comes when the keeper ends; it may have ended before we asked for it
    let parent = rustix::process::getppid();
    let kill = Some(rustix::process::Signal::KILL);
    if rustix::process::set_parent_process_death_signal(kill).is_err()
        || rustix::process::getppid() != parent
    {
        return ExitCode::FAILURE;
    }
    let (Some(dir), Some(host_dir)) = (args.next(), args.next()) else {
        return ExitCode::from(2);
    };
    let other_boot = args.next().is_some_and(|flag| flag == OTHER_BOOT);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(AT_ONCE * 2)
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    let loads = Loads::new(Path::new(&dir));
    let worker = Worker {
        dir: dir.into(),
        host_dir,
        cancel: Arc::default(),
        loads,
        kept: Kept::default(),
        witnesses: Witnesses::default(),
        interposers: Interposers::default(),
        other_boot,
    };
    runtime.block_on(serve(worker));
    // a thread may hang in the kernel: nothing is waited for
    std::process::exit(0)
}

async fn serve(mut worker: Worker) {
    let (answers, queue) = mpsc::channel(AT_ONCE * 2);
    tokio::spawn(send(queue));
    // an answer to no question: the keeper takes it for the worker's last word
    let alarm = answers.clone();
    worker.interposers.on_loss(move |reason| {
        let body = WorkerAnswer::Failed(HelperError::Lost(reason));
        let _ = alarm.blocking_send(Frame { id: 0, body });
    });
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut requests = incoming(input());
    while let Ok(Frame { id, body }) = requests.receive::<Frame<WorkerAsk>>().await {
        if matches!(body, WorkerAsk::Ping | WorkerAsk::Cancel) {
            if matches!(body, WorkerAsk::Cancel) {
                worker.cancel.store(true, Ordering::Relaxed);
                // it is about what is in progress: what comes later is not asked for in vain
                worker.cancel = Arc::default();
            }
            let _ = answers.send(Frame { id, body: WorkerAnswer::Pong }).await;
            continue;
        }
        let (worker, answers) = (worker.clone(), answers.clone());
        let Ok(permit) = admit(&body, &room) else {
            let busy = HelperError::Refused("the worker has too much to do".into());
            let _ = answers.send(Frame { id, body: WorkerAnswer::Failed(busy) }).await;
            continue;
        };
        tokio::spawn(async move {
            let body = worker.answer(body).await.unwrap_or_else(WorkerAnswer::Failed);
            let _ = answers.send(Frame { id, body }).await;
            drop(permit);
        });
    }
}

async fn send(mut queue: mpsc::Receiver<Frame<WorkerAnswer>>) {
    let mut out = outgoing(output());
    while let Some(frame) = queue.recv().await {
        if out.send(&frame).await.is_err() {
            break;
        }
    }
}

/// Room for a request. An undo needs none: those that have it all may be waiting for just that undo.
fn admit(
    ask: &WorkerAsk,
    room: &Arc<Semaphore>,
) -> Result<Option<OwnedSemaphorePermit>, TryAcquireError> {
    if matches!(ask, WorkerAsk::Act { undo: true, .. }) {
        return Ok(None);
    }
    Arc::clone(room).try_acquire_owned().map(Some)
}

impl Worker {
    async fn answer(self, ask: WorkerAsk) -> Result<WorkerAnswer, HelperError> {
        match ask {
            WorkerAsk::Ping | WorkerAsk::Cancel => Ok(WorkerAnswer::Pong),
            WorkerAsk::Act { op, undo, deadline_ms } => self.act(op, undo, deadline_ms).await,
            WorkerAsk::Read(question) => {
                let reading = read::answer(question, &self.dir, &self.witnesses).await?;
                Ok(WorkerAnswer::Reading(reading))
            }
            WorkerAsk::Load(call) => Ok(WorkerAnswer::Load(self.loads.call(call).await?)),
            WorkerAsk::Sweep(place) => {
                blocking(move || trial::sweep(&place)).await?;
                Ok(WorkerAnswer::Pong)
            }
        }
    }

    async fn act(self, op: Op, undo: bool, deadline_ms: u64) -> Result<WorkerAnswer, HelperError> {
        let vacuous = !undo && failpoint::vacuous();
        if let Some(outcome) = vacuous.then(|| vacuous::outcome(&op)).flatten() {
            return Ok(WorkerAnswer::Acted(outcome));
        }
        let cx = Context {
            dir: self.dir,
            host_dir: self.host_dir,
            kept: self.kept,
            interposers: self.interposers,
            loads: self.loads,
            deadline: Instant::now() + Duration::from_millis(deadline_ms),
            cancel: self.cancel,
            other_boot: self.other_boot,
        };
        let witnesses = self.witnesses;
        let outcome = blocking(move || {
            if undo {
                witnesses.let_go();
            } else {
                witnesses.before(&op);
            }
            act(&op, &cx)
        });
        let outcome = outcome.await?;
        if undo {
            failpoint::undone();
        } else {
            failpoint::acted();
        }
        Ok(WorkerAnswer::Acted(outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undo_is_admitted_where_nothing_else_is() {
        let act = |undo| WorkerAsk::Act { op: Op::Nothing, undo, deadline_ms: 1 };
        let room = Arc::new(Semaphore::new(1));
        let taken = admit(&act(false), &room).unwrap();
        assert!(admit(&act(false), &room).is_err());
        assert!(admit(&act(true), &room).unwrap().is_none());
        drop(taken);
        assert!(admit(&act(false), &room).is_ok());
    }
}
