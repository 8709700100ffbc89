//! One connection to one keeper: handshake, requests, heartbeats, and the end of all that.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    super::{
        HelperError, Result,
        wire::{Answer, Ask, Frame, Hello, Incoming, Outgoing, incoming, outgoing},
    },
    launch::Connection,
};
use crate::host::pressure::{Waited, excuse};

/// Between two heartbeats.
const BEAT: Duration = Duration::from_millis(250);
/// Without an answer to any for so long, the keeper counts as gone.
const SILENCE: Duration = Duration::from_secs(1);
/// How much longer it may be silent where tasks of this machine wait for a processor or a disk: who
/// is kept from answering is not gone.
const EXCUSED: Duration = Duration::from_secs(4);
/// How long a keeper may take to say who it is, its start included.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// The most requests that wait to be sent.
const QUEUE: usize = 256;

type Input = Outgoing<Box<dyn AsyncWrite + Send + Unpin>>;
type Output = Incoming<Box<dyn AsyncRead + Send + Unpin>>;

/// A keeper that has shown to be of our build.
#[derive(Debug)]
pub(super) struct KeeperLink {
    queue: mpsc::Sender<Frame<Ask>>,
    shared: Arc<Shared>,
    next: AtomicU64,
    ended: watch::Receiver<Option<String>>,
}

/// What the tasks of a link share.
#[derive(Debug)]
struct Shared {
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    /// When the keeper was last heard.
    heard: Mutex<Instant>,
    /// The keeper says that the run is lost.
    warned: watch::Sender<Option<String>>,
}

impl KeeperLink {
    /// Shakes hands, and starts to keep the lease.
    pub(super) async fn open(connection: Connection, run: &str) -> Result<Arc<Self>> {
        let mut output: Output = incoming(connection.output);
        let mut input: Input = outgoing(connection.input);
        let ours = Hello::ours(run);
        let shake = async {
            let theirs: Hello = output.receive().await?;
            ours.check(&theirs)?;
            input.send(&ours).await
        };
        match timeout(HANDSHAKE, shake).await {
            Err(_) => return Err(HelperError::Lost("it did not say who it is".into())),
            Ok(Err(error)) => return Err(HelperError::Lost(error.to_string())),
            Ok(Ok(())) => {}
        }
        let (queue, requests) = mpsc::channel(QUEUE);
        let (end, ended) = watch::channel(None);
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            heard: Mutex::new(Instant::now()),
            warned: watch::Sender::new(None),
        });
        let beats = queue.clone();
        tokio::spawn(attend(input, output, requests, beats, Arc::clone(&shared), end));
        Ok(Arc::new(Self { queue, shared, next: AtomicU64::new(1), ended }))
    }

    /// Asks, and waits for the answer at most this long.
    pub(super) async fn call(&self, ask: Ask, within: Duration, what: &str) -> Result<Answer> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        locked(&self.shared.waiting).insert(id, answer);
        let exchange = async {
            if self.ended.borrow().is_some() {
                return Err(self.gone());
            }
            self.queue.send(Frame { id, body: ask }).await.map_err(|_| self.gone())?;
            answered.await.map_err(|_| self.gone())
        };
        let result = timeout(within, exchange).await;
        locked(&self.shared.waiting).remove(&id);
        match result {
            Ok(Ok(Answer::Failed(error))) => Err(error),
            Ok(other) => other,
            Err(_) => {
                Err(HelperError::Timeout { seconds: within.as_secs(), what: what.to_owned() })
            }
        }
    }

    fn gone(&self) -> HelperError {
        let reason = self.ended.borrow().clone();
        HelperError::Lost(reason.unwrap_or_else(|| "the connection ended".into()))
    }

    /// The connection is of no more use.
    pub(super) fn is_over(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Resolves when the connection is of no more use, with the reason.
    pub(super) async fn ended(&self) -> String {
        reason(self.ended.clone()).await
    }

    /// Resolves when the keeper says that the run is lost, with its reason.
    pub(super) async fn warned(&self) -> String {
        reason(self.shared.warned.subscribe()).await
    }
}

async fn reason(mut from: watch::Receiver<Option<String>>) -> String {
    let found = from.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
    found.unwrap_or_else(|| "the connection ended".into())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the connection going until it ends, and says why it did.
async fn attend(
    mut input: Input,
    mut output: Output,
    mut requests: mpsc::Receiver<Frame<Ask>>,
    beats: mpsc::Sender<Frame<Ask>>,
    shared: Arc<Shared>,
    end: watch::Sender<Option<String>>,
) {
    // without it the channel would never close: the heartbeat's sender outlives the link's
    let beats = beats.downgrade();
    let writer = async {
        while let Some(frame) = requests.recv().await {
            if let Err(error) = input.send(&frame).await {
                return format!("it takes no requests: {error}");
            }
        }
        "it is no longer needed".to_owned()
    };
    let reader = async {
        loop {
            match output.receive::<Frame<Answer>>().await {
                Ok(Frame { id, body }) => {
                    *locked(&shared.heard) = Instant::now();
                    take(&shared, id, body);
                }
                Err(error) => return error.to_string(),
            }
        }
    };
    let reason = tokio::select! {
        reason = writer => reason,
        reason = reader => reason,
        reason = beat(beats, &shared) => reason,
    };
    end.send_replace(Some(reason));
    locked(&shared.waiting).clear();
}

fn take(shared: &Shared, id: u64, body: Answer) {
    if let Answer::Lost(reason) = body {
        shared.warned.send_replace(Some(reason));
        return;
    }
    if let Some(waiting) = locked(&shared.waiting).remove(&id) {
        let _ = waiting.send(body);
    }
}

/// Sends heartbeats; resolves when nothing was heard for too long. Two looks in a row must agree:
/// when we were stopped ourselves, what came meanwhile is read between them.
async fn beat(queue: mpsc::WeakSender<Frame<Ask>>, shared: &Shared) -> String {
    let mut tick = interval(BEAT / 5);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent = 0;
    let mut patience = Patience::default();
    for count in 0_u64.. {
        tick.tick().await;
        if count % 5 == 0 {
            let Some(queue) = queue.upgrade() else { return "it is no longer needed".into() };
            // a full queue is silence too
            let _ = queue.try_send(Frame { id: 0, body: Ask::Heartbeat });
        }
        let heard = *locked(&shared.heard);
        silent = if patience.is_over(heard) { silent + 1 } else { 0 };
        if silent > 2 {
            return format!("it was not heard for {} ms", heard.elapsed().as_millis());
        }
    }
    String::new()
}

/// How long a keeper may be silent.
#[derive(Default)]
struct Patience {
    /// When it was heard last, and how busy the machine had been until then.
    heard: Option<(Instant, Option<Waited>)>,
}

impl Patience {
    fn is_over(&mut self, heard: Instant) -> bool {
        let waited = match self.heard {
            Some((before, waited)) if before == heard => waited,
            _ => {
                let waited = Waited::now();
                self.heard = Some((heard, waited));
                waited
            }
        };
        let silent = heard.elapsed();
        silent > SILENCE && silent > SILENCE + excuse(waited, EXCUSED)
    }
}
