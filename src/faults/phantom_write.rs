//! `phantom-write`: a disk says that it has written, and has not.
//!
//! Mechanism: a rule in the disk of ours under the volume, which takes a write and forgets it. Blast
//! radius: one volume, for whoever uses it. Undone by disarming the rule; what was not written stays
//! away, the filesystem's own blocks among it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    block_io::DiskAim, io::Before,
};
use crate::{
    protocol::{ByteRange, Capability, DiskOp, IoAction, Outcome, TriedBytes, Trigger},
    volumes::Layer,
};

/// Lets a disk say that it has written when it has not.
///
/// Nothing fails, and what was there before is read again, once it is not in the page cache any more:
/// inject `drop-cache`, or restart the service. On the whole disk the filesystem loses its own blocks
/// too, and may not be mounted again. It takes `interpose: block` at the volume. Use it to see
/// whether anybody reads what he has written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhantomWrite {
    /// Where the volume is mounted, for all of its disk, or a file on it, for where that lies on the
    /// disk when the fault is injected: `service:/path`.
    pub(super) target: Target,
    /// Only writes that touch this range of the disk.
    range: Option<ByteRange>,
    /// Which of them; all without it.
    #[serde(default)]
    when: Trigger,
}

impl PhantomWrite {
    fn aim(&self) -> DiskAim<'_> {
        let Self { target, range, when } = self;
        DiskAim { name: "phantom-write", target, ops: &[DiskOp::Write], range: *range, when }
    }
}

impl Fault for PhantomWrite {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "phantom-write: { target: agent:/data }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("{} says that it is done, and is not", self.aim().words()),
            undo: "disarm the rule; what was not written stays away".into(),
            proof: "known bytes, written to the device behind the filesystem's end, are not there"
                .into(),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        self.when.until.is_some()
    }

    fn strikes(&self) -> Option<Layer> {
        Some(Layer::Block)
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        self.aim().check(declared)
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        self.aim().prepare_bytes(cx, IoAction::LoseWrite).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let missing = |tried: &TriedBytes| tried.arrived == 0 && tried.untouched == tried.block;
        self.aim().bytes_seen(before, cx, missing).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        self.aim().bytes_gone(before, cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::{Op, RuleFacts},
    };

    #[tokio::test]
    async fn proven_when_nothing_of_what_was_written_is_there() {
        let site = testing::site("/data", "ext4: { size: 64MiB, interpose: block }");
        let fake = Fake::default();
        let fault: PhantomWrite = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
        let cx = fake.cx(&site);
        let Prepared { before, ops, .. } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!(rules[0].action, IoAction::LoseWrite);
        let facts = RuleFacts { armed: true, matched: 1, hit: 1, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(facts);
        let cases = [
            ((None, 4096, 4096, 0), false),
            ((Some("EIO"), 0, 0, 4096), false),
            ((None, 4096, 0, 4095), false),
            ((None, 4096, 0, 4096), true),
        ];
        for (bytes, proven) in cases {
            fake.world().beneath.interposed.bytes = Some(bytes);
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{bytes:?}");
        }
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "so already");
        fake.world().beneath.interposed.bytes = None;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }
}
