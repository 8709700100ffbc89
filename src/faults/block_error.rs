//! `block-error`: requests to the disk under a filesystem fail.
//!
//! Mechanism: a rule in the disk of ours under the volume. Blast radius: one volume, for whoever uses
//! it. Undone by disarming the rule; a filesystem that has given up meanwhile comes back when it is
//! mounted anew.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    block_io::DiskAim,
    io::{Before, Hit, NEVER_SLOW},
};
use crate::{
    protocol::{ByteRange, Capability, DiskOp, IoAction, Outcome, Trigger},
    volumes::Layer,
};

/// Makes what a filesystem asks of its disk fail with EIO.
///
/// Reads, writes, flushes or discards: what fails is not done. The filesystem makes of it what it
/// makes of a bad disk: an `fsync` fails, once; without its journal ext4 takes no more changes, and
/// xfs nothing at all, until the service is restarted after the revert. What is in the page cache
/// is not read from the disk. It takes `interpose: block` at the volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockError {
    /// Where the volume is mounted, for all of its disk, or a file on it, for where that lies on the
    /// disk when the fault is injected: `service:/path`.
    pub(super) target: Target,
    /// Requests that fail.
    #[serde(default = "default_ops")]
    ops: Vec<DiskOp>,
    /// Only those that touch this range of the disk; flushes have no place.
    range: Option<ByteRange>,
    /// Which of them; all without it.
    #[serde(default)]
    when: Trigger,
}

fn default_ops() -> Vec<DiskOp> {
    vec![DiskOp::Read, DiskOp::Write]
}

const ACTION: IoAction = IoAction::Error { errno: libc::EIO };

impl BlockError {
    fn aim(&self) -> DiskAim<'_> {
        let Self { target, ops, range, when } = self;
        DiskAim { name: "block-error", target, ops, range: *range, when }
    }
}

impl Fault for BlockError {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "block-error: { target: agent:/data, ops: [write, flush] }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("{} fail with EIO", self.aim().words()),
            undo: "disarm the rule; a filesystem that has given up is mounted anew by a restart"
                .into(),
            proof: "the same requests on the device, behind the filesystem's end, get EIO".into(),
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
        self.aim().prepare(cx, ACTION, Hit::slow(NEVER_SLOW)).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let aim = self.aim();
        let tried = aim.attempt(before, cx, Hit::slow(NEVER_SLOW)).await?;
        let proven = tried.iter().all(|one| one.errno.as_deref() == Some("EIO"));
        let effect = Effect { proven, evidence: aim.told(&tried), notes: Vec::new() };
        aim.seen(before, cx, effect).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        self.aim().gone(before, cx, Hit::slow(NEVER_SLOW)).await
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
    async fn proven_when_every_request_gets_an_error() {
        let site = testing::site("/data", "ext4: { size: 64MiB, interpose: block }");
        let fake = Fake::default();
        let fault: BlockError = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
        let cx = fake.cx(&site);
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { interposer, rules, seed: 7, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!((interposer.as_str(), rules.len()), ("keelhaul-r1-data", 1));
        assert!(matches!(&undo[..], [Op::DisarmRules { .. }]));
        let proven =
            async || fault.verify(&before, &[], &fake.cx(&site)).await.map(|effect| effect.proven);
        assert!(!proven().await.unwrap());
        fake.world().beneath.interposed.struck = Some((Some("EIO"), 30));
        assert!(!proven().await.unwrap(), "nothing is armed");
        let armed = RuleFacts { armed: true, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(armed);
        assert!(proven().await.unwrap());
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(
            matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))),
            "it fails already"
        );
        fake.world().beneath.interposed.struck = Some((Some("ENOSPC"), 30));
        assert!(!proven().await.unwrap());
        fake.world().beneath.interposed.struck = None;
        let nobody = fault.verify_reverted(&before, &cx).await;
        assert!(matches!(nobody, Err(FaultError::ReachedNobody(_))), "{nobody:?}");
        let struck = RuleFacts { matched: 3, hit: 1, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(struck);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }
}
