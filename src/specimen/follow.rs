//! Handing on: what is sent to one who does not lead goes to the one who does.
//!
//! Over connections that stay open a follower knows at once that its leader is gone: they end with
//! it. What was under way then is asked again of whoever leads next, which may be this one; a
//! record that was kept already is known by its key. A leader that is wrongly given up loses its
//! term and nothing else.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::args::{Reconnect, SpecimenArgs};
use super::records::Refusal;
use super::service::Service;
use super::uplink::within;
use crate::ledger::Record;

/// Between two attempts to find a leader.
const AGAIN: Duration = Duration::from_millis(5);

/// A term and who leads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leader {
    pub(super) term: u64,
    pub(super) name: String,
}

pub(super) struct Follow {
    reconnect: Reconnect,
    /// The port of a leader whose name has none.
    port: u16,
    /// None where nothing is handed on.
    runtime: Option<Handle>,
    /// Connections that nobody uses at the moment.
    idle: Mutex<Vec<Line>>,
    /// The latest term whose leader is known to be gone; 0 for none.
    gone: Arc<AtomicU64>,
}

/// A connection to the leader of a term.
struct Line {
    term: u64,
    sender: http1::SendRequest<Full<Bytes>>,
    /// We have ended it, so its end says nothing of the leader.
    ours: Arc<AtomicBool>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.ours.store(true, Ordering::Release);
    }
}

/// Why a record was not handed on.
struct Trouble {
    /// It had left: whether it was kept is not known.
    sent: bool,
    error: io::Error,
}

impl Follow {
    /// Must be called on a tokio runtime, where anything is to be handed on.
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        Self {
            reconnect: args.reconnect,
            port: args.listen.port(),
            runtime: args.hand_over.then(Handle::current),
            idle: Mutex::default(),
            gone: Arc::default(),
        }
    }

    /// The latest term whose leader is known to be gone.
    pub(super) fn abandoned(&self) -> Option<u64> {
        Some(self.gone.load(Ordering::Acquire)).filter(|term| *term > 0)
    }

    /// Makes sure that there is a connection that will tell of the leader's end.
    pub(super) fn keep_warm(self: &Arc<Self>, leader: Leader) {
        let has_one = self.idle().iter().any(|line| line.term == leader.term);
        let (Reconnect::Warm, false, Some(runtime)) = (self.reconnect, has_one, &self.runtime)
        else {
            return;
        };
        let this = self.clone();
        runtime.spawn(async move {
            // without one the lease tells, later
            if let Ok(line) = this.connect(&leader).await {
                this.idle().push(line);
            }
        });
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hand_on(&self, leader: &Leader, record: &Record) -> Result<Answer, Trouble> {
        let unsent = |error| Trouble { sent: false, error };
        let open = {
            let mut idle = self.idle();
            idle.retain(|line| line.term == leader.term && !line.sender.is_closed());
            idle.pop()
        };
        let mut line = match open {
            Some(line) => line,
            None => self.connect(leader).await.map_err(unsent)?,
        };
        let answer = within(line.exchange(&leader.name, record)).await;
        let answer = answer.map_err(|error| Trouble { sent: true, error })?;
        if self.reconnect == Reconnect::Warm {
            self.idle().push(line);
        }
        Ok(answer)
    }

    async fn connect(&self, leader: &Leader) -> io::Result<Line> {
        let name = &leader.name;
        let address =
            if name.contains(':') { name.clone() } else { format!("{name}:{}", self.port) };
        let stream = within(TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        let shake = http1::handshake(TokioIo::new(stream));
        let (sender, driver) = shake.await.map_err(io::Error::other)?;
        let (ours, gone, term) = (Arc::new(AtomicBool::new(false)), self.gone.clone(), leader.term);
        let line = Line { term, sender, ours: ours.clone() };
        let warm = self.reconnect == Reconnect::Warm;
        tokio::spawn(async move {
            let _ = driver.await;
            if warm && !ours.load(Ordering::Acquire) {
                gone.fetch_max(term, Ordering::AcqRel);
            }
        });
        Ok(line)
    }
}

type Answer = (StatusCode, Bytes);

impl Line {
    async fn exchange(&mut self, host: &str, record: &Record) -> io::Result<Answer> {
        self.sender.ready().await.map_err(io::Error::other)?;
        let request = Request::builder()
            .method("PUT")
            .uri(format!("/handed-on/{}", record.key))
            .header("host", host)
            .body(Full::new(Bytes::from(record.encode())))
            .map_err(io::Error::other)?;
        let answer = self.sender.send_request(request).await.map_err(io::Error::other)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(io::Error::other)?;
        Ok((status, body.to_bytes()))
    }
}

/// Keeps a record where it belongs: here if we lead, otherwise with the leader.
pub(super) async fn put(service: &Service, record: &Record) -> Result<(), Refusal> {
    let kept = async {
        loop {
            match here(service, record).await {
                Err(Refusal::Elsewhere(leader)) => match there(service, leader, record).await {
                    Err(Refusal::NoLeader) if service.follow.reconnect == Reconnect::Warm => {}
                    settled => return settled,
                },
                settled => return settled,
            }
            sleep(AGAIN).await;
        }
    };
    timeout(service.args.patience(), kept).await.unwrap_or(Err(Refusal::Unknown))
}

/// Keeps a record if we lead.
pub(super) async fn here(service: &Service, record: &Record) -> Result<(), Refusal> {
    let records = service.records().ok_or(Refusal::NoLeader)?;
    records.append(record.clone(), record.encode()).await
}

async fn there(service: &Service, leader: Option<Leader>, record: &Record) -> Result<(), Refusal> {
    let Some(leader) = leader else { return Err(Refusal::NoLeader) };
    let warm = service.follow.reconnect == Reconnect::Warm;
    match service.follow.hand_on(&leader, record).await {
        Ok((status, _)) if status.is_success() => {
            service.health.clear("leader");
            Ok(())
        }
        Ok((StatusCode::MISDIRECTED_REQUEST, _)) => Err(Refusal::NoLeader),
        Ok((status, body)) => Err(Refusal::Leader(status, body)),
        Err(Trouble { sent, error }) => {
            service.health.raise("leader", format!("{} does not answer ({error})", leader.name));
            // asked again, it is known by its key
            Err(if sent && !warm { Refusal::Unknown } else { Refusal::NoLeader })
        }
    }
}
