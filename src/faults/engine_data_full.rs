//! `engine-data-full`: the data root of an engine of the scenario's own has no room left.
//!
//! Mechanism: that of `inode-exhaustion` or `disk-full`, at the engine's data root. Blast radius: the
//! volume's superblock, which must not be the host's. Undone by removing our files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    disk_full::{self, DiskFull},
    inode_exhaustion::{self, InodeExhaustion},
    left::Left,
};
use crate::{
    protocol::{Capability, Outcome, StartTrial},
    runtime::ENGINE_DATA,
    units::Size,
    volumes::VolumeSpec,
};

/// Uses up the inodes or the bytes under an engine's data root.
///
/// The target is the data root of a service of the image `keelhaul/engine`: `service:/var/lib/docker`.
/// Every container needs inodes and bytes there before it can start. Use it to see whether somebody
/// was warned in time, and whether the engine works again afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EngineDataFull {
    /// The data root: `service:/var/lib/docker`.
    pub(super) target: Target,
    /// What runs out.
    #[serde(default)]
    of: Of,
    /// What to leave free, nothing without it: so many inodes, as in `300`, or with `of: bytes` a
    /// size, as in `64MiB`. With some left, containers may still start.
    leave: Option<Left>,
}

/// What runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Of {
    /// Inodes, while bytes are free.
    #[default]
    Inodes,
    /// Bytes.
    Bytes,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// Inodes.
    Inodes(inode_exhaustion::Before),
    /// Bytes.
    Bytes(disk_full::Before),
}

/// Inodes that an engine may free of its own while we look, as of a temporary file.
const FEW: u64 = 4;
/// What an engine says that has no room, in Go's words for ENOSPC.
const NO_ROOM: &str = "no space left on device";

impl EngineDataFull {
    /// Inodes or bytes, as `of` says.
    fn left(&self) -> u64 {
        match self.leave {
            None => 0,
            Some(Left::Inodes(number) | Left::Bytes(Size(number))) => number,
        }
    }

    fn inodes(&self) -> InodeExhaustion {
        InodeExhaustion::leaving(self.target.clone(), self.left())
    }

    fn bytes(&self) -> DiskFull {
        DiskFull::leaving(self.target.clone(), self.left())
    }

    /// What is left must be of what runs out.
    fn check_left(&self) -> Option<String> {
        match (self.of, self.leave?) {
            (Of::Inodes, Left::Bytes(size)) => Some(format!(
                "`leave: {size}` is no number of inodes\n\nhint: write a number such as \
                 `leave: 300`, or `of: bytes` beside it"
            )),
            (Of::Bytes, Left::Inodes(number)) => Some(format!(
                "`leave: {number}` is no number of bytes\n\nhint: write a size such as \
                 `leave: 64MiB`"
            )),
            _ => None,
        }
    }

    /// What the filesystem shows, and what the engine says to a start. `nearly`: there is room for
    /// what the engine has removed since, and not for a container.
    fn judge(&self, full: Effect, nearly: bool, trial: &StartTrial) -> Effect {
        let said = match trial {
            Ok(_) => "a container starts".to_owned(),
            Err(why) => format!("no container starts: {why}"),
        };
        let refused = trial.as_ref().is_err_and(|why| why.contains(NO_ROOM));
        let proven = if self.left() > 0 { full.proven } else { (full.proven || nearly) && refused };
        Effect { proven, evidence: format!("{}; {said}", full.evidence), notes: full.notes }
    }
}

impl Fault for EngineDataFull {
    type Before = Before;

    const SCOPE: Scope = Scope::Superblock;
    const NEEDS: &'static [Capability] = &[Capability::InnerEngine];
    const EXAMPLE: &'static str = "engine-data-full: { target: inner:/var/lib/docker }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let Described { act, undo, proof } = match self.of {
            Of::Inodes => self.inodes().describe(),
            Of::Bytes => self.bytes().describe(),
        };
        let start =
            if self.left() > 0 { "" } else { "; the engine starts nothing for want of room" };
        Described { act, undo, proof: format!("{proof}{start}") }
    }

    fn undo_on(&self, volume: Option<&VolumeSpec>) -> Option<String> {
        match self.of {
            Of::Inodes => self.inodes().undo_on(volume),
            Of::Bytes => self.bytes().undo_on(volume),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        true
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = match self.of {
            Of::Inodes => self.inodes().check(declared),
            Of::Bytes => self.bytes().check(declared),
        };
        if self.target.path.as_deref() != Some(ENGINE_DATA) {
            wrong.clear();
            wrong.push(format!(
                "an engine keeps its data in `{ENGINE_DATA}`\n\nhint: write `{}:{ENGINE_DATA}`",
                self.target.service
            ));
        }
        wrong.extend(self.check_left());
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        if let Err(why) = cx.try_start().await? {
            return Err(FaultError::Refused(format!(
                "no container starts on the engine of `{}` as it is, so a fault could not be told \
                 from that: {why}",
                cx.site.service
            )));
        }
        Ok(match self.of {
            Of::Inodes => {
                let Prepared { before, ops, undo } = self.inodes().prepare(cx).await?;
                Prepared { before: Before::Inodes(before), ops, undo }
            }
            Of::Bytes => {
                let Prepared { before, ops, undo } = self.bytes().prepare(cx).await?;
                Prepared { before: Before::Bytes(before), ops, undo }
            }
        })
    }

    async fn verify(
        &self,
        before: &Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let full = match before {
            Before::Inodes(before) => self.inodes().verify(before, outcomes, cx).await?,
            Before::Bytes(before) => self.bytes().verify(before, outcomes, cx).await?,
        };
        let free = cx.filesystem(&cx.site.place).await?.inodes_free;
        let nearly = self.of == Of::Inodes && free <= FEW;
        Ok(self.judge(full, nearly, &cx.try_start().await?))
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        match before {
            Before::Inodes(before) => self.inodes().verify_reverted(before, cx).await,
            Before::Bytes(before) => self.bytes().verify_reverted(before, cx).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::Op,
    };

    const PLAIN: &str = "{ target: \"agent:/var/lib/docker\" }";

    fn fault(yaml: &str) -> EngineDataFull {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_by_the_filesystem_and_by_the_engines_own_words() {
        let (fake, site) = (Fake::default(), testing::site(ENGINE_DATA, "ext4: { size: 64MiB }"));
        let cx = fake.cx(&site);
        let prepared = fault(PLAIN).prepare(&cx).await.unwrap();
        assert!(matches!(prepared.ops[..], [Op::FillInodes { leave: 0, .. }]));
        let before = prepared.before;
        fake.world().create = Some("ENOSPC");
        fake.world().fs.inodes_free = 0;
        let starts = fault(PLAIN).verify(&before, &[], &cx).await.unwrap();
        assert!(!starts.proven && starts.evidence.ends_with("a container starts"), "{starts:?}");
        fake.world().inner.started = Err("No such image".into());
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven, "another reason");
        fake.world().inner.started = Err("mkdir /var/lib/docker/x: no space left on device".into());
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().create = None;
        fake.world().fs.inodes_free = 1;
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven, "it removed a file");
        fake.world().inner.started = Ok(1);
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().inner.started = Err("no space left on device".into());
        fake.world().fs.inodes_free = 100;
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[tokio::test]
    async fn bytes_run_out_as_well_and_some_may_be_left() {
        let (fake, site) = (Fake::default(), testing::site(ENGINE_DATA, "ext4: { size: 64MiB }"));
        let fault = fault("{ target: \"agent:/var/lib/docker\", of: bytes, leave: 4MiB }");
        let prepared = fault.prepare(&fake.cx(&site)).await.unwrap();
        assert!(matches!(prepared.ops[..], [Op::FillBytes { leave: 4_194_304, .. }]));
    }

    #[test]
    fn static_complaints() {
        let volume = testing::volume_spec("ext4: { size: 64MiB }");
        let own = Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
        assert!(fault(PLAIN).check(&own).is_empty());
        assert_eq!(fault("{ target: agent }").check(&own).len(), 1);
        assert_eq!(fault("{ target: \"agent:/data\", of: bytes }").check(&own).len(), 1);
        let left = |leave: &str| {
            let leave = format!("{{ target: \"agent:{ENGINE_DATA}\", {leave} }}");
            fault(&leave).check(&own).join("\n")
        };
        assert_eq!(left("leave: 300") + &left("of: bytes, leave: 64MiB"), "");
        assert!(left("leave: 64MiB").contains("no number of inodes"));
        assert!(left("of: bytes, leave: 300").contains("no number of bytes"));
        let shared = testing::volume_spec("docker: {}");
        let shared = Declared { volume: Some(&shared), is_mount_point: true, host_wide: false };
        assert_eq!(fault(PLAIN).check(&shared).len(), 1);
    }
}
