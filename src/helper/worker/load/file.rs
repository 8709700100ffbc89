//! Records as lines of a file in the container's mount namespace, each made durable.
//!
//! A thread of its own holds the file, since a write may block for as long as the kernel likes.
//! The file is opened in the namespace as it is at that moment, and again after every error.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    driver::Target,
    way::{LARGEST, Put, too_large},
};
use crate::host::{namespace::in_mount_ns, process::Identity};

/// One line to be written, by whom, and where to answer.
type Order = (Identity, u64, String, oneshot::Sender<Put>);

/// One writer's file.
#[derive(Debug)]
pub(super) struct FileWay {
    target: Arc<Target>,
    path: String,
    thread: Option<mpsc::SyncSender<Order>>,
    /// A write that was given up, and may still hang.
    hanging: Option<oneshot::Receiver<Put>>,
}

impl FileWay {
    pub(super) fn new(target: Arc<Target>, path: &str) -> Self {
        Self { target, path: path.to_owned(), thread: None, hanging: None }
    }

    pub(super) async fn put(&mut self, line: &str, within: Duration) -> Put {
        if let Some(hanging) = &mut self.hanging {
            if matches!(hanging.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                return Put::Failed("an earlier write still hangs".into());
            }
            self.hanging = None;
        }
        let generation = self.target.generation();
        let init = match self.target.init().await {
            Ok(init) => init,
            Err(reason) => return Put::Failed(reason),
        };
        let (answer, mut answered) = oneshot::channel();
        let order = (init, generation, format!("{line}\n"), answer);
        if self.thread().try_send(order).is_err() {
            self.thread = None;
            return Put::Failed("the writing thread is gone".into());
        }
        match timeout(within, &mut answered).await {
            Ok(Ok(put)) => put,
            Ok(Err(_)) => Put::Indeterminate("the writing thread is gone".into()),
            Err(_) => {
                self.hanging = Some(answered);
                Put::Indeterminate(format!("not written within {} ms", within.as_millis()))
            }
        }
    }

    fn thread(&mut self) -> &mpsc::SyncSender<Order> {
        let path = &self.path;
        self.thread.get_or_insert_with(|| {
            let (orders, queue) = mpsc::sync_channel(1);
            let path = path.clone();
            // without a thread the channel is closed, and every put says so
            let _ = std::thread::Builder::new()
                .name("append".into())
                .spawn(move || write(&path, &queue));
            orders
        })
    }

    pub(super) async fn read_back(&mut self) -> Result<Vec<u8>, String> {
        let init = self.target.init().await?;
        let path = self.path.clone();
        let read = move || -> Result<Vec<u8>, String> {
            let read = in_mount_ns(init, || {
                let mut bytes = Vec::new();
                let most = LARGEST as u64 + 1;
                File::open(&path)?.take(most).read_to_end(&mut bytes)?;
                Ok::<_, std::io::Error>(bytes)
            });
            let read = read.map_err(|error| error.to_string())?;
            let bytes = read.map_err(|error| format!("`{path}`: {error}"))?;
            if bytes.len() > LARGEST { Err(too_large()) } else { Ok(bytes) }
        };
        tokio::task::spawn_blocking(read).await.map_err(|error| error.to_string())?
    }
}

fn write(path: &str, queue: &mpsc::Receiver<Order>) {
    let mut open: Option<(u64, File)> = None;
    while let Ok((init, generation, line, answer)) = queue.recv() {
        if open.as_ref().is_some_and(|(of, _)| *of != generation) {
            open = None;
        }
        let put = match &mut open {
            Some((_, file)) => append(file, &line),
            None => match open_in(init, path) {
                Ok(mut file) => {
                    let put = append(&mut file, &line);
                    open = Some((generation, file));
                    put
                }
                Err(reason) => Put::Failed(reason),
            },
        };
        if put != Put::Acknowledged {
            open = None;
        }
        let _ = answer.send(put);
    }
}

fn open_in(init: Identity, path: &str) -> Result<File, String> {
    let opened = in_mount_ns(init, || OpenOptions::new().append(true).create(true).open(path));
    let opened = opened.map_err(|error| error.to_string())?;
    opened.map_err(|error| format!("open `{path}`: {error}"))
}

/// One write, then fdatasync: its return is the acknowledgement.
fn append(file: &mut File, line: &str) -> Put {
    match file.write(line.as_bytes()) {
        Ok(written) if written == line.len() => {}
        Ok(written) => {
            return Put::Indeterminate(format!("{written} of {} bytes written", line.len()));
        }
        Err(error) => return Put::Failed(format!("write: {error}")),
    }
    match file.sync_data() {
        Ok(()) => Put::Acknowledged,
        Err(error) => Put::Indeterminate(format!("fdatasync: {error}")),
    }
}
