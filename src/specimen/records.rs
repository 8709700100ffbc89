//! The records' thread: takes appends from a bounded queue, writes them as a group, syncs once,
//! and only then acknowledges.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use tokio::sync::{mpsc, oneshot};

use super::errno;
use super::follow::Leader;
use super::journal::{Appended, Journal};
use super::service::Service;
use super::weakness::Weakness;
use crate::ledger::Record;

/// Appends that share one sync.
const GROUP: usize = 64;

/// Why a record was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The storage said no; nothing was kept.
    Storage { errno: String, detail: String, full: bool },
    /// The key holds another record.
    Conflict,
    /// Too many appends are waiting; nothing was kept.
    Busy,
    /// The service is frozen; nothing was kept.
    Frozen,
    /// No answer from the storage in time: the record may be kept or not.
    Unknown,
    /// Records are for the leader to keep, and that is not this one; nothing was acknowledged.
    Elsewhere(Option<Leader>),
    /// There is none that answers; nothing was kept.
    NoLeader,
    /// What the leader said.
    Leader(StatusCode, Bytes),
}

type Reply = oneshot::Sender<Result<(), Refusal>>;

enum Request {
    Append {
        record: Record,
        line: String,
        reply: Reply,
    },
    /// The filesystem takes writes again: open what a failed sync closed.
    Verify,
}

/// Where appends are sent.
#[derive(Clone)]
pub(super) struct RecordsHandle {
    queue: mpsc::Sender<Request>,
    /// How long an append may take before the answer is "unknown".
    patience: Duration,
}

pub(super) struct RecordsQueue(mpsc::Receiver<Request>);

/// A queue for so many appends.
pub(super) fn channel(patience: Duration, most: u32) -> (RecordsHandle, RecordsQueue) {
    let (sender, receiver) = mpsc::channel(usize::try_from(most).unwrap_or(usize::MAX));
    (RecordsHandle { queue: sender, patience }, RecordsQueue(receiver))
}

impl RecordsHandle {
    /// Appends a record; ok means that it is on disk.
    pub(super) async fn append(&self, record: Record, line: String) -> Result<(), Refusal> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Append { record, line, reply };
        self.queue.try_send(request).map_err(|_| Refusal::Busy)?;
        match tokio::time::timeout(self.patience, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(Refusal::Unknown),
        }
    }

    /// Appends that wait for the thread.
    pub(super) fn waiting(&self) -> u64 {
        (self.queue.max_capacity() - self.queue.capacity()) as u64
    }

    pub(super) fn verify(&self) {
        let _ = self.queue.try_send(Request::Verify);
    }
}

/// The thread: runs until every handle is gone.
pub(super) fn run(service: &Arc<Service>, mut journal: Journal, mut queue: RecordsQueue) {
    let most = if service.args.has(Weakness::SyncsEach) { 1 } else { GROUP };
    while let Some(first) = queue.0.blocking_recv() {
        let mut group = vec![first];
        while let (true, Ok(next)) = (group.len() < most, queue.0.try_recv()) {
            group.push(next);
        }
        let _no_freeze = service.freeze.hold_off();
        if service.health.is_paused() {
            replies(group).into_iter().for_each(|reply| drop(reply.send(Err(Refusal::Frozen))));
            continue;
        }
        append_group(service, &mut journal, group);
        // What a failure took back is not to be read either.
        service.publish_journal(&journal);
    }
}

fn append_group(service: &Arc<Service>, journal: &mut Journal, group: Vec<Request>) {
    match open(service, journal) {
        Ok(true) => {}
        Ok(false) => return send_elsewhere(service, replies(group)),
        Err(error) => return refuse_all(service, replies(group), &error),
    }
    let before = journal.end();
    let mut written: Vec<(String, Reply)> = Vec::new();
    for request in group {
        let Request::Append { record, line, reply } = request else {
            service.health.clear("records");
            continue;
        };
        if let Some(Err(error)) = service.index().map(|index| index.look_up(&record.key)) {
            refuse_all(service, vec![reply], &error);
            continue;
        }
        match journal.append(&record, &line) {
            Ok(Appended::Yes) => written.push((record.key, reply)),
            Ok(Appended::Conflict) => drop(reply.send(Err(Refusal::Conflict))),
            Err(error) => refuse_all(service, vec![reply], &error),
        }
    }
    if written.is_empty() {
        return;
    }
    if service.args.has(Weakness::AckBeforeSync) {
        return acknowledge(service, journal, written);
    }
    let synced = make_durable(service, journal);
    if let Ok(true) = synced {
        return acknowledge(service, journal, written);
    }
    let (keys, replies): (Vec<_>, Vec<_>) = written.into_iter().unzip();
    journal.abandon(before, &keys);
    match synced {
        Err(error) => refuse_all(service, replies, &error),
        Ok(_) => send_elsewhere(service, replies),
    }
}

/// Makes durable what was appended, and only then says on another volume that it is; false when
/// somebody else keeps the records.
fn make_durable(service: &Service, journal: &Journal) -> io::Result<bool> {
    let raise = || service.watermark.as_ref().map_or(Ok(()), |mark| mark.raise(journal.end()));
    if service.args.has(Weakness::MarksFirst) {
        raise()?;
        journal.sync()?;
        return service.office.holds(journal);
    }
    journal.sync()?;
    raise()?;
    service.office.holds(journal)
}

/// Makes the journal ready to be appended to; false when somebody else keeps the records.
fn open(service: &Service, journal: &mut Journal) -> io::Result<bool> {
    service.home.check(&service.args.data)?;
    if !service.office.enter(journal, service.term.load(Ordering::Acquire))? {
        return Ok(false);
    }
    journal.check()?;
    journal.open()?.into_iter().for_each(|line| service.console.say(line));
    Ok(true)
}

fn send_elsewhere(service: &Service, replies: Vec<Reply>) {
    match service.office.leader() {
        Ok(leader) => {
            let refusal = Err(Refusal::Elsewhere(leader));
            replies.into_iter().for_each(|reply| drop(reply.send(refusal.clone())));
        }
        Err(error) => refuse_all(service, replies, &error),
    }
}

fn replies(group: Vec<Request>) -> Vec<Reply> {
    let reply = |request| match request {
        Request::Append { reply, .. } => Some(reply),
        Request::Verify => None,
    };
    group.into_iter().filter_map(reply).collect()
}

fn acknowledge(service: &Service, journal: &Journal, written: Vec<(String, Reply)>) {
    // Readers first: who has the answer may ask for the record at once.
    service.publish_journal(journal);
    service.metrics.acked.add(written.len() as u64);
    service.health.clear("records");
    for (key, reply) in written {
        service.log(&format!("kept {key}"));
        // A client that has gone away will ask again.
        let _ = reply.send(Ok(()));
    }
}

fn refuse_all(service: &Service, replies: Vec<Reply>, error: &io::Error) {
    let full = errno::is_space(error);
    service.metrics.failed.add(replies.len() as u64);
    service.health.fault("records", error);
    if full {
        service.make_room("records", &errno::describe(error));
    }
    for reply in replies {
        let refusal =
            Refusal::Storage { errno: errno::name(error), detail: errno::describe(error), full };
        let _ = reply.send(Err(refusal));
    }
}
