//! The interposers that were made here, each watched until it ends.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    process::Child,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::standstill::Standstill;
use crate::{
    host::{fuse::Grip, process::Identity},
    interpose::control::{self, Answer, Ask},
};

/// And how long to say that it is there: whoever uses the volume of one that is wedged hangs no
/// longer than 2 s, and the rest of them is for ending it.
const PONG: Duration = Duration::from_millis(1200);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

type Alarm = Box<dyn Fn(String) + Send + Sync>;

/// One that was made, and serves.
pub(super) struct Made {
    pub(super) name: String,
    pub(super) child: Child,
    /// Where it listens.
    pub(super) socket: PathBuf,
    /// Its connection to the kernel; none where that was not found.
    pub(super) connection: Option<Grip>,
}

/// How the watch of one is over.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    /// It has ended.
    Ended(String),
    /// It hangs.
    Hangs(String),
    /// It says that it cannot go on.
    Refuses(String),
}

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
    pub(super) fn watch(&self, mut made: Made, end: End) {
        let alarm = Arc::clone(&self.alarm);
        // another case may have one of the same name while this one is still going
        let ending = Arc::new(AtomicBool::new(false));
        self.made().insert(made.name.clone(), Arc::clone(&ending));
        let watch = move || {
            let Some(over) = watched(&mut made, end) else { return };
            let how = match over {
                Over::Ended(how) => how,
                Over::Hangs(why) => {
                    free(&mut made);
                    format!("did not answer and was ended: {why}")
                }
                Over::Refuses(why) => {
                    free(&mut made);
                    format!("cannot go on and was ended: {why}")
                }
            };
            if !ending.load(Ordering::Acquire)
                && let Some(alarm) = alarm.get()
            {
                alarm(format!("the interposer `{}` {how}", made.name));
            }
            // last: one that hangs in the kernel may not end for long
            let _ = made.child.wait();
        };
        // without a watch an end is noticed by whoever uses the volume
        let _ = std::thread::Builder::new().name("interposer".into()).spawn(watch);
    }
}

/// Lets whoever waits for one that hangs have an error, and ends it.
fn free(made: &mut Made) {
    // first: one that waits in the kernel for what only it can do is not ended by a signal
    made.connection.iter().for_each(|connection| drop(connection.abort()));
    let _ = made.child.kill();
}

/// Waits until one ends or hangs; none where its end is no loss.
///
/// Of a filesystem no more is asked than that it answers: its requests wait for the one beneath, which
/// may be slow, or frozen by a fault, and is nothing that waits for it in turn.
fn watched(made: &mut Made, end: End) -> Option<Over> {
    let Made { child, socket, connection, .. } = made;
    let process = Identity::of(child.id());
    let (mut deaf_since, mut still) = (None, Standstill::default());
    let some_wait =
        || connection.as_ref().is_some_and(|it| it.waiting().is_ok_and(|many| many > 0));
    loop {
        std::thread::sleep(LOOK);
        match child.try_wait() {
            Ok(None) => {}
            Ok(Some(status)) if status.success() && end == End::IsTheContainers => return None,
            Ok(Some(status)) => return Some(Over::Ended(format!("ended: {status}"))),
            Err(error) => return Some(Over::Ended(error.to_string())),
        }
        // one that is stopped need not be waited for
        let (wrong, hangs) = match process.as_ref().is_ok_and(|process| process.is_stopped()) {
            true => ("it is stopped".to_owned(), true),
            false => match control::ask(socket, &Ask::Ping, PONG) {
                Ok(Answer::Refused(why)) => return Some(Over::Refuses(why)),
                Ok(answer) => {
                    deaf_since = None;
                    match still.look(&answer, some_wait) {
                        Some(why) => (why, true),
                        None => continue,
                    }
                }
                Err(error) => (error.to_string(), is_timeout(&error)),
            },
        };
        // one that is about to end closes its ears first
        if !hangs && deaf_since.get_or_insert_with(Instant::now).elapsed() < PONG {
            continue;
        }
        if matches!(child.try_wait(), Ok(None)) {
            return Some(Over::Hangs(wrong));
        }
    }
}

/// Somebody is there, and says nothing.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::UnixListener,
        path::Path,
        process::Command,
    };

    use super::*;

    /// Who accepts, and hangs up at once, until the test ends.
    fn deaf(dir: &Path) -> PathBuf {
        let socket = dir.join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || listener.incoming().for_each(drop));
        socket
    }

    fn ends_after(seconds: &str, socket: &Path) -> Made {
        let child = Command::new("sleep").arg(seconds).spawn().unwrap();
        Made { name: "one".into(), child, socket: socket.into(), connection: None }
    }

    #[test]
    fn one_that_hangs_up_and_then_ends_was_on_its_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let socket = deaf(dir.path());
        assert_eq!(watched(&mut ends_after("0.5", &socket), End::IsTheContainers), None);
        let ended = watched(&mut ends_after("0.5", &socket), End::IsLoss);
        assert!(
            matches!(&ended, Some(Over::Ended(how)) if how.starts_with("ended: ")),
            "{ended:?}"
        );
    }

    #[test]
    fn one_that_says_why_it_cannot_go_on_is_believed() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            let answer = serde_json::to_string(&Answer::Refused("too full".into())).unwrap();
            listener.incoming().for_each(|way| {
                let mut way = way.unwrap();
                let _ = way.read(&mut [0; 64]);
                let _ = writeln!(way, "{answer}");
            });
        });
        let mut made = ends_after("60", &socket);
        assert_eq!(watched(&mut made, End::IsLoss), Some(Over::Refuses("too full".into())));
        free(&mut made);
        assert!(!made.child.wait().unwrap().success());
    }

    #[test]
    fn one_that_hangs_up_and_stays_hangs_and_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut made = ends_after("60", &deaf(dir.path()));
        assert!(matches!(watched(&mut made, End::IsTheContainers), Some(Over::Hangs(_))));
        free(&mut made);
        assert!(!made.child.wait().unwrap().success());
    }
}
