//! `lost-write`: a write says that it is done, and is not.
//!
//! Mechanism: a rule in the file interposer under the volume, which takes a write and forgets it.
//! Blast radius: one volume, for whoever uses it. Undone by disarming the rule; what was not written
//! stays away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    io::{Aim, Before},
    io_bytes::Bytes,
};
use crate::{
    protocol::{
        ByteRange, Caller, Capability, IoAction, IoOp, IoRule, Outcome, TriedBytes, Trigger,
    },
    units::Size,
};

/// Takes writes to files, says that they are done, and does not do them.
///
/// Nothing fails, and what was there before is read again: old bytes, a hole, or a shorter file. It
/// takes `interpose: file` at the volume, or `insert: true`; memory maps are not struck. Use it to
/// see whether anybody looks at what he has written. `phantom-write` does it to a disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LostWrite {
    /// A directory on the volume, or one file: `service:/path`.
    pub(super) target: Target,
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

impl LostWrite {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: "lost-write",
            target: &self.target,
            files: self.files.as_deref(),
            ops: &[IoOp::Write],
            by: &self.by,
            range: self.range,
            at_least: self.at_least,
            when: &self.when,
            besides: None,
            insert: Some(self.insert),
        }
    }

    fn bytes(&self) -> Bytes<'_> {
        Bytes::of(self.aim())
    }
}

/// It has said that all of it was moved, and what was there before is there.
fn shows(tried: &TriedBytes) -> bool {
    let said = tried.errno.is_none() && tried.moved == tried.block;
    said && tried.arrived == 0 && tried.untouched == tried.block
}

impl Fault for LostWrite {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "lost-write: { target: agent:/data, files: \"*.log\" }";
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
            act: format!("{} say that they are done, and are not", self.aim().words()),
            undo: "disarm the rule; what was not written stays away".into(),
            proof:
                "known bytes, written to a file of our own through the same mount, are not there"
                    .into(),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        self.when.until.is_some()
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        vec![self.aim().rule(below, IoAction::LoseWrite)]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        self.aim().check(declared)
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

    #[tokio::test]
    async fn proven_when_it_says_so_and_nothing_has_changed() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: { interpose: file }"));
        let fault: LostWrite = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
        let cx = fake.cx(&site);
        let Prepared { before, .. } = fault.prepare(&cx).await.unwrap();
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        let after = async |errno, moved, arrived, untouched| {
            fake.world().beneath.interposed.bytes = Some((errno, moved, arrived, untouched));
            fault.verify(&before, &[], &cx).await.unwrap().proven
        };
        assert!(after(None, 4096, 0, 4096).await);
        assert!(!after(None, 4096, 4096, 0).await);
        assert!(!after(None, 4096, 1, 4095).await, "some of it is there");
        assert!(!after(None, 4096, 0, 4095).await, "what was there has changed");
        assert!(!after(None, 0, 0, 4096).await, "it said so");
        assert!(!after(Some("EIO"), 0, 0, 4096).await, "it said so");
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.bytes = None;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }
}
