//! `remove-file`: a file is gone.
//!
//! Mechanism: the file gets a second, hidden name beside its own, which is then unlinked. Blast
//! radius: every user of the volume. Undone by giving the name back, unless the subject has made a
//! new file there: that stays. No space is freed; what has the file open goes on using it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    aside::{Before, Now},
    checks,
};
use crate::protocol::{Capability, Outcome};

/// Removes a file, as a careless cleanup job does.
///
/// The file itself is kept under a hidden name beside it until the revert, so no space is freed.
/// What has it open does not notice unless it looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveFile {
    /// The file: `service:/path`, on a volume.
    pub(super) target: Target,
}

const NAME: &str = "remove-file";

impl Fault for RemoveFile {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "remove-file: { target: agent:/data/journal.log }";
    const ON_OTHERS: OnOthers = OnOthers::KEEPS_DAMAGE;

    fn kind(&self) -> Kind {
        Kind::Damage
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("remove `{}`", self.target),
            undo: "put the file back, unless there is a new one".into(),
            proof: "stat finds the file under a name of ours, and not under its own".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let needed = [
            checks::needs_path(NAME, &self.target),
            checks::needs_volume(NAME, &self.target, declared),
        ];
        needed.into_iter().flatten().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        Before::prepare(cx, None).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        if !before.is_kept(cx).await? {
            return Ok(Effect::unproven("the file does not lie beside its name"));
        }
        Ok(match before.now(cx).await? {
            Now::Nothing => Effect::proven(format!("gone, with its {} bytes", before.size)),
            Now::Same => Effect::unproven("the file has its name still"),
            Now::Other(facts) => Effect::proven(format!("gone, with its {} bytes", before.size))
                .note(format!("the subject has made it anew, {} bytes", facts.size)),
        })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        before.reverted(cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::{FileId, Op},
    };

    const KEPT: &str = ".keelhaul-r1-kept-12";

    #[tokio::test]
    async fn a_file_goes_aside_and_comes_back() {
        let (fake, site) = (Fake::default(), testing::site("/data/f", "docker: {}"));
        fake.world().files.insert("/data/f".into(), testing::file(12, 1));
        let fault: RemoveFile = serde_saphyr::from_str("{ target: agent:/data/f }").unwrap();
        let cx = fake.cx(&site);
        let prepared = fault.prepare(&cx).await.unwrap();
        let (place, kept) = (site.place.clone(), KEPT.to_owned());
        let file = FileId { dev: testing::DEV, inode: 12 };
        let undo = Op::PutBack {
            place: place.clone(),
            dev: Some(file.dev),
            kept: kept.clone(),
            content: None,
        };
        assert_eq!(prepared.ops, [Op::SetAside { place, file, kept, content: None }]);
        assert_eq!(prepared.undo, [undo]);
        let before = prepared.before;
        let proven = |effect: Result<Effect, FaultError>| effect.unwrap().proven;
        assert!(!proven(fault.verify(&before, &[], &cx).await), "nothing happened");
        assert!(proven(fault.verify_reverted(&before, &cx).await));
        // the subject replaces it by itself: that is not our doing
        fake.world().files.insert("/data/f".into(), testing::file(13, 1));
        assert!(!proven(fault.verify(&before, &[], &cx).await));
        fake.world().files.remove("/data/f");
        fake.world().files.insert(format!("/data/{KEPT}"), testing::file(12, 1));
        assert!(proven(fault.verify(&before, &[], &cx).await));
        assert!(!proven(fault.verify_reverted(&before, &cx).await));
        fake.world().files.remove(&format!("/data/{KEPT}"));
        assert!(!proven(fault.verify_reverted(&before, &cx).await), "lost");
        fake.world().files.insert("/data/f".into(), testing::file(13, 1));
        assert!(proven(fault.verify_reverted(&before, &cx).await), "theirs");
    }

    #[tokio::test]
    async fn what_is_no_file_is_refused() {
        let (fake, site) = (Fake::default(), testing::site("/data/f", "docker: {}"));
        let fault: RemoveFile = serde_saphyr::from_str("{ target: agent:/data/f }").unwrap();
        assert!(matches!(fault.prepare(&fake.cx(&site)).await, Err(FaultError::Refused(_))));
        let mut facts = testing::file(12, 2);
        facts.kind = "directory".into();
        fake.world().files.insert("/data/f".into(), facts);
        assert!(matches!(fault.prepare(&fake.cx(&site)).await, Err(FaultError::Refused(_))));
    }
}
