//! When to look at the configuration: after an event in its directory, and every so often anyway.
//!
//! The directory is watched, because a careful writer renames a new file over the old one: a watch
//! on the file itself stays with the inode that is gone. And no watch can be trusted alone. The
//! user may have no inotify instance or watch left (EMFILE, ENOSPC), and a change that reaches the
//! file through a lower layer of an overlay, or from another host, raises no event here.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::config::Config;
use super::errno;
use super::service::Service;
use super::weakness::Weakness;

/// How long one wait for events may last: until then a stop waits.
const SLICE: Duration = Duration::from_millis(100);
/// Long enough to be never.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// The thread: looks, and waits for a reason to look again, until the service stops.
pub(super) fn run(service: &Arc<Service>) {
    let Some(config) = &service.config else { return };
    let pause =
        if service.args.has(Weakness::NoPolling) { NEVER } else { service.args.config_poll };
    let mut watch = Watch::new(config.file(), service.args.has(Weakness::WatchesInode));
    let mut told = None;
    loop {
        // First the watch, then the look: what changes in between raises an event.
        let armed = watch.arm();
        if told.replace(armed.is_ok()) != Some(armed.is_ok()) {
            config.note_watched(armed.is_ok());
            say(service, &armed);
        }
        look(service, config);
        let stopped = match watch.queue.as_ref().filter(|_| armed.is_ok()) {
            Some(queue) => await_event(queue, service, pause),
            None => service.stop.sleep(pause),
        };
        if stopped {
            return;
        }
    }
}

fn say(service: &Service, armed: &io::Result<()>) {
    let how = match armed {
        Ok(()) => "watched".to_owned(),
        Err(error) => {
            let poll = service.args.config_poll;
            format!("{}: polling every {poll:?}", errno::describe(error))
        }
    };
    service.console.say(format!("config: {how}"));
}

fn look(service: &Service, config: &Config) {
    match config.reload() {
        Ok(Some(value)) => service.console.say(format!("config: {value}")),
        Ok(None) => {}
        // The last good value stays in force; a file that comes later is taken over then.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return service.health.fault("config", &error),
    }
    service.health.clear("config");
}

/// What is watched, and the queue of its events.
struct Watch {
    queue: Option<OwnedFd>,
    path: PathBuf,
    events: WatchFlags,
}

impl Watch {
    fn new(file: &Path, the_inode: bool) -> Self {
        let written = WatchFlags::CLOSE_WRITE | WatchFlags::MODIFY;
        let (path, events) = if the_inode {
            (file, written)
        } else {
            let dir = file.parent().unwrap_or(Path::new("/"));
            (dir, written | WatchFlags::MOVED_TO | WatchFlags::CREATE)
        };
        Self { queue: None, path: path.to_owned(), events }
    }

    /// Watches what the path leads to now; nothing changes when that is watched already.
    fn arm(&mut self) -> io::Result<()> {
        let queue = match self.queue.take() {
            Some(queue) => queue,
            None => inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
        };
        let queue = self.queue.insert(queue);
        inotify::add_watch(queue, &self.path, self.events)?;
        Ok(())
    }
}

/// Waits for an event, at most for `pause`; true when the service stops.
fn await_event(queue: &OwnedFd, service: &Service, pause: Duration) -> bool {
    let started = Instant::now();
    while started.elapsed() < pause {
        if service.stop.sleep(Duration::ZERO) {
            return true;
        }
        let slice = Timespec { tv_sec: 0, tv_nsec: i64::from(SLICE.subsec_nanos()) };
        let mut ready = [PollFd::new(queue, PollFlags::IN)];
        if poll(&mut ready, Some(&slice)).is_ok_and(|ready| ready > 0) && take_events(queue) {
            return false;
        }
    }
    false
}

/// Takes all events off the queue; whether any of them tells of a change.
fn take_events(queue: &OwnedFd) -> bool {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(queue, &mut buffer);
    let mut changed = false;
    while let Ok(event) = reader.next() {
        // That the watch itself is gone says nothing about the file.
        changed |= !event.events().contains(ReadFlags::IGNORED);
    }
    changed
}
