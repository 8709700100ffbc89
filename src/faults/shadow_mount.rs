//! `shadow-mount`: something is mounted over a directory and hides what was there.
//!
//! Mechanism: an empty tmpfs with the directory's own owner and mode is mounted over it; its source
//! name says that it is ours. Blast radius: the mount namespace of one container. Undone by
//! detaching it: what was written to it in the meantime is gone, what it hid is as it was.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target, checks,
};
use crate::{
    protocol::{Capability, FileFacts, Init, LinkState, Op, Outcome},
    units::Size,
};

/// Hides a directory under an empty tmpfs, as a misplaced mount does.
///
/// Every name below it is gone at once and comes back with the revert; what is written meanwhile
/// lands in the wrong place. Descriptors that are open already still reach what is hidden. Use it
/// to see whether the service notices that this is not its directory, and writes nothing there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShadowMount {
    /// The directory: `service:/path`, a mount or not.
    pub(super) target: Target,
    /// Room on the tmpfs; what the subject writes to it is memory.
    #[serde(default = "default_size")]
    size: Size,
}

fn default_size() -> Size {
    Size(16 << 20)
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The directory's device and inode.
    link: LinkState,
    /// The init whose namespace is changed.
    init: Init,
    /// Descriptors open for writing.
    writers: u64,
}

/// Inodes on the tmpfs: enough for whatever loses its way there.
const INODES: u64 = 4096;

/// A tmpfs is accounted in pages; with less than one it could hold nothing.
const LEAST_SIZE: u64 = 4096;

const NAME: &str = "shadow-mount";

impl ShadowMount {
    async fn directory(&self, cx: &Cx<'_>) -> Result<FileFacts, FaultError> {
        let place = &cx.site.place;
        let missing = || format!("there is no `{}` in `{}`", place.path, cx.site.service);
        let facts = cx.file(place).await?.ok_or_else(|| FaultError::Refused(missing()))?;
        if facts.kind == "directory" {
            return Ok(facts);
        }
        Err(FaultError::Refused(format!(
            "`{}` is no directory but a {}, and a tmpfs covers directories only",
            place.path, facts.kind
        )))
    }

    /// What the path shows now: whose mount is on top, and which directory that is.
    async fn look(&self, before: &Before, cx: &Cx<'_>) -> Result<(bool, bool, String), FaultError> {
        let place = &cx.site.place;
        let mount = cx.mount_of(place).await?;
        let ours = mount.fs_type == "tmpfs" && mount.source == cx.marker();
        let now = cx.file(place).await?.map(|facts| facts.link);
        let same =
            now.is_some_and(|now| (now.dev, now.inode) == (before.link.dev, before.link.inode));
        let shown = now.map_or("nothing".to_owned(), |now| format!("{}:{}", now.dev, now.inode));
        let evidence = format!(
            "the path is {} of `{}`, directory {shown}, before it {}:{}",
            mount.fs_type, mount.source, before.link.dev, before.link.inode
        );
        Ok((ours, same, evidence))
    }
}

impl Fault for ShadowMount {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::MountApi];
    const EXAMPLE: &'static str = "shadow-mount: { target: agent:/data, size: 16MiB }";
    const ON_OTHERS: OnOthers = OnOthers::GivenBack {
        changes: Changes::Surroundings,
        borne: Some("what it writes there meanwhile is lost"),
    };

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("mount an empty tmpfs of {} over `{}`", self.size, self.target),
            undo: "detach it, with what was written to it".into(),
            proof: "the path is another directory, on our tmpfs".into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        if self.target.path.as_deref() == Some("/") {
            wrong.push(format!(
                "`{}` is the root of the container, and a mount over it reaches no process that \
                 runs already\n\nhint: name the directory that is to be hidden",
                self.target
            ));
        }
        if self.size.0 < LEAST_SIZE {
            wrong.push("a tmpfs below one page holds nothing\n\nhint: write `size: 16MiB`".into());
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let directory = self.directory(cx).await?;
        let mark = cx.marker();
        if cx.mount_of(&place).await?.source == mark {
            let path = &place.path;
            return Err(FaultError::Refused(format!("`{path}` is hidden by this run already")));
        }
        let (init, writers) = (cx.init().await?, cx.writers(&place).await?);
        let cover = Op::StackTmpfs {
            place: place.clone(),
            mark: mark.clone(),
            size: Some(self.size.0),
            inodes: Some(INODES),
            mode: directory.mode & 0o7777,
            uid: directory.uid,
            gid: directory.gid,
        };
        let before = Before { link: directory.link, init, writers };
        let undo = vec![Op::UnstackMarked { place, init, mark }];
        Ok(Prepared { before, ops: vec![cover], undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let (ours, same, evidence) = self.look(before, cx).await?;
        let effect = Effect { proven: ours && !same, evidence, notes: Vec::new() };
        Ok(match before.writers {
            0 => effect,
            1 => effect.note("1 descriptor open for writing still reaches what is hidden"),
            n => {
                effect.note(format!("{n} descriptors open for writing still reach what is hidden"))
            }
        })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        if cx.init().await? != before.init {
            return Ok(Effect::proven("the container was started anew, and its mounts with it"));
        }
        let (ours, same, evidence) = self.look(before, cx).await?;
        Ok(Effect { proven: !ours && same, evidence, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::{
            Site,
            testing::{self, Fake},
        },
        protocol::MountFacts,
        runtime::State,
    };

    fn fault(yaml: &str) -> ShadowMount {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn directory(inode: u64) -> FileFacts {
        let mut facts = testing::file(inode, 2);
        facts.kind = "directory".into();
        (facts.mode, facts.uid, facts.gid) = (0o1750, 7, 8);
        facts
    }

    fn world() -> (Fake, Site) {
        let fake = Fake::default();
        fake.world().files.insert("/data".into(), directory(2));
        (fake, testing::site("/data", "docker: {}"))
    }

    fn ours() -> MountFacts {
        let mut cover = testing::mount("/data", "tmpfs");
        cover.source = ".keelhaul-r1".into();
        cover
    }

    const PLAIN: &str = "{ target: agent:/data }";

    #[tokio::test]
    async fn covered_with_the_same_owner_and_proven_by_another_directory() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        let prepared = fault(PLAIN).prepare(&cx).await.unwrap();
        let mark = ".keelhaul-r1".to_owned();
        let cover = Op::StackTmpfs {
            place: site.place.clone(),
            mark: mark.clone(),
            size: Some(16 << 20),
            inodes: Some(INODES),
            mode: 0o1750,
            uid: 7,
            gid: 8,
        };
        assert_eq!(prepared.ops, [cover]);
        let init = Init { pid: 100, start_time: 5000 };
        let undo = Op::UnstackMarked { place: site.place.clone(), init, mark };
        assert_eq!(prepared.undo, [undo]);
        let (before, fault) = (prepared.before, fault(PLAIN));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().mounts.get_mut("/data").unwrap().push(ours());
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "the same directory");
        fake.world().files.insert("/data".into(), directory(1));
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(fault.prepare(&cx).await.is_err(), "hidden already");
    }

    #[tokio::test]
    async fn a_container_that_ended_or_started_anew_took_it_along() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        fake.world().init.start_time = 6000;
        assert!(fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[tokio::test]
    async fn refused_on_a_file_or_nothing() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        fake.world().files.insert("/data".into(), testing::file(2, 1));
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
        fake.world().files.clear();
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        assert!(fault(PLAIN).check(&none).is_empty());
        for bad in ["{ target: agent }", "{ target: 'agent:/' }", "{ target: agent:/d, size: 1B }"]
        {
            assert_eq!(fault(bad).check(&none).len(), 1, "{bad}");
        }
    }
}
