//! `lying-flush`: a disk says that it is flushed, and is not.
//!
//! Mechanism: a rule in the disk of ours under the volume's filesystem: what was written stays in the
//! disk's cache. Blast radius: one volume, for whoever uses it. Undone by disarming the rule: the
//! next flush makes durable what the lost ones did not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    block_io::DiskAim,
    io::{Before, Hit, NEVER_SLOW},
    io_window::ALWAYS,
};
use crate::{
    protocol::{Capability, DiskOp, IoAction, Outcome, TriedDurable},
    volumes::Layer,
};

/// Lets a disk say that it is flushed when it is not.
///
/// So does a disk with a cache that ignores flushes. A filesystem trusts in them to keep its journal
/// before what the journal is about. Nothing shows it until the power goes: inject `power-cut` while
/// it is in force. The disk keeps the last 64 MiB to itself; what is older becomes durable on its own.
/// It takes `interpose: block` at the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LyingFlush {
    /// Where the volume is mounted: `service:/path`.
    pub(super) target: Target,
}

const NAME: &str = "lying-flush";

/// How the flush of a trial went.
fn told(tried: &TriedDurable) -> String {
    let said = tried.errno.as_deref().unwrap_or("done");
    let durable = if tried.durable { "is durable" } else { "is not durable" };
    format!("flush of a write of our own: {said}; what was written {durable}")
}

impl LyingFlush {
    fn aim(&self) -> DiskAim<'_> {
        let (target, ops) = (&self.target, &[DiskOp::Flush]);
        DiskAim { name: NAME, target, ops, range: None, when: ALWAYS }
    }
}

impl Fault for LyingFlush {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "lying-flush: { target: agent:/data }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("{} says that it is done, and is not", self.aim().words()),
            undo: "disarm the rule".into(),
            proof:
                "a write and a flush on the device, behind the filesystem's end, work, and a cut \
                    of the power would still take the write"
                    .into(),
        }
    }

    fn strikes(&self) -> Option<Layer> {
        Some(Layer::Block)
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        wrong.extend(super::checks::needs_mount_point(NAME, &self.target, declared));
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        self.aim().prepare(cx, IoAction::LoseSync, Hit::slow(NEVER_SLOW)).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let tried = self.aim().flush(before, cx).await?;
        let proven = tried.errno.is_none() && !tried.durable;
        let effect = Effect { proven, evidence: told(&tried), notes: Vec::new() };
        self.aim().seen(before, cx, effect).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let tried = self.aim().flush(before, cx).await?;
        if tried.errno.is_some() || !tried.durable {
            return Ok(Effect::unproven(told(&tried)));
        }
        self.aim().reached(before, cx).await
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
    async fn proven_when_a_flush_works_and_makes_nothing_durable() {
        let site = testing::site("/data", "xfs: { size: 300MiB, interpose: block }");
        let fake = Fake::default();
        let fault: LyingFlush = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
        let cx = fake.cx(&site);
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!((rules.len(), rules[0].action), (1, IoAction::LoseSync));
        assert!(matches!(&undo[..], [Op::DisarmRules { .. }]));
        let armed = RuleFacts { armed: true, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(armed);
        let cases = [((None, true), false), ((Some("EIO"), false), false), ((None, false), true)];
        for (durable, proven) in cases {
            fake.world().beneath.interposed.durable = durable;
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{durable:?}");
        }
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.durable = (None, true);
        let nobody = fault.verify_reverted(&before, &cx).await;
        assert!(matches!(nobody, Err(FaultError::ReachedNobody(_))), "{nobody:?}");
        let struck = RuleFacts { matched: 1, hit: 1, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(struck);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }
}
