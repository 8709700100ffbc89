//! `mode`: the permission bits of a file or a directory change.
//!
//! Mechanism: fchmod(2). Blast radius: every user of the volume. Undone by setting the old bits, if
//! nobody else has set others since.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target, access::Before, checks,
};
use crate::{
    protocol::{Capability, Op, Outcome},
    units,
};

/// Sets the permission bits of a file or a directory.
///
/// Take them away to see who is refused, or give too many to see who complains. A service that holds
/// `CAP_DAC_OVERRIDE`, as root in a container does by default, is refused nothing: then the effect is
/// not proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// The file or directory: `service:/path`.
    pub(super) target: Target,
    /// Its new permission and set-id bits.
    mode: units::Mode,
}

const NAME: &str = "mode";

impl Fault for Mode {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "mode: { target: agent:/data, mode: \"0555\" }";
    const ON_OTHERS: OnOthers = OnOthers::changing(Changes::Files);

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("set the mode of `{}` to {}", self.target, self.mode),
            undo: "set the old mode".into(),
            proof: "stat shows the mode, and a trial with the service's own credentials, what it \
                    may do"
                .into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_path(NAME, &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let (before, _) = Before::of(cx).await?;
        let place = cx.site.place.clone();
        let (file, from, to) = (before.file, before.mode, self.mode.0);
        if from == to {
            return Err(FaultError::Refused(format!(
                "`{}` has mode {} already, so the fault would do nothing",
                place.path, self.mode
            )));
        }
        let undo = vec![Op::SetMode { place: place.clone(), file, from: to, to: from }];
        Ok(Prepared { before, ops: vec![Op::SetMode { place, file, from, to }], undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let facts = match before.same_file(cx).await? {
            Err(gone) => return Ok(Effect::unproven(gone)),
            Ok(facts) => facts,
        };
        let changed = format!("mode {:04o}, was {:04o}", facts.mode, before.mode);
        if facts.mode != self.mode.0 {
            return Ok(Effect::unproven(changed));
        }
        before.judge(&changed, cx).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let look = |facts: &crate::protocol::FileFacts| {
            (facts.mode != self.mode.0, format!("mode {:04o}", facts.mode))
        };
        before.judge_reverted(cx, look).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::FileId,
    };

    fn fault(mode: &str) -> Mode {
        serde_saphyr::from_str(&format!("{{ target: agent:/data/f, mode: \"{mode}\" }}")).unwrap()
    }

    #[tokio::test]
    async fn the_bits_change_and_come_back() {
        let (fake, site) = (Fake::default(), testing::site("/data/f", "docker: {}"));
        fake.world().files.insert("/data/f".into(), testing::file(12, 1));
        let (cx, fault) = (fake.cx(&site), fault("0400"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let (place, file) = (site.place.clone(), FileId { dev: testing::DEV, inode: 12 });
        let op = |from, to| Op::SetMode { place: place.clone(), file, from, to };
        assert_eq!(prepared.ops, [op(0o644, 0o400)]);
        assert_eq!(prepared.undo, [op(0o400, 0o644)]);
        let before = prepared.before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().files.get_mut("/data/f").unwrap().mode = 0o400;
        fake.world().access = [Some("EACCES"), Some("EACCES")];
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().access = [None, Some("EACCES")];
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "root");
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().files.insert("/data/f".into(), testing::file(13, 1));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "another file");
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn bits_that_are_there_already_are_refused() {
        let (fake, site) = (Fake::default(), testing::site("/data/f", "docker: {}"));
        fake.world().files.insert("/data/f".into(), testing::file(12, 1));
        let prepared = fault("0644").prepare(&fake.cx(&site)).await;
        assert!(matches!(prepared, Err(FaultError::Refused(_))));
    }
}
