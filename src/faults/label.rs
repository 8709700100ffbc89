//! `label`: a file or a directory gets the `SELinux` label of something else.
//!
//! Mechanism: setxattr(2). Blast radius: every user of the volume. Undone by the old label, if nobody
//! else has set another since. Only where `SELinux` is enforcing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target, capacity, checks,
};
use crate::{
    protocol::{Capability, FileId, LabelFacts, Op, Outcome},
    units::is_selinux_label,
};

/// Gives a file or a directory another `SELinux` label.
///
/// As a mount without `:Z` leaves it, or a second container that relabels a private volume: with
/// other categories, or another type, the policy refuses what permissions allow. What is below a
/// directory keeps its label. Skipped where `SELinux` is not enforcing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The file or directory: `service:/path`.
    pub(super) target: Target,
    /// Its new label, as in `system_u:object_r:container_file_t:s0:c1,c2`.
    label: String,
}

const NAME: &str = "label";

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    file: FileId,
    facts: LabelFacts,
}

fn words(facts: &LabelFacts) -> String {
    let may = if facts.may_write { "may" } else { "may not" };
    let label = facts.label.as_deref().unwrap_or("none");
    format!("label {label}; `{}` {may} write there", facts.subject)
}

impl Fault for Label {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Selinux];
    const EXAMPLE: &'static str =
        "label: { target: agent:/data, label: \"system_u:object_r:container_file_t:s0:c1,c2\" }";
    const ON_OTHERS: OnOthers = OnOthers::changing(Changes::Files);

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("label `{}` as {}", self.target, self.label),
            undo: "set the old label".into(),
            proof: "the label is there, and the kernel's policy says what the service may do"
                .into(),
        }
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        if !is_selinux_label(&self.label) {
            wrong.push(format!(
                "`label: {}` is no label of SELinux\n\nhint: write `user:role:type:level`, as \
                 `system_u:object_r:container_file_t:s0:c1,c2`",
                self.label
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let Some(file) = cx.file_id(&place).await? else {
            return Err(FaultError::Refused(format!("there is no `{}`", self.target)));
        };
        let facts = cx.label(&place).await?;
        let Some(from) = facts.label.clone().filter(|label| *label != self.label) else {
            return Err(FaultError::Refused(format!(
                "`{}` has no label, or this one already, so the fault would do nothing",
                self.target
            )));
        };
        let set = |from: &str, to: &str| {
            let (place, from, to) = (place.clone(), from.to_owned(), to.to_owned());
            vec![Op::SetLabel { place, file, from, to }]
        };
        let (ops, undo) = (set(&from, &self.label), set(&self.label, &from));
        Ok(Prepared { before: Before { file, facts }, ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        if cx.file_id(&cx.site.place).await? != Some(before.file) {
            return Ok(Effect::unproven(format!("`{}` is another file now", self.target)));
        }
        let now = cx.label(&cx.site.place).await?;
        let evidence = format!("{}; before, {}", words(&now), words(&before.facts));
        if now.label.as_ref() != Some(&self.label) {
            return Ok(Effect::unproven(evidence));
        }
        let effect = Effect::proven(evidence);
        let same = now.may_write == before.facts.may_write;
        Ok(if same { effect.note("it may do there what it could before") } else { effect })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = capacity::ended(cx).await? {
            return Ok(ended);
        }
        if cx.file_id(&cx.site.place).await? != Some(before.file) {
            // what the subject put there instead was never changed
            return Ok(Effect::proven(format!("`{}` is another file now", self.target)));
        }
        let now = cx.label(&cx.site.place).await?;
        let proven = now.label.as_ref() != Some(&self.label);
        Ok(Effect { proven, evidence: words(&now), notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    const SHARED: &str = "system_u:object_r:container_file_t:s0";
    const PRIVATE: &str = "system_u:object_r:container_file_t:s0:c1,c2";

    fn fault(label: &str) -> Label {
        serde_saphyr::from_str(&format!("{{ target: agent:/data, label: \"{label}\" }}")).unwrap()
    }

    fn facts(label: &str, may_write: bool) -> LabelFacts {
        let subject = "system_u:system_r:container_t:s0:c3,c4".into();
        LabelFacts { label: Some(label.into()), subject, may_write }
    }

    fn world() -> Fake {
        let fake = Fake::default();
        fake.world().files.insert("/data".into(), testing::file(12, 2));
        fake.world().beneath.label = facts(SHARED, true);
        fake
    }

    #[tokio::test]
    async fn the_label_changes_and_comes_back() {
        let (fake, site) = (world(), testing::site("/data", "bind: {}"));
        let (cx, fault) = (fake.cx(&site), fault(PRIVATE));
        let prepared = fault.prepare(&cx).await.unwrap();
        let (place, file) = (site.place.clone(), FileId { dev: testing::DEV, inode: 12 });
        let op = |from: &str, to: &str| {
            vec![Op::SetLabel { place: place.clone(), file, from: from.into(), to: to.into() }]
        };
        assert_eq!((prepared.ops, prepared.undo), (op(SHARED, PRIVATE), op(PRIVATE, SHARED)));
        let before = prepared.before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "nothing happened");
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.label = facts(PRIVATE, false);
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(effect.proven && effect.notes.is_empty(), "{effect:?}");
        assert!(effect.evidence.contains("may not write"), "{effect:?}");
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "already");
        fake.world().beneath.label = facts(PRIVATE, true);
        assert_eq!(fault.verify(&before, &[], &cx).await.unwrap().notes.len(), 1);
        fake.world().files.insert("/data".into(), testing::file(13, 2));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "another file");
    }

    #[test]
    fn a_label_has_three_parts_or_more() {
        let declared = Declared { volume: None, is_mount_point: true, host_wide: false };
        for (label, wrong) in [(SHARED, 0), (PRIVATE, 0), ("container_file_t", 1), ("a::b", 1)] {
            assert_eq!(fault(label).check(&declared).len(), wrong, "{label}");
        }
    }
}
