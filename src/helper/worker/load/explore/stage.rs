//! The devices that show past states, each one at a time.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::super::super::interpose::ANSWER;
use crate::{
    block::{Kept, Point},
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
        match self.ask(ask)? {
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
        match self.ask(&Ask::Exceeds { cut, kept: kept.to_vec() })? {
            Answer::Exceeds(exceeds) => Ok(exceeds),
            other => Err(format!("the disk answered {other:?}")),
        }
    }

    /// Puts a state on the device; the digest of its content.
    pub(super) fn show(&self, cut: u64, kept: &[Kept]) -> Result<[u8; 32], String> {
        self.put(&Ask::Show { stage: self.nth, cut, kept: kept.to_vec() })
    }

    /// Remembers from now on what happens to what it shows.
    pub(super) fn record(&self) -> Result<(), String> {
        match self.ask(&Ask::RecordShown { stage: self.nth })? {
            Answer::Done => Ok(()),
            other => Err(format!("the disk answered {other:?}")),
        }
    }

    /// The moments since then at which that can be cut, once nobody has it mounted any more.
    pub(super) fn past_of_shown(&self) -> Result<Vec<Point>, String> {
        let _claimed = claimed(&self.device.node)?;
        match self.ask(&Ask::PastOfShown { stage: self.nth })? {
            Answer::Points(points) => Ok(points),
            other => Err(format!("the disk answered {other:?}")),
        }
    }

    /// Puts on the device what a cut at such a moment would have left; the digest of its content.
    pub(super) fn show_again(&self, cut: u64, kept: &[Kept]) -> Result<[u8; 32], String> {
        self.put(&Ask::ShowAgain { stage: self.nth, cut, kept: kept.to_vec() })
    }

    /// Has what it shows written to a file.
    pub(super) fn keep_shown(&self, to: PathBuf) -> Result<u64, String> {
        self.write(&Ask::KeepShown { stage: self.nth, to })
    }

    fn ask(&self, ask: &Ask) -> Result<Answer, String> {
        let answer = control::ask(&self.socket, ask, SHOWING);
        answer.map_err(|error| format!("the disk does not answer: {error}"))
    }

    fn put(&self, show: &Ask) -> Result<[u8; 32], String> {
        // nothing is cached of the state before, and nobody mounts it meanwhile
        let claimed = claimed(&self.device.node)?;
        let answer = self.ask(show);
        // whoever opened it meanwhile, such as one who looks for filesystems, had the state before cached
        let dropped = loop_device::drop_cached(&claimed, &self.device.node);
        drop(claimed);
        dropped.map_err(|error| error.to_string())?;
        match answer? {
            Answer::Shown(digest) => Ok(digest),
            other => Err(format!("the disk shows nothing: {other:?}")),
        }
    }
}

/// Takes a device for us alone, once whoever has mounted it has let go of it.
pub(super) fn claimed(node: &Path) -> Result<OwnedFd, String> {
    let until = Instant::now() + LETTING_GO;
    loop {
        match loop_device::claim(node).map_err(|error| error.to_string())? {
            Some(claimed) => return Ok(claimed),
            None if Instant::now() < until => thread::sleep(LOOK),
            None => return Err("the state before is still mounted".into()),
        }
    }
}

/// Forgets the past that was opened, which takes room.
pub(super) fn close(socket: &Path) {
    // where the disk is gone, so is its past
    let _ = control::ask(socket, &Ask::ClosePast, ANSWER);
}
