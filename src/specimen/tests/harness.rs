//! Starts the service on a free port, talks to it, and keeps a ledger of what it promised.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::super::console::Console;
use super::super::serve::serve_until;
use super::super::{SpecimenArgs, SpecimenError};
use crate::ledger::{Entry, Event, LedgerReport, Log, Promise, ReadBack, Record, RecordId, check};

pub(super) const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Parser)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) args: SpecimenArgs,
}

/// Arguments for a service on `dir` with a quick pulse.
pub(in crate::specimen) fn args(dir: &Path, more: &[&str]) -> SpecimenArgs {
    let dir = dir.to_str().unwrap();
    let mut all = vec!["specimen", "--data", dir, "--listen", "127.0.0.1:0"];
    let quick =
        [("--heartbeat", "100ms"), ("--snapshot-every", "100ms"), ("--release-every", "200ms")];
    for (option, time) in quick {
        if !more.iter().any(|given| given.starts_with(option)) {
            all.extend([option, time]);
        }
    }
    all.extend(more);
    Cli::try_parse_from(all).unwrap().args
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(super) struct Running {
    address: SocketAddr,
    lines: Lines,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), SpecimenError>>,
}

impl Running {
    /// Starts and does not wait.
    pub(super) async fn launch(dir: &Path, more: &[&str]) -> Self {
        Self::launch_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), dir, more).await
    }

    /// The same on an address that is known before.
    pub(super) async fn launch_on(listener: TcpListener, dir: &Path, more: &[&str]) -> Self {
        let address = listener.local_addr().unwrap();
        let (lines, (stop, stopped)) = (Lines::default(), oneshot::channel());
        let console = Console::new(lines.clone());
        let stopped = async move { drop(stopped.await) };
        let task = tokio::spawn(serve_until(args(dir, more), listener, console, stopped));
        Self { address, lines, stop, task }
    }

    /// Starts and waits until it says RUNNING.
    pub(super) async fn start(dir: &Path, more: &[&str]) -> Self {
        let running = Self::launch(dir, more).await;
        running.says("-> RUNNING").await;
        running
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(super) async fn stop(self) {
        drop(self.stop);
        timeout(DEADLINE, self.task).await.expect("stops in time").unwrap().unwrap();
    }

    /// Waits for it to end by itself.
    pub(super) async fn ended(self) -> Result<(), SpecimenError> {
        timeout(DEADLINE, self.task).await.expect("ends in time").unwrap()
    }

    pub(super) fn console(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }

    pub(super) async fn says(&self, what: &str) {
        eventually(what, || async { self.console().contains(what) }).await;
    }

    pub(super) async fn request(&self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let exchange = async {
            let mut socket = TcpStream::connect(self.address).await.unwrap();
            let head = format!(
                "{method} {path} HTTP/1.0\r\nHost: specimen\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(body).await.unwrap();
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let answer = timeout(DEADLINE, exchange).await.expect("answers in time");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
        (status, answer[end + 4..].to_vec())
    }

    pub(super) async fn get(&self, path: &str) -> (u16, String) {
        let (status, body) = self.request("GET", path, b"").await;
        (status, String::from_utf8(body).unwrap())
    }

    pub(super) async fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_str(&self.get(path).await.1).unwrap()
    }

    pub(super) async fn health(&self) -> u16 {
        self.get("/health").await.0
    }

    pub(super) async fn turns(&self, status: u16) {
        let what = format!("health {status}");
        eventually(&what, || async { self.health().await == status }).await;
    }
}

/// Polls until it holds.
pub(super) async fn eventually<F: Future<Output = bool>>(what: &str, probe: impl Fn() -> F) {
    let end = Instant::now() + DEADLINE;
    while !probe().await {
        assert!(Instant::now() < end, "not in time: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// One writer with its log.
pub(super) struct Driver {
    log: Log,
    sequence: u64,
    previous: u64,
}

impl Driver {
    pub(super) fn new(run: &str) -> Self {
        Self { log: Log { run: run.into(), ..Log::default() }, sequence: 0, previous: 0 }
    }

    pub(super) fn next(&mut self, length: u32) -> Record {
        self.sequence += 1;
        let id = RecordId { writer: 0, sequence: self.sequence };
        let record =
            Record::new(&self.log.run, id, &id.to_string(), length, self.previous).unwrap();
        self.previous = record.link();
        record
    }

    fn note(&mut self, event: Event) {
        self.log.entries.push(Entry { at_us: self.log.entries.len() as u64, event });
    }

    /// Writes a record; returns the status.
    pub(super) async fn put(&mut self, to: &Running, length: u32) -> u16 {
        let record = self.next(length);
        self.note(Event::Intent((&record).into()));
        let path = format!("/records/{}", record.key);
        let (status, _) = to.request("PUT", &path, record.encode().as_bytes()).await;
        let id = record.id;
        self.note(match status {
            200 => Event::Acknowledged(id),
            504 => Event::Indeterminate { id, reason: "504".into() },
            _ => Event::Failed { id, reason: status.to_string() },
        });
        status
    }

    /// Writes `n` records that must be acknowledged.
    pub(super) async fn put_all(&mut self, to: &Running, n: usize) {
        for _ in 0..n {
            assert_eq!(self.put(to, 100).await, 200, "{}", to.console());
        }
    }

    pub(super) async fn judge(&self, from: &Running) -> LedgerReport {
        let (status, body) = from.request("GET", "/records", b"").await;
        assert_eq!(status, 200);
        check(&self.log, ReadBack::stream(&body), Promise::Ordered)
    }
}

/// A mount of the test's own, gone when dropped.
pub(super) struct Mount(pub(super) PathBuf);

impl Mount {
    /// Mounts a tmpfs; `None`, with the reason on stderr, where this user may not.
    pub(super) fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        mount(at, &["-t", "tmpfs", "-o", options, "specimen-test"])
    }

    /// Mounts a directory over itself, so that the mount can differ from it.
    pub(super) fn over_itself(at: &Path) -> Option<Self> {
        mount(at, &["--bind", at.to_str().unwrap()])
    }

    /// Puts an overlay on top of a directory, which becomes its lower layer.
    pub(super) fn overlay(at: &Path, upper: &Path, work: &Path) -> Option<Self> {
        let dirs = [at, upper, work].map(|dir| dir.to_str().unwrap());
        let options = format!("lowerdir={},upperdir={},workdir={}", dirs[0], dirs[1], dirs[2]);
        mount(at, &["-t", "overlay", "-o", &options, "specimen-test"])
    }

    /// The same, read-only. It is so before it is in place: where somebody has a file open to write
    /// through it, a mount cannot be made read-only any more.
    pub(super) fn read_only_over_itself(at: &Path) -> Option<Self> {
        let aside = tempfile::tempdir().unwrap();
        let ready = mount(aside.path(), &["--bind", at.to_str().unwrap()])?;
        let done = Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&ready.0).status();
        assert!(done.unwrap().success());
        mount(at, &["--bind", ready.0.to_str().unwrap()])
    }
}

fn mount(at: &Path, how: &[&str]) -> Option<Mount> {
    match Command::new("mount").args(how).arg(at).output() {
        Ok(done) if done.status.success() => Some(Mount(at.to_owned())),
        other => {
            let mut stderr = std::io::stderr();
            writeln!(stderr, "skipped: this user cannot mount a filesystem: {other:?}").unwrap();
            None
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
