//! `corruption`: bytes are read or written wrong, and nothing says so.
//!
//! Mechanism: a rule in the file interposer under the volume. Blast radius: one volume, for whoever
//! uses it. Undone by disarming the rule; what was written wrong stays wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    io::{Aim, Before},
    io_bytes::{Bytes, only_bytes},
};
use crate::{
    protocol::{
        ByteRange, Caller, Capability, Damage, IoAction, IoOp, IoRule, Outcome, TriedBytes, Trigger,
    },
    units::Size,
};

/// Makes some bytes wrong in writes or reads, and says nothing.
///
/// What is written wrong lasts; what is read wrong is right again when it is read the next time, or
/// wrong elsewhere. Where, the seed says. It takes `interpose: file` at the volume, or `insert:
/// true`; memory maps are not struck. Use it to see whether anybody looks at a checksum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Corruption {
    /// A directory on the volume, or one file: `service:/path`.
    pub(super) target: Target,
    /// Operations in which bytes go wrong: `read`, `write`.
    #[serde(default = "default_ops")]
    ops: Vec<IoOp>,
    /// What becomes of them.
    #[serde(default = "default_damage")]
    damage: Damage,
    /// How many in each operation, one after the other, from `1B` to `64KiB`.
    #[serde(default = "default_bytes")]
    bytes: Size,
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

const NAME: &str = "corruption";

/// More in one operation is another file, and no corruption.
const MOST: Size = Size(64 << 10);

fn default_ops() -> Vec<IoOp> {
    vec![IoOp::Write]
}

fn default_damage() -> Damage {
    Damage::BitFlip
}

fn default_bytes() -> Size {
    Size(1)
}

impl Corruption {
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
            besides: None,
            insert: Some(self.insert),
        }
    }

    fn bytes(&self) -> Bytes<'_> {
        Bytes::of(self.aim())
    }

    fn words(&self) -> String {
        let how = match self.damage {
            Damage::BitFlip => "have a bit turned over",
            Damage::Garbage => "become others",
            Damage::Zero => "become zero",
        };
        format!("in {}, {} of each {how}", self.aim().words(), self.bytes)
    }
}

/// All of it was moved, as it said, and not all of it is right.
fn shows(tried: &TriedBytes) -> bool {
    tried.errno.is_none() && tried.moved == tried.block && tried.arrived < tried.block
}

impl Fault for Corruption {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str =
        "corruption: { target: agent:/backup, ops: [write], damage: bit-flip, bytes: 1B }";
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
            act: self.words(),
            undo: "disarm the rule; what was written wrong stays".into(),
            proof: "known bytes, moved to or from files of our own through the same mount, do not \
                    all arrive as they were"
                .into(),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        self.when.until.is_some()
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        let bytes = u32::try_from(self.bytes.0).unwrap_or(u32::MAX);
        vec![self.aim().rule(below, IoAction::Corrupt { damage: self.damage, bytes })]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let bytes = (self.bytes.0 == 0 || self.bytes > MOST).then(|| {
            format!(
                "`{NAME}` makes 1B to {MOST} wrong in each operation\n\nhint: write `bytes: 1B`"
            )
        });
        let wrong = self.aim().check(declared).into_iter();
        wrong.chain(only_bytes(NAME, &self.ops)).chain(bytes).collect()
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

    fn fault(yaml: &str) -> Corruption {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_when_all_was_moved_and_not_all_is_right() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data' }"));
        let Prepared { before, .. } = fault.prepare(&cx).await.unwrap();
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        let after = async |errno, moved, arrived, untouched| {
            fake.world().beneath.interposed.bytes = Some((errno, moved, arrived, untouched));
            fault.verify(&before, &[], &cx).await.unwrap().proven
        };
        assert!(after(None, 4096, 4095, 0).await);
        assert!(!after(None, 4096, 4096, 0).await);
        assert!(!after(None, 4095, 4095, 1).await, "it said so");
        assert!(!after(Some("EIO"), 0, 0, 4096).await, "it said so");
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.bytes = None;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn refused_where_bytes_do_not_arrive_as_it_is() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        fake.world().beneath.interposed.bytes = Some((None, 4096, 4095, 0));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data' }"));
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn some_bytes_and_not_a_file_of_them() {
        let count = |bytes: &str| {
            let volume = testing::volume_spec(VOLUME);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            fault(&format!("{{ target: 'agent:/data', bytes: {bytes} }}")).check(&declared).len()
        };
        assert_eq!([count("1B"), count("64KiB")], [0; 2]);
        assert_eq!([count("0B"), count("65KiB")], [1; 2]);
    }
}
