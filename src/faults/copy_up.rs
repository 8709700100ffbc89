//! `copy-up`: overlayfs moves a file from a lower layer to the upper one.
//!
//! Mechanism: the file is opened for writing, as the first write to it does, and nothing is written.
//! Blast radius: one file of one container, or of an overlay of the run. Nothing to undo: the bytes
//! are the same, and the upper layer belongs to the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks,
};
use crate::{
    protocol::{Capability, FileId, Op, Outcome},
    volumes::VolumeSpec,
};

/// Has overlayfs copy a file up, as the first write to it does.
///
/// Its bytes are the same, and yet who has it open for reading goes on with the old file, a watch of
/// the old one hears of nothing, and the next change of its directory is one in the upper layer. The
/// file is one of the image, or in the lower layer of an `overlay` volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CopyUp {
    /// The file: `service:/path`.
    pub(super) target: Target,
}

const NAME: &str = "copy-up";

impl Fault for CopyUp {
    /// The file as the container saw it.
    type Before = FileId;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::Overlay];
    const EXAMPLE: &'static str = "copy-up: { target: agent:/etc/hostname.template }";
    const ON_OTHERS: OnOthers = OnOthers::KEEPS_DAMAGE;

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("have overlayfs copy `{}` up", self.target),
            undo: "nothing: its bytes are the same".into(),
            proof: "the upper layer has the file, and had it not before".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        if let Some(volume) = declared.volume
            && !matches!(volume, VolumeSpec::Overlay(_))
        {
            wrong.push(format!(
                "`{}` is on a `{}` volume, and only overlayfs copies up\n\nhint: name a file of the \
                 image, or mount an `overlay` volume",
                self.target,
                volume.name()
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<FileId>, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let facts = cx.file(&place).await?.filter(|facts| facts.kind == "file");
        let Some(facts) = facts else {
            return Err(FaultError::Refused(format!("there is no file `{}`", self.target)));
        };
        if cx.upper(&place).await?.is_some() {
            return Err(FaultError::Refused(format!(
                "`{}` is in the upper layer already, so the fault would do nothing\n\nhint: name a \
                 file that nobody has written to",
                self.target
            )));
        }
        let before = FileId { dev: facts.link.dev, inode: facts.link.inode };
        Ok(Prepared { before, ops: vec![Op::CopyUp { place }], undo: Vec::new() })
    }

    async fn verify(
        &self,
        before: &FileId,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let Some(upper) = cx.upper(&cx.site.place).await? else {
            return Ok(Effect::unproven("the upper layer does not have the file"));
        };
        let now = cx.file_id(&cx.site.place).await?;
        let now = now.map_or_else(|| "gone".to_owned(), |now| format!("inode {}", now.inode));
        Ok(Effect::proven(format!(
            "the upper layer has the file, as inode {upper}; in the container it is {now}, was {}",
            before.inode
        )))
    }

    async fn verify_reverted(&self, _: &FileId, _: &Cx<'_>) -> Result<Effect, FaultError> {
        Ok(Effect::proven("there is nothing to revert"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    fn fault(target: &str) -> CopyUp {
        serde_saphyr::from_str(&format!("{{ target: {target} }}")).unwrap()
    }

    #[tokio::test]
    async fn proven_by_the_upper_layer_alone() {
        let (fake, site) = (Fake::default(), testing::bare("/opt/f"));
        let (cx, fault) = (fake.cx(&site), fault("agent:/opt/f"));
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "no file");
        fake.world().files.insert("/opt/f".into(), testing::file(12, 1));
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        assert_eq!(ops, [Op::CopyUp { place: site.place.clone() }]);
        assert!(undo.is_empty());
        fake.world().files.insert("/opt/f".into(), testing::file(13, 1));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "another inode is nothing");
        fake.world().beneath.upper = Some(77);
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "already");
    }

    #[test]
    fn it_acts_on_an_overlay() {
        let on = |volume: Option<&str>, target: &str| {
            let volume = volume.map(testing::volume_spec);
            let declared =
                Declared { volume: volume.as_ref(), is_mount_point: false, host_wide: false };
            fault(target).check(&declared).len()
        };
        assert_eq!(on(None, "agent:/opt/f"), 0);
        assert_eq!(on(Some("overlay: {}"), "agent:/data/f"), 0);
        assert_eq!(on(Some("docker: {}"), "agent:/data/f"), 1);
        assert_eq!(on(None, "agent"), 1);
    }
}
