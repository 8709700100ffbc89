//! The service as a job sees it: three requests over HTTP, each with a deadline.
//!
//! Knows no other way to it, and keeps nothing frozen: a freeze ends with its guard, or, where the
//! guard dies too, with its limit.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::JobError;

/// How long one answer may take; above the service's own deadline for its storage.
const PATIENCE: Duration = Duration::from_secs(8);
/// The most of an answer that is read.
const ANSWER: u64 = 64 * 1024;

pub(super) struct Agent {
    address: String,
}

impl Agent {
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.to_owned() }
    }

    /// Fails unless the service says that it is well.
    pub(super) fn gate(&self) -> Result<(), JobError> {
        match self.ask("GET", "/health") {
            Ok((200, _)) => Ok(()),
            Ok((status, body)) => Err(JobError::Unhealthy(reason(status, &body))),
            Err(error) => Err(JobError::Unhealthy(format!("it does not answer: {error}"))),
        }
    }

    /// Makes the service hold still until the guard is gone, for `limit` at most.
    pub(super) fn freeze(&self, limit: Duration) -> Result<Frozen<'_>, JobError> {
        let since = Instant::now();
        self.order("freeze", &format!("/pause?milliseconds={}", limit.as_millis()))?;
        Ok(Frozen { agent: self, since, limit, over: false })
    }

    fn order(&self, doing: &'static str, path: &str) -> Result<(), JobError> {
        match self.ask("POST", path) {
            Ok((200, _)) => Ok(()),
            Ok((status, body)) => Err(JobError::Service { doing, why: reason(status, &body) }),
            Err(error) => Err(JobError::Service { doing, why: error.to_string() }),
        }
    }

    fn ask(&self, method: &str, path: &str) -> io::Result<(u16, String)> {
        let address = self.address.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let host = &self.address;
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(ANSWER).read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok((status.ok_or(io::ErrorKind::InvalidData)?, body.to_owned()))
    }
}

/// What the service gives as the reason, or else its status.
fn reason(status: u16, body: &str) -> String {
    let said = serde_json::from_str::<serde_json::Value>(body).unwrap_or_default();
    let words = said["reason"].as_str().or(said["detail"].as_str()).or(said["state"].as_str());
    words.map_or_else(|| format!("status {status}"), str::to_owned)
}

/// The service holds still while this lives.
pub(super) struct Frozen<'a> {
    agent: &'a Agent,
    since: Instant,
    limit: Duration,
    over: bool,
}

impl Frozen<'_> {
    /// Lets the service go on; how long it was held. An error when it may have gone on before.
    pub(super) fn end(mut self) -> Result<Duration, JobError> {
        self.over = true;
        self.agent.order("thaw", "/resume")?;
        let held = self.since.elapsed();
        if held < self.limit {
            return Ok(held);
        }
        let limit = self.limit.as_secs_f64();
        Err(JobError::Torn(format!("the service went on by itself after {limit} s")))
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if !self.over {
            // The copy failed, and says why. Should this fail too, the limit ends the freeze.
            let _ = self.agent.order("thaw", "/resume");
        }
    }
}
