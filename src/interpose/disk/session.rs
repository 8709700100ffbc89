//! One disk: its file, the kernel's connection to it, and the loop device on it.

use std::{
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fuser::{BackgroundSession, Config, SessionACL};
use serde::{Deserialize, Serialize};

use super::{
    load::load,
    past::{Opened, Pasts},
    power::{CACHE, Powered},
    served::Served,
    spill::Spill,
    struck::Struck,
};
use crate::{
    block::{Kept, Point, Profile, Shelf},
    host::{
        errno::Errno,
        error::{HostError, HostResult},
        fuse,
        loop_device::{self, AttachOptions, Attached},
        memory,
    },
    interpose::{armed::Armed, ruled::Ruled, timer::Timer},
    protocol::{CutFacts, PendingFacts, RuleFacts},
};

/// Threads that serve requests.
const THREADS: usize = 2;
/// Type of the root, before the kernel asks.
const DIRECTORY: u32 = 0o40000;
/// What is written whole or not at all: no filesystem of ours has smaller blocks.
const SECTOR: u32 = 4096;
/// Bytes of content that a disk holds in memory; less where half of what the host has free is less.
const CONTENT: u64 = 4 << 30;

/// What a disk is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The image that it begins with.
    pub image: PathBuf,
    /// Directory of the device nodes.
    pub nodes: PathBuf,
    /// Name of its file, and in the loop device, which marks both as ours.
    pub mark: String,
}

/// A served disk.
pub struct Session {
    disk: Arc<Powered>,
    struck: Arc<Struck>,
    served: BackgroundSession,
    device: String,
    pasts: Arc<Pasts>,
    /// For what it remembers; none where there can be no file.
    spill: Option<Arc<Spill>>,
}

/// Serves a disk, and attaches a loop device to it: the device keeps the file, and with it the
/// mount, which nobody else ever sees.
pub(super) fn serve(
    (disk, struck): (&Arc<Powered>, &Arc<Struck>),
    nodes: &Path,
    mark: &str,
) -> HostResult<(BackgroundSession, Attached)> {
    let node = nodes.join("fuse");
    let device = fuse::device(&node)?;
    let mount = fuse::mount(&device, mark, DIRECTORY, &[])?;
    let mut config = Config::default();
    config.n_threads = Some(THREADS);
    let (disk, struck) = (Arc::clone(disk), Arc::clone(struck));
    let served = Served { disk, struck, name: mark.to_owned() };
    let session = fuser::Session::from_fd(served, device, SessionACL::All, config);
    let failed = |error| HostError::sys("serve", &node, Errno::of_io(&error));
    let served = session.and_then(fuser::Session::spawn).map_err(failed)?;
    let file = PathBuf::from(format!("/proc/self/fd/{}/{mark}", mount.as_raw_fd()));
    let options =
        AttachOptions { block_size: Some(SECTOR), direct_io: true, ..AttachOptions::default() };
    let attached = loop_device::attach_marked(nodes, &file, options, mark)?;
    if !attached.direct_io {
        // a cache in between would swallow reads, and join and split writes
        loop_device::detach(nodes, attached.backing)?;
        return Err(HostError::sys("direct I/O", Path::new("loop"), Errno(libc::EOPNOTSUPP)));
    }
    Ok((served, attached))
}

/// Rules for a disk: none yet.
pub(super) fn unstruck(disk: &Powered) -> HostResult<Arc<Struck>> {
    let failed = |error| HostError::sys("clone", Path::new("thread"), Errno::of_io(&error));
    Struck::new(disk.end()).map(Arc::new).map_err(failed)
}

impl Session {
    /// Reads the image, serves it, and attaches a loop device to it.
    ///
    /// # Errors
    /// The failed call.
    pub fn start(setup: &Setup) -> HostResult<Self> {
        let free = memory::available().map_or(CONTENT, |free| free / 2);
        let disk = Powered::of(load(&setup.image, CACHE)?).at_most(CONTENT.min(free));
        let disk = Arc::new(disk);
        let struck = unstruck(&disk)?;
        let (served, attached) = serve((&disk, &struck), &setup.nodes, &setup.mark)?;
        let beside = setup.image.parent().unwrap_or(Path::new("/"));
        let spill = Spill::new(beside).ok().map(Arc::new);
        let pasts = Arc::new(Pasts::new(&setup.nodes, &setup.mark, spill.clone()));
        let device = format!("/dev/loop{}", attached.number);
        Ok(Self { disk, struck, served, device, pasts, spill })
    }

    /// The loop device's node on the host.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// What other threads may do with its power and its rules.
    #[must_use]
    pub fn power(&self) -> Power {
        let (disk, struck) = (Arc::clone(&self.disk), Arc::clone(&self.struck));
        Power { disk, struck, pasts: Arc::clone(&self.pasts), spill: self.spill.clone() }
    }

    /// Serves until the loop device lets go of the file.
    ///
    /// # Errors
    /// When the connection ended for another reason.
    pub fn wait(self) -> std::io::Result<()> {
        self.served.join()
    }
}

/// The power of a disk, its rules, and its past.
#[derive(Clone)]
pub struct Power {
    disk: Arc<Powered>,
    struck: Arc<Struck>,
    pasts: Arc<Pasts>,
    spill: Option<Arc<Spill>>,
}

impl Power {
    /// Lets the next canary that is written cut it; for this long requests wait afterwards, and fail
    /// then. False where it is cut already.
    #[must_use]
    pub fn prime(&self, profile: Profile, seed: u64, hold: Duration) -> bool {
        self.disk.prime((profile, seed), hold)
    }

    /// Lets what waits since a cut fail. False where nothing was held until now.
    #[must_use]
    pub fn end_hold(&self) -> bool {
        self.disk.end_hold()
    }

    /// What the cut has left; none while there is power.
    #[must_use]
    pub fn facts(&self) -> Option<CutFacts> {
        self.disk.facts()
    }

    /// Which request it has been at work at for longest, and how many it has ever taken; none while one
    /// waits on purpose.
    #[must_use]
    pub fn at_work(&self) -> Option<(Option<u64>, u64)> {
        let told = self.disk.pulse.told();
        let waits = self.struck.timer.is_waited_for() || self.disk.pulse.is_held();
        Some(told).filter(|_| !waits)
    }

    /// What no flush has made durable.
    #[must_use]
    pub fn pending(&self) -> PendingFacts {
        self.disk.pending()
    }

    /// Gives it back, with what the cut has left. False where it was not cut.
    #[must_use]
    pub fn restore(&self) -> bool {
        self.disk.restore()
    }

    /// Gives it back as if it had never been cut. False where it was not.
    #[must_use]
    pub fn undo(&self) -> bool {
        self.disk.undo()
    }

    /// Remembers from now on what happens, up to so many bytes in memory, and more in a file. False while
    /// it is cut.
    #[must_use]
    pub fn record(&self, most: u64) -> bool {
        let shelf = self.spill.clone().map(|spill| spill as Arc<dyn Shelf>);
        self.disk.record(most, shelf)
    }

    /// Why nothing that it does means anything any more; none as long as it does.
    #[must_use]
    pub fn too_full(&self) -> Option<String> {
        self.disk.too_full()
    }

    /// Why its past cannot be shown, if it was put away and cannot be got back.
    #[must_use]
    pub fn lost_past(&self) -> Option<String> {
        self.pasts.lost()
    }

    /// Somebody was told something: its place in the sequence of what happened. None while it is
    /// cut.
    #[must_use]
    pub fn mark(&self) -> Option<u64> {
        self.disk.mark().ok()
    }

    /// Begins to open its past, to be shown on so many devices at most; [`opened`](Self::opened) says how
    /// far that is. False while it is still being opened for somebody else.
    #[must_use]
    pub fn open(&self, stages: u32) -> bool {
        Pasts::open(&self.pasts, &self.disk, stages)
    }

    /// Forgets its past, as far as it is open: nobody looks at it any more.
    pub fn close(&self) {
        self.pasts.close();
    }

    /// Its past, once it is open.
    #[must_use]
    pub fn opened(&self) -> Opened {
        self.pasts.opened()
    }

    /// Shows on a device what a cut would have left; the digest of that. None where it could not.
    #[must_use]
    pub fn show(&self, stage: u32, cut: u64, kept: &[Kept]) -> Option<[u8; 32]> {
        self.pasts.show(stage, cut, kept)
    }

    /// Puts on the disk itself what a cut would have left, and keeps what it had. False where there is no such
    /// state.
    #[must_use]
    pub fn stand(&self, cut: u64, kept: &[Kept]) -> bool {
        let image = self.pasts.image(cut, kept);
        image.map(|image| self.disk.stand(image)).is_some()
    }

    /// Gives back what it had, and forgets the past. False where it has it.
    #[must_use]
    pub fn unstand(&self) -> bool {
        self.pasts.close();
        self.disk.unstand()
    }

    /// Remembers from now on what happens to what a device shows. False where it shows nothing.
    #[must_use]
    pub fn record_shown(&self, stage: u32) -> bool {
        self.pasts.record_shown(stage)
    }

    /// Every moment since then at which it can be cut; none where nothing was remembered.
    #[must_use]
    pub fn past_of_shown(&self, stage: u32) -> Option<Vec<Point>> {
        self.pasts.past_of_shown(stage)
    }

    /// Shows there what a cut at one of them would have left; the digest of that. None where it could not.
    #[must_use]
    pub fn show_again(&self, stage: u32, cut: u64, kept: &[Kept]) -> Option<[u8; 32]> {
        self.pasts.show_again(stage, cut, kept)
    }

    /// Writes what a device shows to a file, packed; the bytes of that.
    ///
    /// # Errors
    /// In words.
    pub fn keep_shown(&self, stage: u32, to: &Path) -> Result<u64, String> {
        self.pasts.keep_shown(stage, to)
    }

    /// Whether what a cut would have left is beyond what a disk may do. None where there is no such state.
    #[must_use]
    pub fn exceeds(&self, cut: u64, kept: &[Kept]) -> Option<bool> {
        self.pasts.exceeds(cut, kept)
    }

    /// Writes what a cut would have left to a file, packed; the bytes of that.
    ///
    /// # Errors
    /// In words.
    pub fn keep(&self, cut: u64, kept: &[Kept], to: &Path) -> Result<u64, String> {
        self.pasts.keep(cut, kept, to)
    }

    /// Writes what happened until a cut to a file, as a log of `dm-log-writes`; the bytes of that.
    ///
    /// # Errors
    /// In words.
    pub fn export(&self, cut: u64, told: &Path, to: &Path) -> Result<u64, String> {
        self.pasts.export(cut, told, to)
    }
}

impl Ruled for Power {
    fn armed(&self) -> &Armed {
        &self.struck.armed
    }

    fn timer(&self) -> &Timer {
        &self.struck.timer
    }

    fn facts(&self, set: &str) -> Option<RuleFacts> {
        // no request passes a disk by, whoever has what open
        self.struck.armed.facts(set, 0, |_| 0)
    }
}
