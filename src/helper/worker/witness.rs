//! A container's mounts, kept for a moment after an act on them.
//!
//! A service may die of a fault at once, and its mount namespace with it, before anybody has looked
//! whether the fault is in force. So a thread of ours is in that namespace, with the container's
//! root, from before the act until shortly after it: `/proc/<tid>` stands in for the process that
//! has gone. Not longer: a namespace that is kept keeps its filesystems in use.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
    time::Duration,
};

use crate::{
    host::{
        container_process::container_init,
        error::{HostError, HostResult},
        namespace::in_mount_ns,
        process::Identity,
    },
    protocol::{Op, Place, SoleOp},
};

/// What follows an act at once, on a busy machine.
const KEPT: Duration = Duration::from_secs(2);

/// Our threads in containers' namespaces, by container.
#[derive(Debug, Clone, Default)]
pub(super) struct Witnesses(Arc<Mutex<HashMap<String, Witness>>>);

/// Ends when it is dropped.
#[derive(Debug)]
struct Witness {
    thread: Identity,
    _until: Sender<()>,
}

impl Witnesses {
    /// Before an act: whatever it does to the service, its mounts can be looked at for a moment.
    pub(super) fn before(&self, op: &Op) {
        let Some(place) = op.place() else { return };
        // a filesystem that was broken for everybody heals when its last user goes
        let lets_go = matches!(
            op,
            Op::BreakFilesystem { .. } | Op::Freeze { .. } | Op::Sole(SoleOp::Freeze { .. })
        );
        // without one it is as it was before there were any: the proof needs the service alive
        let witness = if lets_go { None } else { start(place).ok().flatten() };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match witness {
            Some(witness) => all.insert(place.container.clone(), witness),
            None => all.remove(&place.container),
        };
    }

    /// Runs `look`, in which they stand in for containers that have ended.
    pub(super) fn stand_in<R>(&self, look: impl FnOnce() -> R) -> R {
        STANDING_IN.set(Some(self.clone()));
        let seen = look();
        STANDING_IN.set(None);
        seen
    }

    fn of(&self, place: &Place) -> Option<Identity> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&place.container).map(|witness| witness.thread).filter(|thread| thread.is_alive())
    }

    /// Lets every namespace go: what was done is undone, and nothing may keep a filesystem in use.
    pub(super) fn let_go(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

thread_local! {
    /// Who stands in for what this thread looks at.
    static STANDING_IN: RefCell<Option<Witnesses>> = const { RefCell::new(None) };
}

/// Who stands in for the init of a container that has ended.
pub(super) fn of(place: &Place) -> Option<Identity> {
    STANDING_IN.with_borrow(|all| all.as_ref()?.of(place))
}

/// None when the container does not run.
fn start(place: &Place) -> HostResult<Option<Witness>> {
    let hint = (place.pid != 0).then_some(place.pid);
    let Some(target) = container_init(&place.container, hint)? else { return Ok(None) };
    let (until, over) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let stay = move || {
        // one that could not enter tells nobody
        let _ = in_mount_ns(target, move || {
            let _ = tell.send(rustix::thread::gettid());
            let _ = over.recv_timeout(KEPT);
        });
    };
    thread::Builder::new()
        .name("witness".to_owned())
        .spawn(stay)
        .map_err(|error| HostError::sys("clone", "thread", error))?;
    let Ok(tid) = told.recv() else { return Ok(None) };
    let thread = Identity::of(tid.as_raw_nonzero().get().unsigned_abs())?;
    Ok(Some(Witness { thread, _until: until }))
}
