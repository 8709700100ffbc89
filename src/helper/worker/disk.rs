//! Disks of ours: made, cut off from power, given it back, and taken away again.
//!
//! The server is found by its name, the loop device by the same name, which it carries: so an undo
//! needs nothing of what is known here.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    super::HelperError,
    context::{Context, Done},
    image, interpose,
    interposers::End,
    place::{init, inside},
};
use crate::{
    block::Profile,
    host::{
        canary,
        error::{HostError, HostResult},
        fuse::{self, Grip},
        loop_device::{self, Attached},
    },
    interpose::{
        control::{Answer, Ask},
        disk::{PAST_BYTES, Setup, past_marks},
        serve::Serve,
    },
    protocol::{
        CUT_CANARY, CutFacts, MountedDisk, Outcome, Place, PowerOp, UNSYNCED_CANARY, canaries,
    },
};

/// Bytes of a name that a loop device keeps, also of the disks that show the past of this one.
const NAME: usize = 63 - PAST_BYTES;
/// What was written before a canary was synced is synced along with it: the subject gets so long to
/// write on before the power goes.
const WRITING: Duration = Duration::from_millis(300);
/// Of several disks, the first stops answering so long before the others: what a service does on them
/// without waiting for it is on them then.
const AHEAD: Duration = Duration::from_millis(100);
/// Milliseconds for which a disk without power keeps requests waiting for the others' cut, at most.
const HOLD_MS: u64 = 5_000;
/// The engine has unmounted a disk within this time of the last container's end.
const UNMOUNTING: Duration = Duration::from_secs(10);
/// At the end, the containers are gone already.
const ENDING: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);
/// What the synced canary holds at first.
const SYNCED: &str = "keelhaul canary: synced";

/// Starts the server of a disk, and waits until there is a device.
pub(super) fn make(name: &str, image: &str, cx: &Context) -> Done {
    if name.len() > NAME {
        return Err(HelperError::Refused(format!(
            "`{name}` is too long a name for a disk\n\nhint: give the volume a shorter one"
        )));
    }
    let setup =
        Setup { image: image::path(cx, image)?, nodes: image::nodes(), mark: name.to_owned() };
    let socket = interpose::socket(&cx.dir, name);
    let dir = socket.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(dir).map_err(|error| HostError::sys("mkdir", dir, error))?;
    let said = interpose::start(name, Serve::Disk { setup }, End::IsLoss, cx)?;
    let device = said.trim().to_owned();
    Ok(Outcome::Loop { device })
}

fn devices(name: &str) -> HostResult<Vec<Attached>> {
    loop_device::find_marked(&image::nodes(), name)
}

/// The node of the device.
pub(super) fn node(name: &str) -> Result<PathBuf, HelperError> {
    Ok(device(name)?.node)
}

/// The device.
pub(super) fn device(name: &str) -> Result<Attached, HelperError> {
    let found = devices(name)?.into_iter().next();
    found.ok_or_else(|| HelperError::Refused(format!("`{name}` is attached to no loop device")))
}

/// The kernel's connection to the server that has said that this is its device: one of the same name
/// may still be about to go.
pub(super) fn connection(name: &str, said: &str) -> Option<Grip> {
    let is_it = |device: &Attached| format!("/dev/loop{}", device.number) == said.trim();
    let device = devices(name).ok()?.into_iter().find(is_it)?;
    Grip::of(rustix::fs::minor(device.backing.device)).ok()
}

/// Detaches the device, and those of its past; where somebody has one mounted all the same, whoever
/// waits for the server gets an error. False where there is none.
pub(super) fn detach(name: &str) -> Result<bool, HelperError> {
    let marks: Vec<String> = past_marks(name).chain([name.to_owned()]).collect();
    // each may have to be waited for, and an error of one keeps nobody from the others
    thread::scope(|scope| {
        let one = |mark| scope.spawn(move || detach_one(mark));
        let all: Vec<_> = marks.iter().map(|mark| one(mark.as_str())).collect();
        let ended = |it: thread::ScopedJoinHandle<'_, _>| {
            it.join().unwrap_or_else(|_| Err(HelperError::Refused("a thread has died".into())))
        };
        let done: Vec<Result<bool, HelperError>> = all.into_iter().map(ended).collect();
        done.into_iter().try_fold(false, |any, one| Ok(one? | any))
    })
}

fn detach_one(name: &str) -> Result<bool, HelperError> {
    let found = devices(name)?;
    for device in &found {
        loop_device::detach(&image::nodes(), device.backing)?;
    }
    if !found.is_empty() && !detached_within(name, ENDING)? {
        for device in &found {
            fuse::abort(rustix::fs::minor(device.backing.device))?;
        }
    }
    Ok(!found.is_empty())
}

fn detached_within(name: &str, time: Duration) -> Result<bool, HelperError> {
    let deadline = Instant::now() + time;
    while !devices(name)?.is_empty() {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(LOOK);
    }
    Ok(true)
}

/// Refuses while there is a device, or one of its past, though their server is gone.
pub(super) fn is_gone(name: &str) -> Result<(), HelperError> {
    for mark in past_marks(name).chain([name.to_owned()]) {
        if let Some(device) = devices(&mark)?.first() {
            let node = format!("/dev/loop{}", device.number);
            return Err(HelperError::Refused(format!("`{name}` is still in use through `{node}`")));
        }
    }
    Ok(())
}

/// Does something to the power of a disk.
pub(super) fn power(op: &PowerOp, cx: &Context) -> Done {
    match op {
        PowerOp::Cut { disks, profile, seed, mark } => {
            cut(disks, (*profile, *seed), mark, cx).map(Outcome::Cut)
        }
        PowerOp::Restore { place, disk } => restore(place, disk, cx),
        PowerOp::Stand { disk, cut, kept } => {
            let stand = Ask::Stand { cut: *cut, kept: kept.clone() };
            let (_, seen) = swapped(disk, &stand, "the service alone may have it", cx)?;
            seen.map(|()| Outcome::Done)
        }
        PowerOp::Unstand { disk } => {
            let hint = "the service alone may have it";
            let (answer, seen) = swapped(disk, &Ask::Unstand, hint, cx)?;
            seen.map(|()| if answer == Answer::Done { Outcome::Done } else { Outcome::Already })
        }
        PowerOp::Undo { disk } => interpose::undo(disk, &Ask::UndoCut, cx),
    }
}

fn cut(
    disks: &[MountedDisk],
    how: (Profile, u64),
    mark: &str,
    cx: &Context,
) -> Result<Vec<CutFacts>, HelperError> {
    let (synced, unsynced) = canaries(mark);
    let lay = |MountedDisk { place, .. }: &MountedDisk| {
        let lay = |dir: &Path| canary::synced(dir, &synced, SYNCED);
        Ok(inside(init(place)?, &place.path, |here| lay(here.path))?)
    };
    let mut laid = disks.iter().map(lay).collect::<Result<Vec<_>, HelperError>>()?;
    thread::sleep(WRITING);
    prime(disks, how, cx)?;
    for MountedDisk { place, .. } in disks {
        let lay = |dir: &Path| canary::unsynced(dir, &unsynced, UNSYNCED_CANARY);
        inside(init(place)?, &place.path, |here| lay(here.path))?;
    }
    disks.iter().take(1).try_for_each(|first| cx.fence(&first.place.container))?;
    for (nth, canary) in laid.iter_mut().enumerate() {
        if nth == 1 {
            thread::sleep(AHEAD);
        }
        // this is the cut; a filesystem that finds out at once says of this write too that it failed
        if let Err(error) = canary.overwrite(CUT_CANARY) {
            was_cut(&disks[nth].disk, cx).map_err(|_| error)?;
        }
    }
    let facts = disks.iter().map(|disk| was_cut(&disk.disk, cx)).collect::<Result<_, _>>()?;
    if disks.len() > 1 {
        end_hold(disks, cx)?;
    }
    Ok(facts)
}

/// Lets the next canaries cut the power. Of several disks, none says anything until all are cut.
fn prime(
    disks: &[MountedDisk],
    (profile, seed): (Profile, u64),
    cx: &Context,
) -> Result<(), HelperError> {
    let hold_ms = if disks.len() > 1 { HOLD_MS } else { 0 };
    for (MountedDisk { disk, .. }, nth) in disks.iter().zip(0..) {
        match interpose::ask(disk, &Ask::Cut { profile, seed: seed ^ nth, hold_ms }, cx)? {
            Answer::Done => {}
            Answer::Refused(why) => return Err(HelperError::Refused(why)),
            other => return Err(HelperError::Refused(format!("`{disk}` answered {other:?}"))),
        }
    }
    Ok(())
}

fn was_cut(disk: &str, cx: &Context) -> Result<CutFacts, HelperError> {
    match interpose::ask(disk, &Ask::WasCut, cx)? {
        Answer::Cut(facts) => Ok(facts),
        other => Err(HelperError::Refused(format!(
            "the canary did not come to `{disk}`, whose power is not cut: {other:?}"
        ))),
    }
}

/// All are cut: what waits for them fails. One that has let something fail before was not cut with the
/// others at one instant.
fn end_hold(disks: &[MountedDisk], cx: &Context) -> Result<(), HelperError> {
    for MountedDisk { disk, .. } in disks {
        let answer = interpose::ask(disk, &Ask::EndHold, cx)?;
        if answer != Answer::Done {
            return Err(HelperError::Refused(format!(
                "the power of `{disk}` was not cut at one instant with the others: it answered \
                 before they were"
            )));
        }
    }
    Ok(())
}

fn restore(place: &Place, disk: &str, cx: &Context) -> Done {
    if interpose::ask(disk, &Ask::WasCut, cx)? == Answer::Already {
        return Ok(Outcome::Already);
    }
    let hint = "its power can be cut under one container only";
    let (answer, seen) = swapped(disk, &Ask::Restore, hint, cx)?;
    // it has power, whoever sees what it had before
    cx.unfence(&place.container)?;
    seen?;
    Ok(if answer == Answer::Done { Outcome::Done } else { Outcome::Already })
}

/// Has a disk get another content once nobody has it mounted: nobody mounts it before it is as it is to be. Beside
/// the disk's answer, whether that is what whoever mounts it then will see.
fn swapped(
    disk: &str,
    ask: &Ask,
    hint: &str,
    cx: &Context,
) -> Result<(Answer, Result<(), HelperError>), HelperError> {
    let device = device(disk)?;
    let deadline = cx.deadline.min(Instant::now() + UNMOUNTING);
    let claimed = loop {
        if let Some(claimed) = loop_device::claim(&device.node)? {
            break claimed;
        }
        if Instant::now() >= deadline {
            return Err(HelperError::Refused(format!("`{disk}` is still mounted\n\nhint: {hint}")));
        }
        thread::sleep(LOOK);
    };
    let answer = interpose::ask(disk, ask, cx)?;
    // whoever opened it meanwhile, such as one who looks for filesystems, has what was there before cached
    let seen = loop_device::drop_cached(&claimed, &device.node).map_err(HelperError::from);
    match answer {
        Answer::Refused(why) => Err(HelperError::Refused(why)),
        answer => Ok((answer, seen)),
    }
}
