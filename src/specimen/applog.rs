//! The application log: small rotated files, deleted by age when there are too many or when room
//! runs out.
//!
//! A thread of its own writes it from a bounded queue, so that a slow or broken log volume never
//! delays a record: what does not fit is dropped and counted. A log error is reported, never fatal.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::args::SpecimenArgs;
use super::denied;
use super::errno;
use super::serve::SpecimenError;
use super::service::Service;
use super::space::Space;
use super::weakness::Weakness;

/// Lines waiting for the log's thread.
const QUEUE: usize = 1024;

/// Between two attempts at a line that must be written.
const AGAIN: Duration = Duration::from_millis(100);

enum Message {
    Line(String),
    /// Tried until it is written; the sender goes then.
    Awaited(String, SyncSender<()>),
    /// With the reason.
    MakeRoom(String),
}

/// Where the rest of the service sends its lines.
#[derive(Clone)]
pub(super) struct LogHandle(SyncSender<Message>);

/// The thread's end of the queue.
pub(super) struct LogQueue(Receiver<Message>);

pub(super) fn channel() -> (LogHandle, LogQueue) {
    let (sender, receiver) = sync_channel(QUEUE);
    (LogHandle(sender), LogQueue(receiver))
}

impl LogHandle {
    /// Queues a line; false when the queue is full and the line is lost.
    pub(super) fn line(&self, line: String) -> bool {
        self.0.try_send(Message::Line(line)).is_ok()
    }

    /// Queues a line, and waits until it is written.
    pub(super) fn line_and_wait(&self, line: String) {
        let (done, written) = sync_channel(0);
        if self.0.send(Message::Awaited(line, done)).is_ok() {
            // nothing is ever sent: it ends when the line is written, or the log's thread ends
            let _ = written.recv();
        }
    }

    /// Asks for old files to be deleted. A full queue means that the log is busy; the next
    /// heartbeat asks again.
    pub(super) fn make_room(&self, reason: String) {
        let _ = self.0.try_send(Message::MakeRoom(reason));
    }
}

/// The log's thread: runs until every handle is gone.
pub(super) fn run(service: &Arc<Service>, queue: &LogQueue) {
    let mut log = AppLog::new(&service.args);
    while let Ok(message) = queue.0.recv() {
        let result = match message {
            Message::Line(line) => {
                let written = service.home.check(&log.dir).and_then(|()| log.write(&line));
                denied::settle(service, written)
            }
            Message::Awaited(line, done) => {
                let written = log.insist(&line, service);
                drop(done);
                written
            }
            Message::MakeRoom(reason) => log.make_room(reason),
        };
        let deleted = std::mem::take(&mut log.deleted);
        service.metrics.log_deleted.add(deleted);
        if let Some(reason) = log.pressed.take() {
            service
                .console
                .say(format!("logs: deleted {deleted} oldest files because of {reason}"));
        }
        if let Err(error) = result {
            service.metrics.log_dropped.add(1);
            service.health.fault("logs", &error);
            if service.args.has(Weakness::ExitOnLogError) {
                return service.die(SpecimenError::Log(error));
            }
        }
    }
}

struct AppLog {
    dir: PathBuf,
    rotate_every: u32,
    keep: usize,
    no_retention: bool,
    /// Numbers of the files that exist, oldest first; the last is being written.
    files: VecDeque<u64>,
    current: Option<File>,
    lines: u32,
    /// Files deleted since the thread last asked, and the want of room that was the reason.
    deleted: u64,
    pressed: Option<String>,
}

impl AppLog {
    fn new(args: &SpecimenArgs) -> Self {
        Self {
            dir: args.logs_dir(),
            rotate_every: args.log_rotate_every,
            keep: args.log_keep as usize,
            no_retention: args.has(Weakness::NoRetention),
            files: VecDeque::new(),
            current: None,
            lines: 0,
            deleted: 0,
            pressed: None,
        }
    }

    /// Writes a line; without room, frees some and tries once more.
    fn write(&mut self, line: &str) -> io::Result<()> {
        match self.try_write(line) {
            Err(error) if errno::is_space(&error) => {
                self.make_room(errno::describe(&error))?;
                self.try_write(line)
            }
            result => result,
        }
    }

    /// Writes a line, however long that takes.
    fn insist(&mut self, line: &str, service: &Service) -> io::Result<()> {
        loop {
            match self.write(line) {
                Err(error) if !service.stop.sleep(AGAIN) => service.health.fault("logs", &error),
                result => return result,
            }
        }
    }

    fn try_write(&mut self, line: &str) -> io::Result<()> {
        if self.current.is_none() || self.lines >= self.rotate_every {
            self.rotate()?;
        }
        if let Some(file) = &mut self.current {
            file.write_all(format!("{line}\n").as_bytes())?;
            self.lines += 1;
        }
        Ok(())
    }

    /// Starts the next file, after deleting what is one too many.
    fn rotate(&mut self) -> io::Result<()> {
        if self.files.is_empty() {
            fs::create_dir_all(&self.dir)?;
            self.files = existing(&self.dir)?;
        }
        while self.files.len() >= self.keep && self.delete_oldest()? {}
        // Near the limit the log stands still instead of eating what it has just freed.
        if Space::of(&self.dir).is_ok_and(|space| space.is_scarce()) {
            self.delete_oldest()?;
        }
        let number = self.files.back().map_or(1, |last| last + 1);
        self.current = Some(File::create_new(self.path(number))?);
        self.files.push_back(number);
        self.lines = 0;
        Ok(())
    }

    /// Deletes the older half at most, until there is room again.
    fn make_room(&mut self, reason: String) -> io::Result<()> {
        if self.files.is_empty() {
            self.files = existing(&self.dir)?;
        }
        let most = (self.files.len() / 2).max(1);
        for _ in 0..most {
            if !self.delete_oldest()? || !Space::of(&self.dir)?.is_scarce() {
                break;
            }
        }
        if self.deleted > 0 {
            self.pressed = Some(reason);
        }
        Ok(())
    }

    /// Deletes the oldest file but the one being written; false when there is none.
    fn delete_oldest(&mut self) -> io::Result<bool> {
        if self.no_retention || self.files.len() < 2 {
            return Ok(false);
        }
        match fs::remove_file(self.path(self.files[0])) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => self.files.pop_front(),
        };
        self.deleted += 1;
        Ok(true)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("specimen.{number:08}.log"))
    }
}

/// The numbers of the log files an earlier start left, oldest first.
fn existing(dir: &std::path::Path) -> io::Result<VecDeque<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            name.strip_prefix("specimen.")?.strip_suffix(".log")?.parse::<u64>().ok()
        });
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers.into())
}
