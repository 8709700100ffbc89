//! The interposers that were made here, each watched until it ends.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::Child,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    host::process::Identity,
    interpose::control::{self, Ask},
};

/// And how long to say that it is there: whoever uses the volume of one that is wedged hangs no
/// longer than 2 s, and the rest of them is for ending it.
const PONG: Duration = Duration::from_millis(1200);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

type Alarm = Box<dyn Fn(String) + Send + Sync>;

/// What it means that one ends by itself, which it does when nobody has it mounted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Somebody took it from under its volume.
    IsLoss,
    /// The container that it was inserted into has ended, and its mounts with it.
    IsTheContainers,
}

/// Interposers that were made here.
#[derive(Clone, Default)]
pub(super) struct Interposers {
    /// By name, and whether it is to end.
    made: Arc<Mutex<BTreeMap<String, Arc<AtomicBool>>>>,
    alarm: Arc<OnceLock<Alarm>>,
}

impl std::fmt::Debug for Interposers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Interposers").field("made", &self.made).finish_non_exhaustive()
    }
}

impl Interposers {
    /// Says what to do when one ends that was not to.
    pub(super) fn on_loss(&self, alarm: impl Fn(String) + Send + Sync + 'static) {
        let _ = self.alarm.set(Box::new(alarm));
    }

    /// The one of this name that was made last is to end.
    pub(super) fn ends(&self, name: &str) {
        if let Some(ending) = self.made().remove(name) {
            ending.store(true, Ordering::Release);
        }
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<String, Arc<AtomicBool>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches one until it ends.
    pub(super) fn watch(&self, name: String, mut child: Child, socket: PathBuf, end: End) {
        let alarm = Arc::clone(&self.alarm);
        // another case may have one of the same name while this one is still going
        let ending = Arc::new(AtomicBool::new(false));
        self.made().insert(name.clone(), Arc::clone(&ending));
        let watch = move || {
            let Some(how) = watched(&mut child, &socket, end) else { return };
            if !ending.load(Ordering::Acquire)
                && let Some(alarm) = alarm.get()
            {
                alarm(format!("the interposer `{name}` {how}"));
            }
        };
        // without a watch an end is noticed by whoever uses the volume
        let _ = std::thread::Builder::new().name("interposer".into()).spawn(watch);
    }
}

/// Waits until one ends, and ends one that does not answer; says how it ended, unless that is no loss.
fn watched(child: &mut Child, socket: &Path, end: End) -> Option<String> {
    let process = Identity::of(child.id());
    let mut deaf_since = None;
    loop {
        std::thread::sleep(LOOK);
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) if status.success() && end == End::IsTheContainers => return None,
            Ok(Some(status)) => return Some(format!("ended: {status}")),
            Err(error) => return Some(error.to_string()),
        }
        // one that is stopped need not be waited for
        let (wrong, hangs) = match process.as_ref().is_ok_and(|process| process.is_stopped()) {
            true => ("it is stopped".to_owned(), true),
            false => match control::ask(socket, &Ask::Ping, PONG) {
                Ok(_) => {
                    deaf_since = None;
                    continue;
                }
                Err(error) => (error.to_string(), is_timeout(&error)),
            },
        };
        // one that is about to end closes its ears first
        if !hangs && deaf_since.get_or_insert_with(Instant::now).elapsed() < PONG {
            continue;
        }
        if matches!(child.try_wait(), Ok(None)) {
            // without it, whoever waits gets an error
            let _ = child.kill();
            let _ = child.wait();
            return Some(format!("did not answer and was ended: {wrong}"));
        }
    }
}

/// Somebody is there, and says nothing.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, process::Command};

    use super::*;

    /// Who accepts, and hangs up at once, until the test ends.
    fn deaf(dir: &Path) -> PathBuf {
        let socket = dir.join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        socket
    }

    fn ends_after(seconds: &str) -> Child {
        Command::new("sleep").arg(seconds).spawn().unwrap()
    }

    #[test]
    fn one_that_hangs_up_and_then_ends_was_on_its_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let socket = deaf(dir.path());
        assert_eq!(watched(&mut ends_after("0.5"), &socket, End::IsTheContainers), None);
        let ended = watched(&mut ends_after("0.5"), &socket, End::IsLoss).unwrap();
        assert!(ended.starts_with("ended: "), "{ended}");
    }

    #[test]
    fn one_that_hangs_up_and_stays_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let socket = deaf(dir.path());
        let ended = watched(&mut ends_after("60"), &socket, End::IsTheContainers).unwrap();
        assert!(ended.starts_with("did not answer and was ended: "), "{ended}");
    }
}
