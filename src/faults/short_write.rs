//! `short-write`: a read or a write moves fewer bytes than were asked for, and says so.
//!
//! Mechanism: a rule in the file interposer under the volume. Blast radius: one volume, for whoever
//! uses it. Undone by disarming the rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    io::{Aim, Before},
    io_bytes::{Bytes, Cut, only_bytes},
};
use crate::{
    protocol::{
        ByteRange, Caller, Capability, IoAction, IoOp, IoRule, Outcome, TriedBytes, Trigger,
    },
    units::{Percent, Size},
};

/// Makes writes or reads move fewer bytes than were asked for, and say so.
///
/// Nothing fails: whoever goes on where it stopped gets everything done. An operation on one byte
/// is left alone. It takes `interpose: file` at the volume, or `insert: true`; memory maps are not
/// struck. Use it to see whether the number that `write` and `read` return is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShortWrite {
    /// A directory on the volume, or one file: `service:/path`.
    pub(super) target: Target,
    /// Operations that are cut short: `read`, `write`.
    #[serde(default = "default_ops")]
    ops: Vec<IoOp>,
    /// Bytes that are moved, from `1B` to `64KiB`; without it and `percent`, as the seed says. What
    /// has no more is left alone.
    keep: Option<Size>,
    /// Instead of `keep`: this share of each.
    percent: Option<Percent>,
    /// Only files whose path below the target matches this glob: `**/*.log`.
    files: Option<String>,
    /// Only operations of these callers.
    #[serde(default)]
    by: Caller,
    /// Only those that touch this range of a file.
    range: Option<ByteRange>,
    /// Only those of this many bytes or more.
    at_least: Option<Size>,
    /// Which of them; all without it.
    #[serde(default)]
    when: Trigger,
    /// Inserts an interposer over the volume, or over the target where that lies on none, for as
    /// long as the fault lasts. What is open already escapes it.
    #[serde(default)]
    insert: bool,
}

const NAME: &str = "short-write";

fn default_ops() -> Vec<IoOp> {
    vec![IoOp::Write]
}

impl ShortWrite {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: NAME,
            target: &self.target,
            files: self.files.as_deref(),
            ops: &self.ops,
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
}

/// It has said how much was moved, that is there, and behind it is what was there before.
fn shows(tried: &TriedBytes) -> bool {
    tried.errno.is_none()
        && tried.moved < tried.block
        && tried.arrived == tried.moved
        && tried.arrived + tried.untouched == tried.block
}

impl Fault for ShortWrite {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "short-write: { target: agent:/data/journal.log, percent: 50% }";
    const ON_OTHERS: OnOthers = OnOthers::Inserted;

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
            act: format!("{} move a part, {}", self.aim().words(), self.cut().words()),
            undo: "disarm the rule".into(),
            proof: "the same operations on files of our own through the same mount say that they \
                    moved a part, and that part is there"
                .into(),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        self.when.until.is_some()
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        vec![self.aim().rule(below, IoAction::Shorten { keep: self.cut().keep() })]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let wrong = self.aim().check(declared).into_iter();
        wrong.chain(only_bytes(NAME, &self.ops)).chain(self.cut().check(NAME)).collect()
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
        self.bytes().shown(before, cx, shows).await
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
        protocol::RuleFacts,
    };

    const VOLUME: &str = "docker: { interpose: file }";

    fn fault(yaml: &str) -> ShortWrite {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_when_the_number_is_smaller_and_true() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data' }"));
        let Prepared { before, .. } = fault.prepare(&cx).await.unwrap();
        let after = async |errno, moved, arrived, untouched| {
            fake.world().beneath.interposed.bytes = Some((errno, moved, arrived, untouched));
            fault.verify(&before, &[], &cx).await.unwrap().proven
        };
        assert!(!after(None, 100, 100, 3996).await, "nothing is armed");
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        assert!(after(None, 100, 100, 3996).await);
        assert!(!after(None, 100, 90, 4006).await, "less is there than it said");
        assert!(!after(None, 100, 100, 3000).await, "what is behind it has changed");
        assert!(!after(None, 4096, 4096, 0).await);
        assert!(!after(Some("EIO"), 0, 100, 3996).await);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.bytes = None;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn only_what_moves_bytes_can_be_cut() {
        let count = |ops: &str| {
            let volume = testing::volume_spec(VOLUME);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            fault(&format!("{{ target: 'agent:/data', ops: {ops} }}")).check(&declared).len()
        };
        assert_eq!(count("[read, write]"), 0);
        assert_eq!(count("[write, fsync]"), 1);
        assert_eq!(count("[]"), 1);
    }
}
