//! The keeper's side of one worker process: spawn it, ask it, notice that it is gone or hangs.

use std::{
    collections::HashMap,
    io,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{mpsc, oneshot, watch},
    time::{Instant, interval, timeout},
};

use super::{
    super::{
        HelperError,
        wire::{Frame, OTHER_BOOT, WorkerAnswer, WorkerAsk, incoming, outgoing},
    },
    earlier,
    late::Late,
};
use crate::{
    failpoint,
    host::{
        pressure::{Waited, excuse},
        process::Identity,
    },
};

/// Between two pings.
const PING: Duration = Duration::from_millis(250);
/// Without an answer for so long, the worker counts as hanging.
const HANGS: Duration = Duration::from_millis(1000);
/// The most time beyond it that a busy machine may take.
const EXCUSED: Duration = Duration::from_secs(4);
/// The most requests that wait to be sent.
const QUEUE: usize = 128;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<WorkerAnswer>>>>;

/// One worker process.
#[derive(Debug)]
pub(super) struct WorkerLink {
    queue: mpsc::Sender<Frame<WorkerAsk>>,
    waiting: Waiting,
    next: AtomicU64,
    dead: watch::Receiver<Option<String>>,
    /// Nothing of it is left, no thread that hangs either.
    gone: watch::Receiver<bool>,
    process: Option<Identity>,
}

fn program(dir: &Path, host_dir: &str, other_boot: bool) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("helper-worker").arg(dir).arg(host_dir);
    command.args(other_boot.then_some(OTHER_BOOT));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

impl WorkerLink {
    /// Starts a worker. A `fresh` one is the first; its successors are spared the kill points, or
    /// none would ever finish an undo.
    pub(super) fn spawn(
        (dir, host_dir): (&Path, &str),
        other_boot: bool,
        fresh: bool,
    ) -> io::Result<Arc<Self>> {
        let mut command = program(dir, host_dir, other_boot);
        if !fresh {
            command.env_remove(failpoint::VARIABLES[0]);
        }
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the worker has no streams"));
        };
        let process = child.id().and_then(|pid| Identity::of(pid).ok());
        if let Some(Err(error)) = process.map(|process| earlier::note(dir, process)) {
            tracing::warn!(%error, "who comes later will not know this worker");
        }
        let (queue, requests) = mpsc::channel(QUEUE);
        let (death, dead) = watch::channel(None);
        let (end, gone) = watch::channel(false);
        let waiting = Waiting::default();
        let link = Arc::new(Self {
            queue,
            waiting: Arc::clone(&waiting),
            next: AtomicU64::new(1),
            dead,
            gone,
            process,
        });
        tokio::spawn(attend(
            child,
            requests,
            (input, output),
            waiting,
            (death, end),
            Arc::downgrade(&link),
        ));
        Ok(link)
    }

    /// Asks, and waits for the answer at most this long.
    pub(super) async fn call(
        &self,
        ask: WorkerAsk,
        within: Duration,
        what: &str,
    ) -> Result<WorkerAnswer, HelperError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let asked = self.exchange(id, ask, within, what).await;
        lock(&self.waiting).remove(&id);
        asked.map_err(|(error, _)| error)
    }

    /// Likewise for an act; by what is left of one that is given up, it is seen when it has ended.
    pub(super) async fn ask(
        &self,
        ask: WorkerAsk,
        within: Duration,
        what: &str,
    ) -> Result<WorkerAnswer, (HelperError, Option<Late>)> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.exchange(id, ask, within, what).await
    }

    async fn exchange(
        &self,
        id: u64,
        ask: WorkerAsk,
        within: Duration,
        what: &str,
    ) -> Result<WorkerAnswer, (HelperError, Option<Late>)> {
        let (tell, mut answer) = oneshot::channel();
        lock(&self.waiting).insert(id, tell);
        let exchange = async {
            let sent = self.queue.send(Frame { id, body: ask }).await;
            sent.map_err(|_| self.lost())?;
            (&mut answer).await.map_err(|_| self.lost())
        };
        let error = match timeout(within, exchange).await {
            // it has ended, and changed nothing any more
            Ok(Ok(WorkerAnswer::Failed(error))) => return Err((error, None)),
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(lost)) => lost,
            Err(_) => {
                let seconds = within.as_secs().max(1);
                HelperError::Timeout { seconds, what: what.to_owned() }
            }
        };
        Err((error, Some(Late::Asked { answer, gone: self.gone.clone() })))
    }

    fn lost(&self) -> HelperError {
        let reason = self.dead.borrow().clone();
        HelperError::Lost(reason.unwrap_or_else(|| "the worker ended".into()))
    }

    /// Kills it; what it was doing ends with it, but for a call that hangs in the kernel.
    pub(super) fn kill(&self) {
        if let Some(process) = self.process {
            let _ = process.signal(libc::SIGKILL);
        }
    }

    /// Whether it is gone.
    pub(super) fn is_dead(&self) -> bool {
        self.dead.borrow().is_some()
    }

    /// Resolves when it is gone or hangs, with the reason.
    pub(super) async fn died(&self) -> String {
        let mut dead = self.dead.clone();
        let reason = dead.wait_for(Option::is_some).await;
        reason.ok().and_then(|reason| reason.clone()).unwrap_or_else(|| "the worker ended".into())
    }
}

#[cfg(test)]
impl WorkerLink {
    /// A worker without a process, that answers like this; each request on its own.
    pub(super) fn scripted<F>(answer: impl Fn(WorkerAsk) -> F + Send + 'static) -> Arc<Self>
    where
        F: Future<Output = WorkerAnswer> + Send + 'static,
    {
        let (queue, mut requests) = mpsc::channel::<Frame<WorkerAsk>>(QUEUE);
        let waiting = Waiting::default();
        let answered = Arc::clone(&waiting);
        tokio::spawn(async move {
            while let Some(Frame { id, body }) = requests.recv().await {
                let (answer, answered) = (answer(body), Arc::clone(&answered));
                tokio::spawn(async move {
                    let answer = answer.await;
                    if let Some(waiting) = lock(&answered).remove(&id) {
                        let _ = waiting.send(answer);
                    }
                });
            }
        });
        let (dead, gone) = (watch::channel(None).1, watch::channel(false).1);
        Arc::new(Self { queue, waiting, next: AtomicU64::new(1), dead, gone, process: None })
    }
}

fn lock(
    waiting: &Waiting,
) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<WorkerAnswer>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the streams going until the worker is gone or hangs; then kills it and says why.
async fn attend(
    mut child: Child,
    mut requests: mpsc::Receiver<Frame<WorkerAsk>>,
    (input, output): (ChildStdin, ChildStdout),
    waiting: Waiting,
    (death, end): (watch::Sender<Option<String>>, watch::Sender<bool>),
    link: std::sync::Weak<WorkerLink>,
) {
    let writer = async {
        let mut out = outgoing(input);
        while let Some(frame) = requests.recv().await {
            if let Err(error) = out.send(&frame).await {
                return format!("the worker takes no requests: {error}");
            }
        }
        "the worker is no longer needed".to_owned()
    };
    let reason = tokio::select! {
        reason = writer => reason,
        reason = answers(output, &waiting) => reason,
        reason = ping(link) => reason,
    };
    tracing::warn!(%reason, "the worker is killed");
    let _ = child.start_kill();
    death.send_replace(Some(reason));
    // before those who wait are told: nobody asks it any more
    drop(requests);
    lock(&waiting).clear();
    // one that hangs in the kernel does not end before its call does, however long that is: nobody waits
    // for this but who must not close an entry before
    let _ = child.wait().await;
    end.send_replace(true);
}

/// Hands answers to whoever waits for them; why there are no more.
async fn answers(output: ChildStdout, waiting: &Waiting) -> String {
    let mut answers = incoming(output);
    loop {
        match answers.receive::<Frame<WorkerAnswer>>().await {
            // an answer to no question: its last word
            Ok(Frame { id: 0, body: WorkerAnswer::Failed(error) }) => return error.to_string(),
            Ok(Frame { id, body }) => {
                if let Some(waiting) = lock(waiting).remove(&id) {
                    let _ = waiting.send(body);
                }
            }
            Err(error) => return format!("the worker ended: {error}"),
        }
    }
}

/// Fails where it does not answer in time. Who is kept from answering by a busy machine does not hang.
async fn answered(link: &WorkerLink) -> Result<(), HelperError> {
    let (waited, asked) = (Waited::now(), Instant::now());
    let mut within = HANGS;
    loop {
        match link.call(WorkerAsk::Ping, within, "a ping").await {
            Err(HelperError::Timeout { what, .. }) => {
                let seconds = asked.elapsed().as_secs();
                within = (HANGS + excuse(waited, EXCUSED)).saturating_sub(asked.elapsed());
                if within.is_zero() {
                    return Err(HelperError::Timeout { seconds, what });
                }
            }
            other => return other.map(drop),
        }
    }
}

async fn ping(link: std::sync::Weak<WorkerLink>) -> String {
    let mut tick = interval(PING);
    loop {
        tick.tick().await;
        let Some(link) = link.upgrade() else { return "the worker is no longer needed".into() };
        if let Err(error) = answered(&link).await {
            return format!("the worker hangs: {error}");
        }
    }
}
