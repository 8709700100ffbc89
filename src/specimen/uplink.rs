//! The way to the controller: one request at a time, each given up in time.
//!
//! Remembers where the controller was, so that a name server that is out of reach delays nothing,
//! and says once when the controller is lost and once when it is back.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, StatusCode, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::arrival;
use super::console::Console;
use super::health::State;

/// A name, a connection and a request may each take so long.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) struct Uplink {
    /// `HOST:PORT`.
    controller: String,
    runtime: Handle,
    console: Console,
    /// Where it was found, and whether it answered the last time; none before the first attempt.
    known: Mutex<(Option<SocketAddr>, Option<State>)>,
}

impl Uplink {
    /// Must be called on a tokio runtime.
    pub(super) fn new(controller: String, console: Console) -> Self {
        Self { controller, runtime: Handle::current(), console, known: Mutex::default() }
    }

    /// RUNNING or OFFLINE; INIT before the first attempt.
    pub(super) fn state(&self) -> State {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).1.unwrap_or(State::Init)
    }

    /// Sends a request that must succeed, and says when that changed what we think of the
    /// controller. Blocks; not for the runtime's own threads.
    pub(super) fn send(&self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let answer = self.runtime.block_on(self.attempt(method, path, body));
        self.note(&answer);
        match answer? {
            status if status.is_success() => Ok(()),
            status => Err(io::Error::other(format!("answered {status}"))),
        }
    }

    async fn attempt(&self, method: &str, path: &str, body: &str) -> io::Result<StatusCode> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).0;
        let address = match known {
            Some(address) => address,
            None => within(lookup_host(&self.controller)).await?.next().ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, "its name has no address")
            })?,
        };
        // another start may have another address: only one that answers is remembered
        self.remember(None);
        let stream = within(TcpStream::connect(address)).await?;
        let status = within(exchange(stream, &self.controller, (method, path, body))).await?;
        self.remember(Some(address));
        Ok(status)
    }

    fn remember(&self, address: Option<SocketAddr>) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).0 = address;
    }

    fn note(&self, answer: &io::Result<StatusCode>) {
        let now = if answer.is_ok() { State::Running } else { State::Offline };
        let before = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.1.replace(now)
        };
        if before != Some(now) {
            let why = answer.as_ref().err().map(|error| format!(" ({error})")).unwrap_or_default();
            self.console.say(format!("controller {}: {}{why}", self.controller, now.name()));
        }
    }
}

/// What `work` comes to, unless it takes too long.
pub(super) async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn exchange(
    stream: TcpStream,
    host: &str,
    (method, path, body): (&str, &str, &str),
) -> io::Result<StatusCode> {
    let (mut sender, driver) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(driver);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", host)
        .header(arrival::SENT, arrival::now().as_secs())
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .map_err(io::Error::other)?;
    Ok(sender.send_request(request).await.map_err(io::Error::other)?.status())
}
