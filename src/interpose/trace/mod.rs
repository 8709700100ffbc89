//! The trace of an interposer: every operation of others, a line of JSON each, in a file of the run's
//! directory.
//!
//! Whoever serves an operation waits for no disk: it goes to a queue that has a bound, and a thread
//! of its own writes. What does not fit is counted.

mod file;

use std::{
    fs::File,
    io,
    path::PathBuf,
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use self::file::TraceFile;
use crate::protocol::{TraceFacts, TracedOp};

/// Operations that wait to be written: some megabytes.
const QUEUED: usize = 8192;
/// After so long without an operation, what is there is written.
const IDLE: Duration = Duration::from_millis(100);
/// The writer has this long to bring what it has to the file; whoever asks waits for no longer.
const WRITTEN: Duration = Duration::from_secs(1);
/// Between two looks whether the queue has room.
const AGAIN: Duration = Duration::from_millis(1);

/// Where a trace goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceTo {
    /// The file, which is made anew.
    pub file: PathBuf,
    /// Bytes that it may have.
    pub most: u64,
}

/// What the writer is told.
enum Told {
    Op(Box<TracedOp>),
    /// Write what is there, and say how much that is.
    Facts(SyncSender<TraceFacts>),
}

/// The trace of an interposer.
pub(super) struct Tracer {
    queue: SyncSender<Told>,
    dropped: AtomicU64,
}

impl Tracer {
    /// Begins one.
    pub(super) fn start(to: &TraceTo) -> io::Result<Self> {
        let mut file = TraceFile::new(File::create(&to.file)?, to.most);
        let (tracer, told) = Self::queued(QUEUED);
        let writer = std::thread::Builder::new().name("trace".into());
        writer.spawn(move || while file.follow(&told) {})?;
        Ok(tracer)
    }

    fn queued(most: usize) -> (Self, Receiver<Told>) {
        let (queue, told) = sync_channel(most);
        (Self { queue, dropped: AtomicU64::new(0) }, told)
    }

    /// Takes an operation, or counts it where the writer is too far behind. Never waits.
    pub(super) fn take(&self, op: Box<TracedOp>) {
        if self.queue.try_send(Told::Op(op)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Brings what there is to the file, and says how much that is; none where the writer does not
    /// come to it in time.
    pub(super) fn facts(&self) -> Option<TraceFacts> {
        let (answer, facts) = sync_channel(1);
        let until = Instant::now() + WRITTEN;
        let mut ask = Told::Facts(answer);
        while let Err(error) = self.queue.try_send(ask) {
            let TrySendError::Full(again) = error else { return None };
            ask = again;
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(AGAIN);
        }
        let facts = facts.recv_timeout(until.saturating_duration_since(Instant::now())).ok()?;
        Some(TraceFacts { dropped: self.dropped.load(Ordering::Relaxed), ..facts })
    }
}

impl TraceFile {
    /// Does the next thing; false when there is nothing more to come.
    fn follow(&mut self, told: &Receiver<Told>) -> bool {
        match told.recv_timeout(IDLE) {
            Ok(Told::Op(op)) => self.put(&op),
            Ok(Told::Facts(to)) => {
                self.flush();
                // who has not waited for it asks again
                let _ = to.try_send(self.facts());
            }
            Err(RecvTimeoutError::Timeout) => self.flush(),
            Err(RecvTimeoutError::Disconnected) => {
                self.flush();
                return false;
            }
        }
        true
    }
}

/// Microseconds on the clock that every process of this host shares.
#[must_use]
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or_default() * 1_000_000 + nanos.unwrap_or_default() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(path: &str) -> Box<TracedOp> {
        Box::new(TracedOp { op: "write".into(), path: path.into(), ..TracedOp::default() })
    }

    #[test]
    fn a_writer_that_is_behind_holds_nobody_up_and_what_it_misses_is_counted() {
        let (tracer, told) = Tracer::queued(4);
        for n in 0..10 {
            tracer.take(op(&n.to_string()));
        }
        assert_eq!(tracer.dropped.load(Ordering::Relaxed), 6);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace");
        let mut file = TraceFile::new(File::create(&path).unwrap(), 1 << 20);
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || while file.follow(&told) {});
            let facts = tracer.facts().unwrap();
            assert_eq!((facts.kept, facts.dropped, facts.after_end), (4, 6, 0));
            assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 4);
            drop(tracer);
            writer.join().unwrap();
        });
    }

    #[test]
    fn what_was_done_is_in_the_file_when_somebody_asks() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("trace");
        let tracer = Tracer::start(&TraceTo { file: file.clone(), most: 1 << 20 }).unwrap();
        tracer.take(op("a"));
        tracer.take(op("b"));
        let facts = tracer.facts().unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        assert_eq!((facts.kept, facts.bytes), (2, text.len() as u64));
        let paths = text.lines().map(|line| serde_json::from_str::<TracedOp>(line).unwrap().path);
        assert_eq!(paths.collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn the_clock_goes_forward() {
        let before = now_us();
        std::thread::sleep(Duration::from_millis(2));
        assert!((2000..60_000_000).contains(&(now_us() - before)));
    }
}
