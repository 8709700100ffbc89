//! `thin-pool-full`: the pool behind a disk has no room left for what was never written.
//!
//! Mechanism: a rule in the disk of ours under the volume: a write to a block that the disk has not
//! kept yet gets no room. Blast radius: one volume, for whoever uses it. Undone by disarming the rule:
//! the pool has been extended. A filesystem that has given up meanwhile is mounted anew by a restart.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    block_io::DiskAim,
    checks,
    io::{Before, Hit, NEVER_SLOW},
    io_window::ALWAYS,
};
use crate::{
    protocol::{Capability, DiskOp, IoAction, Outcome},
    volumes::Layer,
};

/// Leaves a disk without room for blocks that were never written.
///
/// So does a thin pool that is full (`dm-thin` with `error_if_no_space`): the filesystem has room, and
/// hands it out; that there is none behind it shows when it is written, in an `fsync` as a rule. What
/// was written before can be written again, and so can ext4's own tables and its journal. Reverted,
/// the pool has been extended. It takes `ext4` with `interpose: block`. Use it to see what becomes
/// of a write that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThinPoolFull {
    /// Where the volume is mounted: `service:/path`.
    pub(super) target: Target,
}

const NAME: &str = "thin-pool-full";

impl ThinPoolFull {
    fn aim(&self) -> DiskAim<'_> {
        let (target, ops) = (&self.target, &[DiskOp::Write]);
        DiskAim { name: NAME, target, ops, range: None, when: ALWAYS }
    }
}

impl Fault for ThinPoolFull {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "thin-pool-full: { target: agent:/data }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("{} to blocks that were never written fail", self.aim().words()),
            undo: "disarm the rule: the pool has been extended".into(),
            proof:
                "a write to a block of the device that was never written, behind the filesystem's \
                    end, gets ENOSPC"
                    .into(),
        }
    }

    fn strikes(&self) -> Option<Layer> {
        Some(Layer::Block)
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        wrong.extend(checks::needs_mount_point(NAME, &self.target, declared));
        let other = declared.volume.filter(|volume| volume.name() != "ext4");
        wrong.extend(other.filter(|_| wrong.is_empty()).map(|volume| {
            format!(
                "`{NAME}` knows what ext4 has had from its pool since it was made, and `{}` is on \
                 `{}`\n\nhint: use `ext4`",
                self.target,
                volume.name()
            )
        }));
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let action = IoAction::NoRoom { errno: libc::ENOSPC };
        self.aim().prepare(cx, action, Hit::slow(NEVER_SLOW)).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let aim = self.aim();
        let tried = aim.attempt(before, cx, Hit::slow(NEVER_SLOW)).await?;
        let proven = tried.iter().all(|one| one.errno.as_deref() == Some("ENOSPC"));
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
    async fn proven_when_what_was_never_written_gets_no_room() {
        let site = testing::site("/data", "ext4: { size: 64MiB, interpose: block }");
        let fake = Fake::default();
        let fault: ThinPoolFull = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
        let cx = fake.cx(&site);
        let Prepared { before, ops, .. } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!(rules[0].action, IoAction::NoRoom { errno: libc::ENOSPC });
        let facts = RuleFacts { armed: true, matched: 1, hit: 1, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(facts);
        for (errno, proven) in [(None, false), (Some("EIO"), false), (Some("ENOSPC"), true)] {
            fake.world().beneath.interposed.struck = errno.map(|errno| (Some(errno), 30));
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{errno:?}");
        }
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.struck = None;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn it_takes_an_ext4_on_a_disk_of_ours() {
        let count = |volume: &str| {
            let volume = testing::volume_spec(volume);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            let fault: ThinPoolFull = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
            fault.check(&declared).len()
        };
        assert_eq!(count("ext4: { size: 64MiB, interpose: block }"), 0);
        assert_eq!(count("xfs: { size: 300MiB, interpose: block }"), 1);
        assert_eq!(count("ext4: { size: 64MiB }"), 1);
    }
}
