//! One disk: its file, the kernel's connection to it, and the loop device on it.

use std::{
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use fuser::{BackgroundSession, Config, SessionACL};
use serde::{Deserialize, Serialize};

use super::{load::load, power::Powered, served::Served};
use crate::{
    block::Profile,
    host::{
        errno::Errno,
        error::{HostError, HostResult},
        fuse,
        loop_device::{self, AttachOptions},
    },
    protocol::CutFacts,
};

/// Threads that serve requests.
const THREADS: usize = 2;
/// Type of the root, before the kernel asks.
const DIRECTORY: u32 = 0o40000;
/// What is written whole or not at all: no filesystem of ours has smaller blocks.
const SECTOR: u32 = 4096;

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
    served: BackgroundSession,
    device: String,
}

impl Session {
    /// Reads the image, serves it, and attaches a loop device to it.
    ///
    /// # Errors
    /// The failed call.
    pub fn start(setup: &Setup) -> HostResult<Self> {
        let disk = Arc::new(Powered::new(load(&setup.image)?));
        let node = setup.nodes.join("fuse");
        let device = fuse::device(&node)?;
        let mount = fuse::mount(&device, &setup.mark, DIRECTORY, &[])?;
        let mut config = Config::default();
        config.n_threads = Some(THREADS);
        let served = Served { disk: Arc::clone(&disk), name: setup.mark.clone() };
        let session = fuser::Session::from_fd(served, device, SessionACL::All, config);
        let failed = |error| HostError::sys("serve", &node, Errno::of_io(&error));
        let served = session.and_then(fuser::Session::spawn).map_err(failed)?;
        // the device keeps the file, and with it the mount, which nobody else ever sees
        let file = PathBuf::from(format!("/proc/self/fd/{}/{}", mount.as_raw_fd(), setup.mark));
        let options =
            AttachOptions { block_size: Some(SECTOR), direct_io: true, ..AttachOptions::default() };
        let attached = loop_device::attach_marked(&setup.nodes, &file, options, &setup.mark)?;
        if !attached.direct_io {
            // a cache in between would swallow reads, and join and split writes
            loop_device::detach(&setup.nodes, attached.backing)?;
            return Err(HostError::sys("direct I/O", Path::new("loop"), Errno(libc::EOPNOTSUPP)));
        }
        Ok(Self { disk, served, device: format!("/dev/loop{}", attached.number) })
    }

    /// The loop device's node on the host.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// What other threads may do with its power.
    #[must_use]
    pub fn power(&self) -> Power {
        Power(Arc::clone(&self.disk))
    }

    /// Serves until the loop device lets go of the file.
    ///
    /// # Errors
    /// When the connection ended for another reason.
    pub fn wait(self) -> std::io::Result<()> {
        self.served.join()
    }
}

/// The power of a disk.
#[derive(Clone)]
pub struct Power(Arc<Powered>);

impl Power {
    /// Lets the next canary that is written cut it. False where it is cut already.
    #[must_use]
    pub fn prime(&self, profile: Profile, seed: u64) -> bool {
        self.0.prime(profile, seed)
    }

    /// What the cut has left; none while there is power.
    #[must_use]
    pub fn facts(&self) -> Option<CutFacts> {
        self.0.facts()
    }

    /// Gives it back, with what the cut has left. False where it was not cut.
    #[must_use]
    pub fn restore(&self) -> bool {
        self.0.restore()
    }

    /// Gives it back as if it had never been cut. False where it was not.
    #[must_use]
    pub fn undo(&self) -> bool {
        self.0.undo()
    }
}
