//! The driver's log on disk, with one fsync for all entries that wait (group commit).

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
    sync::Arc,
};

use tokio::sync::{mpsc, oneshot};

use crate::ledger::{Entry, LogWriter};

/// The most entries that wait.
const QUEUE: usize = 1024;

type Waiting = (Entry, oneshot::Sender<Result<(), String>>);

/// The way to the thread that writes the log.
#[derive(Debug, Clone)]
pub(super) struct Log {
    queue: mpsc::Sender<Waiting>,
}

impl Log {
    /// Starts a log; its header is durable on return.
    pub(super) fn create(path: &Path, run: &str) -> io::Result<Self> {
        let file = Arc::new(OpenOptions::new().write(true).create_new(true).open(path)?);
        let mut writer = LogWriter::new(Shared(Arc::clone(&file)), run)?;
        writer.write_out()?;
        file.sync_data()?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || write(writer, &file, waiting))?;
        Ok(Self { queue })
    }

    /// Writes an entry; it is durable on return.
    pub(super) async fn durable(&self, entry: Entry) -> Result<(), String> {
        let (done, wait) = oneshot::channel();
        let ended = || "the ledger's log is no longer written".to_owned();
        self.queue.send((entry, done)).await.map_err(|_| ended())?;
        wait.await.map_err(|_| ended())?
    }
}

/// The file, for the writer and for its sync.
#[derive(Debug)]
struct Shared(Arc<File>);

impl io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(mut writer: LogWriter<Shared>, file: &File, mut queue: mpsc::Receiver<Waiting>) {
    let mut group = Vec::new();
    while let Some(first) = queue.blocking_recv() {
        group.push(first);
        while let Ok(next) = queue.try_recv() {
            group.push(next);
        }
        let appended = group.iter().try_for_each(|(entry, _)| writer.append(entry).map(drop));
        let written = appended.and_then(|()| writer.write_out()).and_then(|_| file.sync_data());
        let result = written.map_err(|error| format!("the ledger's log: {error}"));
        for (_, done) in group.drain(..) {
            let _ = done.send(result.clone());
        }
    }
}
