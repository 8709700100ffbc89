//! What faults ask of a target: one typed question each. Changes nothing.

use super::{Cx, FaultError};
use crate::{
    protocol::{
        AccessFacts, ClockFacts, FileFacts, FileId, FsFacts, Init, IoFacts, LabelFacts, LoopFacts,
        MemoryFacts, MountFacts, MountFlag, NetFacts, Pace, PaceTrial, PageFacts, Place,
        ProcessFacts, QuotaFacts, QuotaGroup, Read, Reading, TimesFacts, Trial, UserFacts,
    },
    runtime::{ContainerFacts, RuntimeError, State, labels},
};

/// The helper's answer was of another form than the question asks for.
pub(crate) fn unexpected(reading: &Reading) -> FaultError {
    FaultError::Unexpected(format!("{reading:?}"))
}

/// The same container's other path.
pub(super) fn sibling(place: &Place, path: &str) -> Place {
    Place { path: path.to_owned(), host_path: None, ..place.clone() }
}

/// The directory that holds a path; `/` holds itself.
pub(super) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

impl Cx<'_> {
    /// Name of another service's container.
    pub(super) fn container_name(&self, service: &str) -> String {
        labels::container_name(self.run, service)
    }

    async fn ask(&self, read: Read) -> Result<Reading, FaultError> {
        let read = if self.kept { Read::Kept(Box::new(read)) } else { read };
        Ok(self.helper.read(read).await?)
    }

    /// The container, which must be able to take a fault: running, and not frozen.
    pub(super) async fn running(&self) -> Result<ContainerFacts, FaultError> {
        let facts = self.facts().await?;
        match facts.state {
            State::Running => Ok(facts),
            State::Paused => Err(FaultError::Refused(format!(
                "`{}` is paused, and nothing reaches a frozen process\n\nhint: revert the pause first",
                self.site.service
            ))),
            state => Err(FaultError::Refused(format!(
                "`{}` is not running but {} (exit code {}), so the fault would do nothing\n\nhint: start it first",
                self.site.service,
                word(state),
                facts.exit_code
            ))),
        }
    }

    /// The container, in whatever state.
    pub(super) async fn facts(&self) -> Result<ContainerFacts, FaultError> {
        Ok(self.runtime.inspect(&self.site.place.container).await?)
    }

    /// Why the container's mount namespace is gone; none while it lives.
    pub(super) async fn ended(&self) -> Result<Option<String>, FaultError> {
        match self.facts().await {
            Ok(facts) if matches!(facts.state, State::Exited | State::Dead | State::Created) => {
                Ok(Some(format!("the container is {}, and its mounts with it", word(facts.state))))
            }
            Ok(_) => Ok(None),
            Err(FaultError::Runtime(RuntimeError::Gone { .. })) => {
                Ok(Some("the container was removed, and its mounts with it".into()))
            }
            Err(error) => Err(error),
        }
    }

    /// The container's init.
    pub(super) async fn init(&self) -> Result<Init, FaultError> {
        match self.ask(Read::Init(self.site.place.clone())).await? {
            Reading::Init(init) => Ok(init),
            other => Err(unexpected(&other)),
        }
    }

    /// The mounts at exactly this path, bottom first.
    pub(super) async fn mount_stack(&self, place: &Place) -> Result<Vec<MountFacts>, FaultError> {
        match self.ask(Read::MountStack(place.clone())).await? {
            Reading::Mounts(mounts) => Ok(mounts),
            other => Err(unexpected(&other)),
        }
    }

    /// The mount that this path is on.
    pub(super) async fn mount_of(&self, place: &Place) -> Result<MountFacts, FaultError> {
        match self.ask(Read::MountOf(place.clone())).await? {
            Reading::Mounts(mut mounts) if mounts.len() == 1 => Ok(mounts.remove(0)),
            other => Err(unexpected(&other)),
        }
    }

    /// Space and inodes under this path.
    pub(super) async fn filesystem(&self, place: &Place) -> Result<FsFacts, FaultError> {
        match self.ask(Read::Fs(place.clone())).await? {
            Reading::Fs(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// One file; none where there is none.
    pub(super) async fn file(&self, place: &Place) -> Result<Option<FileFacts>, FaultError> {
        let read = Read::File { place: place.clone(), digest: false, content: 0 };
        match self.ask(read).await? {
            Reading::File(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// When the files of a place were used; `most` of them are listed.
    pub(super) async fn times(&self, place: &Place, most: usize) -> Result<TimesFacts, FaultError> {
        match self.ask(Read::Times { place: place.clone(), most }).await? {
            Reading::Times(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// The wall clocks of the container's processes; it is waited so long for one that asks.
    pub(super) async fn clock(&self, within_ms: u64) -> Result<ClockFacts, FaultError> {
        match self.ask(Read::Clock { place: self.site.place.clone(), within_ms }).await? {
            Reading::Clock(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// The inode of a file in the upper layer of its overlay; none where it has not got there.
    pub(super) async fn upper(&self, place: &Place) -> Result<Option<u64>, FaultError> {
        match self.ask(Read::Upper(place.clone())).await? {
            Reading::Upper(inode) => Ok(inode),
            other => Err(unexpected(&other)),
        }
    }

    /// The `SELinux` label of a path, and what the policy makes of it.
    pub(super) async fn label(&self, place: &Place) -> Result<LabelFacts, FaultError> {
        match self.ask(Read::Label(place.clone())).await? {
            Reading::Label(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// Which file or directory a path is; none where there is none.
    pub(super) async fn file_id(&self, place: &Place) -> Result<Option<FileId>, FaultError> {
        let facts = self.file(place).await?;
        Ok(facts.map(|facts| FileId { dev: facts.link.dev, inode: facts.link.inode }))
    }

    /// A quota group of the btrfs under this path; none where quotas are switched off, or there is no
    /// such group.
    pub(super) async fn quota(
        &self,
        place: &Place,
        group: QuotaGroup,
    ) -> Result<Option<QuotaFacts>, FaultError> {
        match self.ask(Read::Quota { place: place.clone(), group }).await? {
            Reading::Quota(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// The user that the container's init acts as.
    pub(super) async fn user(&self) -> Result<UserFacts, FaultError> {
        match self.ask(Read::User(self.site.place.clone())).await? {
            Reading::User(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// Descriptors open for writing on the mount of this path.
    pub(super) async fn writers(&self, place: &Place) -> Result<u64, FaultError> {
        match self.ask(Read::Writers(place.clone())).await? {
            Reading::Writers(facts) => Ok(facts.count),
            other => Err(unexpected(&other)),
        }
    }

    /// Memory of the container's cgroup.
    pub(super) async fn memory(&self) -> Result<MemoryFacts, FaultError> {
        match self.ask(Read::Memory(self.site.place.clone())).await? {
            Reading::Memory(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// What runs in the container, its init included.
    pub(super) async fn processes(&self) -> Result<Vec<ProcessFacts>, FaultError> {
        match self.ask(Read::Processes(self.site.place.clone())).await? {
            Reading::Processes(found) => Ok(found),
            other => Err(unexpected(&other)),
        }
    }

    /// Microseconds until a change under this path came back; none when it did not in time.
    pub(super) async fn answers(
        &self,
        place: &Place,
        within_ms: u64,
    ) -> Result<Option<u64>, FaultError> {
        match self.ask(Read::Answers { place: place.clone(), within_ms }).await? {
            Reading::Answered(took) => Ok(took),
            other => Err(unexpected(&other)),
        }
    }

    /// The loop devices of this run.
    pub(super) async fn loops(&self) -> Result<Vec<LoopFacts>, FaultError> {
        match self.ask(Read::Loops).await? {
            Reading::Loops(loops) => Ok(loops),
            other => Err(unexpected(&other)),
        }
    }

    /// How much of a file, or of a directory, is in the page cache.
    pub(super) async fn page_cache(&self, place: &Place) -> Result<PageFacts, FaultError> {
        match self.ask(Read::PageCache(place.clone())).await? {
            Reading::PageCache(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// What limits the container's I/O under this path.
    pub(super) async fn io(&self, place: &Place) -> Result<IoFacts, FaultError> {
        match self.ask(Read::IoLimits(place.clone())).await? {
            Reading::Io(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// How fast the container's I/O is under this path.
    pub(super) async fn pace(&self, place: &Place, trial: PaceTrial) -> Result<Pace, FaultError> {
        match self.ask(Read::Pace { place: place.clone(), trial }).await? {
            Reading::Pace(pace) => Ok(pace),
            other => Err(unexpected(&other)),
        }
    }

    /// Interfaces and addresses of the container's network namespace.
    pub(super) async fn net(&self) -> Result<NetFacts, FaultError> {
        match self.ask(Read::Net(self.site.place.clone())).await? {
            Reading::Net(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }
    /// What the container's init may do at a path.
    pub(super) async fn access(&self, place: &Place) -> Result<AccessFacts, FaultError> {
        match self.ask(Read::TryAccess(place.clone())).await? {
            Reading::Access(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    /// Tries something that leaves nothing behind; the errno's name, or none when it worked.
    pub(super) async fn trial(&self, read: Read) -> Result<Option<String>, FaultError> {
        match self.ask(read).await? {
            Reading::Tried(Trial { errno }) => Ok(errno),
            other => Err(unexpected(&other)),
        }
    }
}

/// A state in the words of reports.
pub(super) fn word(state: State) -> String {
    format!("{state:?}").to_lowercase()
}

/// How a trial went, in the words of reports.
pub(super) fn tried(errno: Option<&String>) -> &str {
    errno.map_or("worked", String::as_str)
}

/// The flags of a mount that ops can set.
pub(super) const FLAGS: [(&str, MountFlag); 6] = [
    ("ro", MountFlag::ReadOnly),
    ("noexec", MountFlag::NoExec),
    ("nosuid", MountFlag::NoSuid),
    ("nodev", MountFlag::NoDev),
    ("noatime", MountFlag::NoAtime),
    ("nodiratime", MountFlag::NoDirAtime),
];

/// Those of them that a mount has.
pub(super) fn flags(mount: &MountFacts) -> Vec<MountFlag> {
    let has = |name: &str| mount.options.iter().any(|option| option == name);
    FLAGS.iter().filter(|(name, _)| has(name)).map(|(_, flag)| *flag).collect()
}
