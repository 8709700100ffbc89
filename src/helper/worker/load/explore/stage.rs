//! The devices that show past states, each one at a time.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::super::super::interpose::ANSWER;
use crate::{
    block::Kept,
    host::loop_device,
    interpose::control::{self, Answer, Ask},
    protocol::{PastFacts, StageFacts},
};

/// Reading the past of a long record takes a while.
const OPENING: Duration = Duration::from_secs(30);
/// A state that was let go of is gone within this time.
pub(super) const LETTING_GO: Duration = Duration::from_secs(3);
/// All of a disk's content is read for its digest.
const SHOWING: Duration = Duration::from_secs(8);
/// And whoever shows one has shown it, or failed, within this.
pub(super) const SHOWN: Duration = Duration::from_secs(30);
pub(super) const LOOK: Duration = Duration::from_millis(10);
/// Said of one that ends before its budget is used up.
pub(super) const CANCELLED: &str = "nobody waits for it any more";

/// Where states are shown.
pub(super) struct Stage {
    socket: PathBuf,
    /// Its place among the devices.
    nth: u32,
    pub(super) device: StageFacts,
    pub(super) past: Arc<PastFacts>,
}

impl Stage {
    /// Opens the past of a disk on so many devices at most, unless it is `cancelled` meanwhile.
    pub(super) fn open(
        socket: &Path,
        stages: u32,
        cancelled: impl Fn() -> bool,
    ) -> Result<Vec<Self>, String> {
        let ask = |ask: &Ask| {
            let answer = control::ask(socket, ask, ANSWER);
            answer.map_err(|error| format!("the disk does not answer: {error}"))
        };
        let until = Instant::now() + OPENING;
        if let Answer::Refused(why) = ask(&Ask::OpenPast { stages })? {
            return Err(why);
        }
        loop {
            match ask(&Ask::Past)? {
                Answer::Past(facts) => return Ok(Self::all(socket, *facts)),
                Answer::Refused(why) => return Err(why),
                _ if Instant::now() >= until => return Err("its past does not open".into()),
                _ if cancelled() => return Err(CANCELLED.into()),
                _ => thread::sleep(LOOK),
            }
        }
    }

    fn all(socket: &Path, past: PastFacts) -> Vec<Self> {
        let past = Arc::new(past);
        let stage = |(nth, device): (u32, &StageFacts)| {
            let (device, past) = (device.clone(), Arc::clone(&past));
            Self { socket: socket.to_owned(), nth, device, past }
        };
        (0..).zip(&past.stages).map(stage).collect()
    }

    /// Has a file written of the past.
    pub(super) fn write(&self, ask: &Ask) -> Result<u64, String> {
        let answer = control::ask(&self.socket, ask, SHOWING);
        match answer.map_err(|error| format!("the disk does not answer: {error}"))? {
            Answer::Kept(bytes) => Ok(bytes),
            Answer::Refused(why) => Err(why),
            other => Err(format!("the disk answered {other:?}")),
        }
    }

    /// Whether a state is beyond what a disk may leave, whatever it is called.
    pub(super) fn exceeds(&self, cut: u64, kept: &[Kept]) -> Result<bool, String> {
        if !kept.iter().any(Kept::is_beyond) {
            return Ok(false);
        }
        let answer =
            control::ask(&self.socket, &Ask::Exceeds { cut, kept: kept.to_vec() }, SHOWING);
        match answer.map_err(|error| format!("the disk does not answer: {error}"))? {
            Answer::Exceeds(exceeds) => Ok(exceeds),
            other => Err(format!("the disk answered {other:?}")),
        }
    }

    /// Puts a state on the device; the digest of its content.
    pub(super) fn show(&self, cut: u64, kept: &[Kept]) -> Result<[u8; 32], String> {
        let until = Instant::now() + LETTING_GO;
        // nothing is cached of the state before, and nobody mounts it meanwhile
        let claimed = loop {
            match loop_device::claim(&self.device.node).map_err(|error| error.to_string())? {
                Some(claimed) => break claimed,
                None if Instant::now() < until => thread::sleep(LOOK),
                None => return Err("the state before is still mounted".into()),
            }
        };
        let show = Ask::Show { stage: self.nth, cut, kept: kept.to_vec() };
        let answer = control::ask(&self.socket, &show, SHOWING);
        // whoever opened it meanwhile, such as one who looks for filesystems, had the state before cached
        let dropped = loop_device::drop_cached(&claimed, &self.device.node);
        drop(claimed);
        dropped.map_err(|error| error.to_string())?;
        match answer.map_err(|error| format!("the disk does not answer: {error}"))? {
            Answer::Shown(digest) => Ok(digest),
            other => Err(format!("the disk shows nothing: {other:?}")),
        }
    }
}

/// Forgets the past that was opened, which takes room.
pub(super) fn close(socket: &Path) {
    // where the disk is gone, so is its past
    let _ = control::ask(socket, &Ask::ClosePast, ANSWER);
}
