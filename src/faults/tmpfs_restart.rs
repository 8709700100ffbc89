//! `tmpfs-restart`: what was kept in a tmpfs is gone.
//!
//! Mechanism: the engine restarts the container, whose tmpfs is mounted afresh; or, in place, an
//! empty tmpfs with the same limits is mounted over it. Blast radius: one container. Nothing is
//! brought back: after a restart the data is gone for good, and rollback starts what was running;
//! in place rollback detaches the empty one, and the old data shows again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    capacity::Limits, checks, grace, lifecycle,
};
use crate::{
    protocol::{Capability, EngineOp, FsFacts, Init, MountFacts, Op, Outcome},
    runtime::ContainerFacts,
};

/// Empties a tmpfs, as a restart of its container does.
///
/// Use it to see whether the service notices that its run-time state is gone, says so, and resumes
/// from what it kept elsewhere. `in_place` takes the files away from under a running process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TmpfsRestart {
    /// The tmpfs: `service:/path`, where it is mounted at exactly this path.
    pub(super) target: Target,
    /// Mount an empty one over it, and leave the container running.
    #[serde(default)]
    in_place: bool,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// When the container was started.
    started_at: String,
    /// Its init.
    init: Init,
    /// The mount that was on top.
    mount: u64,
    /// Files and directories on it.
    files: u64,
}

const NAME: &str = "tmpfs-restart";

impl TmpfsRestart {
    fn restart(cx: &Cx<'_>, facts: &ContainerFacts) -> (Vec<Op>, Vec<Op>) {
        let container = cx.site.place.container.clone();
        let grace_ms = grace::milliseconds(None, facts);
        let restart = EngineOp::Restart { container, grace_ms };
        (vec![Op::Engine(restart)], lifecycle::start_again(cx))
    }

    async fn cover(
        cx: &Cx<'_>,
        init: Init,
        mount: &MountFacts,
        fs: &FsFacts,
    ) -> Result<(Vec<Op>, Vec<Op>), FaultError> {
        let place = &cx.site.place;
        let root = cx.file(place).await?.ok_or_else(|| {
            FaultError::Refused(format!("`{}` is gone in `{}`", place.path, cx.site.service))
        })?;
        let limits = Limits::of(mount, fs);
        let cover = Op::StackTmpfs {
            place: place.clone(),
            mark: cx.marker(),
            size: Some(limits.size),
            inodes: Some(limits.inodes),
            mode: root.mode & 0o7777,
            uid: root.uid,
            gid: root.gid,
        };
        let undo = Op::UnstackMarked { place: place.clone(), init, mark: cx.marker() };
        Ok((vec![cover], vec![undo]))
    }

    /// A tmpfs lives as long as the mount namespace of its container, so another start and another
    /// init mean another tmpfs; that one is there again is seen by itself. Its device number proves
    /// nothing: the kernel gives freed ones out again.
    async fn restarted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let facts = lifecycle::until(cx, |facts| facts.started_at != before.started_at).await?;
        if facts.started_at == before.started_at {
            return Ok(Effect::unproven(format!("still started at {}", facts.started_at)));
        }
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(format!("started anew at {}; {ended}", facts.started_at)));
        }
        let init = cx.init().await?;
        let mount = cx.mount_of(&cx.site.place).await?;
        let evidence = format!(
            "started anew at {}, init {} before and {} now; {} is mounted there",
            facts.started_at, before.init.pid, init.pid, mount.fs_type
        );
        let proven = init != before.init && mount.fs_type == "tmpfs";
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn covered(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let mount = cx.mount_of(&cx.site.place).await?;
        let evidence =
            format!("mount {} of `{}`, before it {}", mount.id, mount.source, before.mount);
        let proven =
            mount.source == cx.marker() && mount.fs_type == "tmpfs" && mount.id != before.mount;
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }
}

impl Fault for TmpfsRestart {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::MountApi];
    const EXAMPLE: &'static str = "tmpfs-restart: { target: agent:/run/agent }";
    const ON_OTHERS: OnOthers = OnOthers::KEEPS_DAMAGE;

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn needs(&self) -> &'static [Capability] {
        if self.in_place { Self::NEEDS } else { &[] }
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        if self.in_place {
            return Described {
                act: format!("mount an empty tmpfs over `{}`", self.target),
                undo: "at rollback: detach it".into(),
                proof: "the mount on top there is the empty one".into(),
            };
        }
        Described {
            act: format!("restart `{}`, so that `{}` is empty", self.target.service, self.target),
            undo: "nothing; rollback starts the container if it was running".into(),
            proof: "start time and init changed, and a tmpfs is mounted there".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        wrong.extend(checks::needs_mount_point(NAME, &self.target, declared));
        wrong.extend(checks::needs_tmpfs(NAME, &self.target, declared));
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let facts = cx.running().await?;
        let place = &cx.site.place;
        let mount = cx.mount_of(place).await?;
        if mount.fs_type != "tmpfs" || mount.mount_point != place.path {
            return Err(FaultError::Refused(format!(
                "no tmpfs but {} is mounted at `{}`",
                mount.fs_type, place.path
            )));
        }
        let (init, fs) = (cx.init().await?, cx.filesystem(place).await?);
        let (ops, undo) = if self.in_place {
            Self::cover(cx, init, &mount, &fs).await?
        } else {
            Self::restart(cx, &facts)
        };
        // the root directory takes one
        let files = fs.inodes_total.saturating_sub(fs.inodes_free).saturating_sub(1);
        let before = Before { started_at: facts.started_at, init, mount: mount.id, files };
        Ok(Prepared { before, ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let effect = if self.in_place {
            self.covered(before, cx).await?
        } else {
            self.restarted(before, cx).await?
        };
        Ok(match before.files {
            0 => effect.note("the tmpfs was empty before, so nothing was lost"),
            _ => effect,
        })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect { proven: self.in_place, evidence: ended, notes: Vec::new() });
        }
        let covered = self.covered(before, cx).await?;
        Ok(Effect { proven: !covered.proven, ..covered })
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
        runtime::State,
    };

    fn fault(yaml: &str) -> TmpfsRestart {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent:/data }";
    const IN_PLACE: &str = "{ target: agent:/data, in_place: true }";

    fn world() -> (Fake, Site) {
        let fake = Fake::default();
        {
            let mut world = fake.world();
            world.fs = testing::fs("tmpfs");
            world.mounts.insert("/data".into(), vec![testing::mount("/data", "tmpfs")]);
            world.files.insert("/data".into(), testing::file(1, 2));
        }
        (fake, testing::site("/data", "tmpfs: {}"))
    }

    #[tokio::test]
    async fn a_restart_is_proven_by_start_time_and_init() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        let prepared = fault(PLAIN).prepare(&cx).await.unwrap();
        assert!(matches!(prepared.ops[..], [Op::Engine(EngineOp::Restart { .. })]));
        assert!(matches!(prepared.undo[..], [Op::Engine(EngineOp::Start { .. })]));
        let before = prepared.before;
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().container.as_mut().unwrap().started_at = "2024-05-01T10:00:09Z".into();
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven, "same init");
        fake.world().init.start_time = 6000;
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn in_place_covers_with_the_same_limits_and_owner() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        let prepared = fault(IN_PLACE).prepare(&cx).await.unwrap();
        let mark = ".keelhaul-r1".to_owned();
        assert_eq!(
            prepared.ops,
            [Op::StackTmpfs {
                place: site.place.clone(),
                mark: mark.clone(),
                size: Some(64 << 20),
                inodes: Some(512),
                mode: 0o644,
                uid: 0,
                gid: 0
            }]
        );
        let init = Init { pid: 100, start_time: 5000 };
        let undo = Op::UnstackMarked { place: site.place.clone(), init, mark };
        assert_eq!(prepared.undo, [undo]);
        let before = prepared.before;
        assert!(!fault(IN_PLACE).verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault(IN_PLACE).verify_reverted(&before, &cx).await.unwrap().proven);
        let mut cover = testing::mount("/data", "tmpfs");
        cover.id = 77;
        cover.source = ".keelhaul-r1".into();
        fake.world().mounts.get_mut("/data").unwrap().push(cover);
        assert!(fault(IN_PLACE).verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault(IN_PLACE).verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn an_empty_tmpfs_has_nothing_to_lose_and_the_report_says_so() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        fake.world().fs.inodes_free = 511;
        let before = fault(IN_PLACE).prepare(&cx).await.unwrap().before;
        assert_eq!(fault(IN_PLACE).verify(&before, &[], &cx).await.unwrap().notes.len(), 1);
    }

    #[tokio::test]
    async fn refused_where_there_is_no_tmpfs_or_no_process() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        fake.world().container.as_mut().unwrap().state = State::Exited;
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
        fake.world().container.as_mut().unwrap().state = State::Running;
        fake.world().mounts.insert("/data".into(), vec![testing::mount("/data", "ext4")]);
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let (tmpfs, docker) =
            (testing::volume_spec("tmpfs: {}"), testing::volume_spec("docker: {}"));
        let on = |volume, is_mount_point| Declared { volume, is_mount_point, host_wide: false };
        assert!(fault(PLAIN).check(&on(Some(&tmpfs), true)).is_empty());
        assert_eq!(fault(PLAIN).check(&on(Some(&docker), true)).len(), 1);
        assert_eq!(fault(PLAIN).check(&on(Some(&tmpfs), false)).len(), 1);
        assert!(fault(PLAIN).needs().is_empty() && !fault(IN_PLACE).needs().is_empty());
    }
}
