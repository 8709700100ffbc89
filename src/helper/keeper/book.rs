//! The journal, written by a thread of its own: a slow disk must never stop the lease.
//!
//! The view in memory is what the keeper decides by. An entry enters it when it is durable; an
//! outcome or an undo at once, since losing its record costs an idempotent undo.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::{mpsc, oneshot};

use super::{super::HelperError, clock::boottime_ms, state::locked};
use crate::{
    journal::{JournalError, JournalFile, Record, Replay},
    protocol::{Entry, EntryId},
};

/// The most records that wait to be written.
const QUEUE: usize = 1024;

/// The journal, and what it says.
#[derive(Debug)]
pub(super) struct Book {
    orders: mpsc::Sender<Order>,
    view: Arc<Mutex<Replay>>,
}

enum Order {
    Pend(Box<Entry>, oneshot::Sender<Result<EntryId, JournalError>>),
    Note(Record),
    Sync(oneshot::Sender<Result<(), JournalError>>),
}

impl Book {
    /// Hands the journal to its thread.
    pub(super) fn open(journal: JournalFile) -> io::Result<Self> {
        let view = Arc::new(Mutex::new(journal.replay().clone()));
        let (orders, queue) = mpsc::channel(QUEUE);
        let shared = Arc::clone(&view);
        let builder = std::thread::Builder::new().name("journal".into());
        builder.spawn(move || write(journal, queue, &shared))?;
        Ok(Self { orders, view })
    }

    /// What the journal says. Held for a moment only.
    pub(super) fn view(&self) -> MutexGuard<'_, Replay> {
        locked(&self.view)
    }

    /// Makes an entry durable, and numbers it.
    pub(super) async fn pend(&self, entry: &Entry) -> Result<EntryId, HelperError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Pend(Box::new(entry.clone()), reply)).await?;
        answer.await.map_err(|_| ended())?.map_err(|error| HelperError::Refused(error.to_string()))
    }

    /// Appends a record that may be lost.
    pub(super) fn note(&self, record: Record) {
        self.view().take(record.clone());
        if self.orders.try_send(Order::Note(record)).is_err() {
            tracing::error!("a journal record could not be queued");
        }
    }

    /// Makes everything durable.
    pub(super) async fn sync(&self) -> Result<(), HelperError> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Sync(reply)).await?;
        answer.await.map_err(|_| ended())?.map_err(|error| HelperError::Refused(error.to_string()))
    }

    async fn order(&self, order: Order) -> Result<(), HelperError> {
        self.orders.send(order).await.map_err(|_| ended())
    }
}

fn ended() -> HelperError {
    HelperError::Refused("the journal is no longer written".into())
}

fn write(mut journal: JournalFile, mut queue: mpsc::Receiver<Order>, view: &Mutex<Replay>) {
    while let Some(order) = queue.blocking_recv() {
        match order {
            Order::Pend(entry, reply) => {
                let id = journal.replay().next_id();
                let expires_at_ms = entry.expires_ms.map(|ms| boottime_ms().saturating_add(ms));
                let record = Record::pending(id, &entry, expires_at_ms);
                let done = journal.append(record.clone());
                if done.is_ok() {
                    locked(view).take(record);
                }
                let _ = reply.send(done.map(|()| id));
            }
            Order::Note(record) => {
                if let Err(error) = journal.add(record) {
                    tracing::error!(%error, "a journal record is missing");
                }
            }
            Order::Sync(reply) => {
                let _ = reply.send(journal.sync());
            }
        }
    }
}
