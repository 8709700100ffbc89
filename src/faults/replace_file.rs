//! `replace-file`: a file has other content from one moment to the next.
//!
//! Mechanism: the file gets a second, hidden name beside its own, which a new file then takes over by
//! rename(2). Blast radius: every user of the volume. Undone by the same rename backwards, unless
//! the subject has written there since: that stays.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    aside::{Before, Now},
    checks,
};
use crate::protocol::{Capability, Outcome, Read, Reading};

/// Gives a file other content, in one step, with the same owner and mode.
///
/// As a rollback, a deployment or a wrong template does: state of a newer format, an empty
/// configuration. The old file is kept under a hidden name beside it until the revert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceFile {
    /// The file: `service:/path`, on a volume.
    pub(super) target: Target,
    /// Its new content, at most 4 KiB.
    content: String,
}

const NAME: &str = "replace-file";
/// It is part of the plan and of the journal.
const MOST: usize = 4096;

impl ReplaceFile {
    /// Whether the name now leads to these bytes.
    async fn is_ours(&self, cx: &Cx<'_>) -> Result<bool, FaultError> {
        let place = cx.site.place.clone();
        let content = MOST as u64 + 1;
        match cx.helper.read(Read::File { place, digest: false, content }).await? {
            Reading::File(facts) => {
                Ok(facts.is_some_and(|facts| facts.content.unwrap_or_default() == self.content))
            }
            other => Err(super::unexpected(&other)),
        }
    }
}

impl Fault for ReplaceFile {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str =
        "replace-file: { target: agent:/data/state.json, content: \"{}\" }";
    const ON_OTHERS: OnOthers = OnOthers::KEEPS_DAMAGE;

    fn kind(&self) -> Kind {
        Kind::Damage
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("replace `{}` by {} bytes", self.target, self.content.len()),
            undo: "put the old file back, unless there is a newer one".into(),
            proof: "the content is read, and stat finds the old file under a name of ours".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let large = (self.content.len() > MOST).then(|| {
            format!(
                "`content` has {} bytes, and at most {MOST} are replaced\n\nhint: shorten it",
                self.content.len()
            )
        });
        let needed = [
            checks::needs_path(NAME, &self.target),
            checks::needs_volume(NAME, &self.target, declared),
            large,
        ];
        needed.into_iter().flatten().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        Before::prepare(cx, Some(&self.content)).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        if !before.is_kept(cx).await? {
            return Ok(Effect::unproven("the old file does not lie beside its name"));
        }
        let what = format!("{} bytes where {} were", self.content.len(), before.size);
        Ok(match before.now(cx).await? {
            Now::Same => Effect::unproven("the old file has its name still"),
            Now::Other(_) if self.is_ours(cx).await? => Effect::proven(what),
            Now::Nothing | Now::Other(_) => {
                Effect::proven(what).note("the subject has written there since")
            }
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
        protocol::Op,
    };

    const KEPT: &str = "/data/.keelhaul-r1-kept-12";

    fn fault(content: &str) -> ReplaceFile {
        serde_saphyr::from_str(&format!("{{ target: agent:/data/f, content: \"{content}\" }}"))
            .unwrap()
    }

    #[tokio::test]
    async fn the_new_content_is_read_and_the_old_file_seen_aside() {
        let (fake, site) = (Fake::default(), testing::site("/data/f", "docker: {}"));
        fake.world().files.insert("/data/f".into(), testing::file(12, 1));
        // what every file of the fake holds
        let (cx, fault) = (fake.cx(&site), fault("hello"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let ours = |content: &Option<String>| content.as_deref() == Some("hello");
        assert!(matches!(&prepared.ops[0], Op::SetAside { content, .. } if ours(content)));
        assert!(matches!(&prepared.undo[0], Op::PutBack { content, .. } if ours(content)));
        let before = prepared.before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().files.insert("/data/f".into(), testing::file(13, 1));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "not by us");
        fake.world().files.insert(KEPT.into(), testing::file(12, 1));
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(effect.proven && effect.notes.is_empty(), "{effect:?}");
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(fault.prepare(&cx).await.is_ok(), "another file has the name by now");
    }

    #[test]
    fn static_complaints() {
        let volume = testing::volume_spec("docker: {}");
        let on = |volume| Declared { volume, is_mount_point: false, host_wide: false };
        assert!(fault("x").check(&on(Some(&volume))).is_empty());
        assert_eq!(fault("x").check(&on(None)).len(), 1);
        assert_eq!(fault(&"x".repeat(5000)).check(&on(Some(&volume))).len(), 1);
    }
}
