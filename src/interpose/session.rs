//! One interposer: its filesystem, and the kernel's connection to it.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use fuser::{BackgroundSession, Config, SessionACL};
use serde::{Deserialize, Serialize};

use super::{
    armed::Armed,
    backing::Beneath,
    fs::{Fs, Served},
    left::Left,
    ruled::Ruled,
    timer::Timer,
    trace::{TraceTo, Tracer},
};
use crate::{
    host::{
        errno::Errno,
        error::{HostError, HostResult},
        fuse,
    },
    protocol::{
        CutProfile, Durability, IoAction, IoRule, LISTED, PendingFacts, RuleFacts, TraceFacts,
    },
};

/// Threads that serve requests; none of them ever sleeps on purpose.
const THREADS: usize = 4;
/// The share of the descriptors we may have that is kept as a cache.
const KEPT: u64 = 4;
/// Type of the root, before the kernel asks.
const DIRECTORY: u32 = 0o40000;

/// What an interposer is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// What lies beneath.
    pub beneath: Beneath,
    /// Node of the FUSE device.
    pub device: PathBuf,
    /// Source name of the mount, which marks it as ours.
    pub source: String,
    /// Names that begin with this are for trials.
    pub mark: String,
    /// Options of the mount: `nosuid`.
    pub options: Vec<String>,
    /// Rules that may come.
    pub expected: Vec<IoRule>,
    /// What its syncs make durable, where a rule wants that remembered.
    #[serde(default)]
    pub durability: Durability,
    /// Where every operation is traced; none where that is not asked for.
    #[serde(default)]
    pub trace: Option<TraceTo>,
}

/// A served filesystem, as a mount in nobody's tree.
pub struct Session {
    fs: Arc<Fs>,
    mount: OwnedFd,
    served: BackgroundSession,
}

impl Session {
    /// Opens what lies beneath, and serves it.
    ///
    /// # Errors
    /// The failed call; `EINVAL` for a rule that cannot be read.
    pub fn start(setup: &Setup) -> HostResult<Self> {
        let failed = |op: &'static str, error: io::Error| {
            HostError::sys(op, &setup.device, Errno::of_io(&error))
        };
        let root = setup.beneath.open()?;
        let invalid = |_| HostError::sys("rules", Path::new(&setup.mark), Errno(libc::EINVAL));
        let armed = Armed::new(setup.expected.clone()).map_err(invalid)?;
        let remembers = setup.expected.iter().any(|rule| rule.action == IoAction::Remember);
        let remembers = remembers.then_some(setup.durability);
        let (ours, mark) = (setup.beneath.is_ours(), setup.mark.clone());
        let tracer = setup.trace.as_ref().map(|to| {
            let failed = |error| HostError::sys("trace", &to.file, Errno::of_io(&error));
            Tracer::start(to).map_err(failed)
        });
        let fs = Fs::new(root, (ours, mark), (armed, remembers), tracer.transpose()?, kept());
        let fs = fs.map_err(|errno| HostError::sys("serve", &setup.device, errno))?;
        let device = fuse::device(&setup.device)?;
        let mount = fuse::mount(&device, &setup.source, DIRECTORY, &setup.options)?;
        let mut config = Config::default();
        config.n_threads = Some(THREADS);
        // a descriptor for each thread would be opened by the name `/dev/fuse`, which the helper has not
        let served = Served(Arc::clone(&fs));
        let session = fuser::Session::from_fd(served, device, SessionACL::All, config);
        let served = session.and_then(fuser::Session::spawn).map_err(|e| failed("serve", e))?;
        Ok(Self { fs, mount, served })
    }

    /// Attaches it to a directory of the calling thread's namespace.
    ///
    /// # Errors
    /// The failed call.
    pub fn attach(&self, at: &Path) -> HostResult<()> {
        fuse::attach(&self.mount, at)
    }

    /// What other threads may do with its rules.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules(Arc::clone(&self.fs))
    }

    /// Serves until the connection ends.
    ///
    /// # Errors
    /// When it ended for another reason than that nobody has it mounted any more.
    pub fn wait(self) -> io::Result<()> {
        drop(self.mount);
        self.served.join()
    }
}

/// The rules of a session.
#[derive(Clone)]
pub struct Rules(Arc<Fs>);

impl Rules {
    /// Takes no change after so many more, or takes them again; none where none is remembered.
    #[must_use]
    pub fn fence(&self, after: Option<u64>) -> Option<PendingFacts> {
        self.0.fence(after)
    }

    /// What is not durable; none where nothing is remembered.
    #[must_use]
    pub fn pending(&self) -> Option<PendingFacts> {
        self.0.pending()
    }

    /// Undoes what a cut takes, and takes changes again.
    ///
    /// # Errors
    /// In words, when nothing is remembered, or something cannot be undone.
    pub fn settle(&self, profile: CutProfile, seed: u64) -> Result<PendingFacts, String> {
        let settled = self.0.settle(profile, seed);
        let settled = settled.ok_or_else(|| "no changes are remembered here".to_owned())?;
        settled.map_err(|errno| format!("what was not durable cannot be undone: {errno}"))
    }

    /// Brings the trace to its file, and says how much is in it; none where there is none, or the disk is
    /// too slow for that.
    #[must_use]
    pub fn traced(&self) -> Option<TraceFacts> {
        self.0.tracer.as_ref()?.facts()
    }

    /// What is to be known of it when it has ended.
    #[must_use]
    pub fn left(&self) -> Left {
        let mut left = Left { traced: self.traced(), ..Left::default() };
        for set in self.0.armed.names() {
            let Some(facts) = self.facts(&set) else { continue };
            // else the facts say it all
            if facts.hit > LISTED
                && let Some(struck) = self.0.armed.all_struck(&set)
            {
                left.struck.insert(set.clone(), struck);
            }
            left.facts.insert(set, facts);
        }
        left
    }
}

impl Ruled for Rules {
    fn armed(&self) -> &Armed {
        &self.0.armed
    }

    fn timer(&self) -> &Timer {
        &self.0.timer
    }

    fn rearmed(&self) {
        self.0.rearmed();
    }

    fn facts(&self, set: &str) -> Option<RuleFacts> {
        self.0.facts(set)
    }
}

/// How many descriptors are kept as a cache.
fn kept() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = limit.current.unwrap_or(1 << 20);
    usize::try_from((limit / KEPT).min(16_384)).unwrap_or(256)
}
