//! `torn-write`: the first part of a write is on the disk, the rest is not.
//!
//! Mechanism: a rule in the file interposer under the volume. Blast radius: one volume, for whoever
//! uses it. Undone by disarming the rule; what was torn stays as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    io::{Aim, Before},
    io_bytes::{Bytes, Cut},
};
use crate::{
    errno::{Errno, ErrnoName},
    protocol::{
        ByteRange, Caller, Capability, IoAction, IoOp, IoRule, Outcome, TriedBytes, Trigger,
    },
    units::{Percent, Size},
};

/// Writes the first part of what is to be written, and fails.
///
/// The part stays. A write of one byte is left alone. It takes `interpose: file` at the volume, or
/// `insert: true`; writes through memory maps are not struck. Use it, with a `crash` after it, to
/// see whether a torn record is told from a whole one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TornWrite {
    /// A directory on the volume, or one file: `service:/path`.
    pub(super) target: Target,
    /// Bytes that are written, from `1B` to `64KiB`; without it and `percent`, as the seed says. A
    /// write that has no more is left alone.
    keep: Option<Size>,
    /// Instead of `keep`: this share of each write.
    percent: Option<Percent>,
    /// What the write fails with.
    #[serde(default = "default_errno")]
    errno: ErrnoName,
    /// Only files whose path below the target matches this glob: `**/*.log`.
    files: Option<String>,
    /// Only writes of these callers.
    #[serde(default)]
    by: Caller,
    /// Only writes that touch this range of a file.
    range: Option<ByteRange>,
    /// Only writes of this many bytes or more.
    at_least: Option<Size>,
    /// Which of them; all without it.
    #[serde(default)]
    when: Trigger,
    /// Inserts an interposer over the volume, or over the target where that lies on none, for as
    /// long as the fault lasts. What is open already escapes it.
    #[serde(default)]
    insert: bool,
}

const NAME: &str = "torn-write";

fn default_errno() -> ErrnoName {
    ErrnoName(Errno(libc::EIO))
}

impl TornWrite {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: NAME,
            target: &self.target,
            files: self.files.as_deref(),
            ops: &[IoOp::Write],
            by: &self.by,
            range: self.range,
            at_least: self.at_least,
            when: &self.when,
            besides: self.cut().hint(),
            insert: Some(self.insert),
        }
    }

    fn cut(&self) -> Cut {
        Cut { keep: self.keep, percent: self.percent }
    }

    fn bytes(&self) -> Bytes<'_> {
        Bytes::cut(self.aim(), self.cut())
    }

    /// A first part is there, behind it is what was there before.
    fn shows(&self, tried: &TriedBytes) -> bool {
        tried.errno.as_deref() == Some(self.errno.as_str())
            && tried.arrived > 0
            && tried.arrived < tried.block
            && tried.arrived + tried.untouched == tried.block
    }
}

impl Fault for TornWrite {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "torn-write: { target: agent:/data/journal.log, percent: 50% }";
    const ON_OTHERS: OnOthers = OnOthers::KEEPS_DAMAGE;

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn scope(&self) -> Scope {
        self.aim().scope()
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!(
                "{} is done in part, {}, and fails with {}",
                self.aim().words(),
                self.cut().words(),
                self.errno
            ),
            undo: "disarm the rule; what was torn stays".into(),
            proof: format!(
                "a write to a file of our own through the same mount gets {}, and a first part of \
                 it is there",
                self.errno
            ),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        self.when.until.is_some()
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        let (keep, errno) = (self.cut().keep(), self.errno.0.0);
        vec![self.aim().rule(below, IoAction::Tear { keep, errno })]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        self.aim().check(declared).into_iter().chain(self.cut().check(NAME)).collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let rules = self.io_rules(cx.site.below().unwrap_or_default());
        self.bytes().prepare(cx, rules).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        self.bytes().shown(before, cx, |tried| self.shows(tried)).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        self.bytes().gone(before, cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::{Keep, RuleFacts},
    };

    const VOLUME: &str = "docker: { interpose: file }";

    fn fault(yaml: &str) -> TornWrite {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_when_a_first_part_is_there_and_the_rest_is_not() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data', keep: 100B }"));
        let Prepared { before, .. } = fault.prepare(&cx).await.unwrap();
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        let after = async |errno, moved, arrived, untouched| {
            fake.world().beneath.interposed.bytes = Some((errno, moved, arrived, untouched));
            fault.verify(&before, &[], &cx).await.unwrap().proven
        };
        assert!(after(Some("EIO"), 0, 100, 3996).await);
        assert!(!after(Some("EIO"), 0, 0, 4096).await, "nothing of it is there");
        assert!(!after(Some("EIO"), 0, 4096, 0).await, "all of it is there");
        assert!(!after(Some("EIO"), 0, 100, 3000).await, "what is behind it has changed");
        assert!(!after(Some("ENOSPC"), 0, 100, 3996).await);
        assert!(!after(None, 100, 100, 3996).await, "it did not fail");
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn writes_that_are_all_too_short_are_said_to_be_so() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data', keep: 1KiB }"));
        let Prepared { before, .. } = fault.prepare(&cx).await.unwrap();
        let rules = |hit| Some(RuleFacts { matched: 9, hit, ..RuleFacts::default() });
        fake.world().beneath.interposed.rules = rules(0);
        let nobody = fault.verify_reverted(&before, &cx).await;
        assert!(matches!(nobody, Err(FaultError::ReachedNobody(_))), "{nobody:?}");
        fake.world().beneath.interposed.rules = rules(1);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn a_part_is_neither_nothing_nor_all() {
        let count = |keep: &str| {
            let volume = testing::volume_spec(VOLUME);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            fault(&format!("{{ target: 'agent:/data', {keep} }}")).check(&declared).len()
        };
        assert_eq!([count("keep: 1B"), count("percent: 1%"), count("errno: EIO")], [0; 3]);
        assert_eq!([count("keep: 0B"), count("keep: 65KiB"), count("percent: 0%")], [1; 3]);
        assert_eq!([count("percent: 100%"), count("keep: 1B, percent: 5%")], [1; 2]);
    }

    #[test]
    fn parameters_become_a_rule() {
        let action = |keep: &str| {
            fault(&format!("{{ target: 'agent:/data', {keep} }}")).io_rules("")[0].action
        };
        let tear = |keep, errno| IoAction::Tear { keep, errno };
        assert_eq!(action("errno: ENOSPC"), tear(Keep::Seeded, libc::ENOSPC));
        assert_eq!(action("keep: 9B"), tear(Keep::Bytes(Size(9)), libc::EIO));
        assert_eq!(action("percent: 9%"), tear(Keep::Share(Percent(9.0)), libc::EIO));
    }
}
