//! `stall`: a filesystem that answers no write until it is reverted.
//!
//! Mechanism: `FIFREEZE`. Blast radius: the superblock, so only a filesystem on one of the run's
//! own images is frozen, or one that is a container's alone, and nothing overrides that. Undone by `FITHAW`, which the keeper does by
//! itself when the time is up, whoever else lives: a process that waits for a frozen filesystem
//! cannot be killed, and stopping its container would wait with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target, checks,
};
use crate::{
    protocol::{Capability, MountFacts, Op, Outcome, SoleOp},
    units::Duration,
    volumes::Filesystem,
};

/// Lets every write to a volume wait, as storage that hangs does.
///
/// Nothing fails and nothing is lost: calls come back when it is reverted, after `at_most` at the
/// latest. Use it to see whether the service answers within its own deadline while its storage does
/// not, and goes on afterwards. Reading what is cached still works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    /// A directory on the volume: `service:/path`.
    pub(super) target: Target,
    /// It is thawed after this long, whatever else happens.
    #[serde(default = "default_at_most")]
    at_most: Duration,
}

fn default_at_most() -> Duration {
    Duration::from_secs(10)
}

const NAME: &str = "stall";

const FREEZABLE: &str = "use `ext4: { size: 64MiB }`, `xfs` or `btrfs`";

/// The kernel calls a task hung that waits for two minutes.
const MOST: Duration = Duration::from_secs(60);

/// A change that is not back by then has stalled; one that was back sooner before the injection.
const PATIENCE_MS: u64 = 1000;
/// After the revert everybody who has waited goes first.
const REVIVAL_MS: u64 = 5000;

impl Stall {
    async fn image(&self, cx: &Cx<'_>) -> Result<(String, String), FaultError> {
        let mount = cx.mount_of(&cx.site.place).await?;
        let loops = cx.loops().await?;
        let own = loops.into_iter().find(|device| device.device == mount.source);
        let name = own.as_ref().and_then(|own| own.backing_file.rsplit('/').next());
        match name {
            Some(name) => Ok((name.to_owned(), mount.fs_type)),
            None => Err(FaultError::Refused(format!(
                "the filesystem at `{}` is not one that this run has made, and others may use \
                 it\n\nhint: use `ext4`, `xfs` or `btrfs`",
                self.target
            ))),
        }
    }

    /// What freezes it, and what thaws it.
    async fn acts(&self, cx: &Cx<'_>) -> Result<(Op, Op), FaultError> {
        let place = cx.site.place.clone();
        let fs = cx.filesystem(&place).await?;
        let dev = fs.dev;
        let Some(sole) = cx.alone(NAME, Changes::Answers, &fs).await? else {
            let (image, fs_type) = self.image(cx).await?;
            let freeze = Op::Freeze { place: place.clone(), dev, image: image.clone() };
            return Ok((freeze, Op::Thaw { place, dev, image, fs_type }));
        };
        let MountFacts { source, fs_type, .. } = cx.mount_of(&place).await?;
        let freeze = SoleOp::Freeze { place: place.clone(), dev, sole };
        let thaw = SoleOp::Thaw { place, dev, source, fs_type };
        Ok((Op::Sole(freeze), Op::Sole(thaw)))
    }

    async fn look(&self, cx: &Cx<'_>, within_ms: u64) -> Result<(bool, String), FaultError> {
        let path = &cx.site.place.path;
        Ok(match cx.answers(&cx.site.place, within_ms).await? {
            Some(us) => {
                let took = std::time::Duration::from_micros(us);
                (true, format!("a change at `{path}` came back after {took:.1?}"))
            }
            None => (false, format!("a change at `{path}` was not back after {within_ms} ms")),
        })
    }
}

impl Fault for Stall {
    type Before = String;

    const SCOPE: Scope = Scope::Superblock;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "stall: { target: agent:/data, at_most: 10s }";
    const ON_OTHERS: OnOthers = OnOthers::changing(Changes::Answers);

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("freeze the filesystem at `{}` for {} at most", self.target, self.at_most),
            undo: "thaw it".into(),
            proof: "a change there, made by another process, does not come back".into(),
        }
    }

    fn lasts_at_most(&self) -> Option<Duration> {
        Some(self.at_most)
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        let own = |fs| matches!(fs, Filesystem::Ext4 | Filesystem::Xfs | Filesystem::Btrfs);
        let frozen = declared.volume.and_then(crate::volumes::VolumeSpec::filesystem);
        if self.target.path.is_some() && frozen == Some(Filesystem::Tmpfs) {
            wrong.push(format!(
                "the kernel freezes no tmpfs, such as the one at `{}`\n\nhint: \
                 {FREEZABLE}; `io-stall` stalls any",
                self.target
            ));
        } else if self.target.path.is_some() && !frozen.is_some_and(own) {
            wrong.push(format!(
                "`{NAME}` freezes a whole filesystem, and the one at `{}` is not the run's own\n\n\
                 hint: {FREEZABLE}",
                self.target
            ));
        }
        if self.at_most > MOST || self.at_most.0.is_zero() {
            wrong.push(format!(
                "`at_most: {}` is not a time that a stall may last\n\nhint: write {MOST} or less",
                self.at_most
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<String>, FaultError> {
        cx.running().await?;
        let (freeze, thaw) = self.acts(cx).await?;
        let (answers, before) = self.look(cx, PATIENCE_MS).await?;
        if !answers {
            return Err(FaultError::Refused(format!("{before}: it is stalled already")));
        }
        Ok(Prepared { before, ops: vec![freeze], undo: vec![thaw] })
    }

    async fn verify(
        &self,
        before: &String,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let (answers, evidence) = self.look(cx, PATIENCE_MS).await?;
        let evidence = format!("{evidence}; before, {before}");
        Ok(Effect { proven: !answers, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, _: &String, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        let (proven, evidence) = self.look(cx, REVIVAL_MS).await?;
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::LoopFacts,
    };

    fn fault(yaml: &str) -> Stall {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn own_image(fake: &Fake) {
        let (device, backing_file) = ("/dev/loop3".into(), "/run/keelhaul/images/data".into());
        let mut world = fake.world();
        world.beneath.loops = vec![LoopFacts { device, backing_file }];
        world.mounts.get_mut("/data").unwrap()[0].source = "/dev/loop3".into();
    }

    #[tokio::test]
    async fn proven_when_a_change_does_not_come_back() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent:/data }"));
        own_image(&fake);
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        assert!(matches!(&ops[..], [Op::Freeze { image, .. }] if image == "data"));
        assert!(matches!(&undo[..], [Op::Thaw { fs_type, .. }] if fs_type == "ext4"));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().answers_us = None;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "stalled already");
    }

    #[tokio::test]
    async fn what_the_run_has_not_made_is_never_frozen() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let (mut cx, fault) = (fake.cx(&site), fault("{ target: agent:/data }"));
        cx.host_wide = true;
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[tokio::test]
    async fn what_a_container_of_others_has_alone_is_frozen_without_an_image() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let cx = Cx { attached: true, ..fake.cx(&site) };
        fake.world().mounts.get_mut("/data").unwrap()[0].source = "/dev/loop3".into();
        let fault = fault("{ target: agent:/data }");
        let Prepared { ops, undo, .. } = fault.prepare(&cx).await.unwrap();
        assert!(matches!(&ops[..], [Op::Sole(SoleOp::Freeze { sole, .. })]
            if sole.containers == ["c1"]));
        assert!(matches!(&undo[..], [Op::Sole(SoleOp::Thaw { source, fs_type, .. })]
            if source == "/dev/loop3" && fs_type == "ext4"));
        fake.world().fs.is_host = true;
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let count = |yaml: &str, volume: Option<&str>| {
            let volume = volume.map(testing::volume_spec);
            let declared =
                Declared { volume: volume.as_ref(), is_mount_point: true, host_wide: true };
            fault(yaml).check(&declared).len()
        };
        let plain = "{ target: agent:/data }";
        assert_eq!(count(plain, Some("ext4: { size: 64MiB }")), 0);
        assert_eq!(count(plain, Some("tmpfs: {}")), 1);
        assert_eq!(count(plain, Some("docker: {}")), 1);
        assert_eq!(count(plain, None), 1);
        assert_eq!(count("{ target: agent }", None), 1);
        assert_eq!(count("{ target: agent:/data, at_most: 2m }", Some("xfs: { size: 300MiB }")), 1);
    }
}
