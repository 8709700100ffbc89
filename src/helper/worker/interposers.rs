//! The interposers that were made here, each watched until it ends.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Child,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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
            let process = Identity::of(child.id());
            let how = loop {
                std::thread::sleep(LOOK);
                match child.try_wait() {
                    Ok(None) => {}
                    Ok(Some(status)) if status.success() && end == End::IsTheContainers => return,
                    Ok(Some(status)) => break format!("ended: {status}"),
                    Err(error) => break error.to_string(),
                }
                // one that is stopped need not be waited for
                let wrong = match process.as_ref().is_ok_and(|process| process.is_stopped()) {
                    true => Some("it is stopped".to_owned()),
                    false => control::ask(&socket, &Ask::Ping, PONG).err().map(|e| e.to_string()),
                };
                if let Some(wrong) = wrong.filter(|_| matches!(child.try_wait(), Ok(None))) {
                    // without it, whoever waits gets an error
                    let _ = child.kill();
                    let _ = child.wait();
                    break format!("did not answer and was ended: {wrong}");
                }
            };
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
