//! `bit-rot`: bits have turned over on the disk under a filesystem.
//!
//! Mechanism: a rule in the disk of ours under the volume, which turns them over in what is read;
//! what the disk keeps stays as it is. Blast radius: one volume, for whoever uses it. Undone by
//! disarming the rule; what was read meanwhile is in the page cache until it is dropped.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    block_io::DiskAim, io::Before, io_window::ALWAYS,
};
use crate::{
    protocol::{ByteRange, Capability, DiskOp, IoAction, Outcome, TriedBytes},
    units::Percent,
    volumes::Layer,
};

/// Turns bits over on the disk under a filesystem.
///
/// One bit in each block of 4 KiB that has rotted, the same one whenever it is read, and whatever is
/// written over it. Nothing fails: only a checksum shows it, and the filesystem has one for its own
/// blocks alone. What is in the page cache is not read: inject `drop-cache` after it, and again after
/// the revert. It takes `interpose: block` at the volume. Use it to see whether anybody looks at what
/// was stored long ago.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BitRot {
    /// Where the volume is mounted, for all of its disk, or a file on it, for where that lies on the
    /// disk when the fault is injected: `service:/path`.
    pub(super) target: Target,
    /// How many of the blocks have rotted; the seed says which.
    #[serde(default = "default_share")]
    share: Percent,
    /// Only those that touch this range of the disk.
    range: Option<ByteRange>,
}

const NAME: &str = "bit-rot";

fn default_share() -> Percent {
    Percent(100.0)
}

impl BitRot {
    fn aim(&self) -> DiskAim<'_> {
        let (target, ops) = (&self.target, &[DiskOp::Read]);
        DiskAim { name: NAME, target, ops, range: self.range, when: ALWAYS }
    }
}

impl Fault for BitRot {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "bit-rot: { target: agent:/data, share: 10% }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!(
                "{} finds a bit turned over in {} of the blocks",
                self.aim().words(),
                self.share
            ),
            undo: "disarm the rule; what was read meanwhile stays in the page cache".into(),
            proof: "known bytes, written to the device behind the filesystem's end, are read back \
                    with one bit turned over"
                .into(),
        }
    }

    fn strikes(&self) -> Option<Layer> {
        Some(Layer::Block)
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        if self.share.0 <= 0.0 {
            wrong.push(format!(
                "`{NAME}` turns nothing over in {} of the blocks\n\nhint: write a `share` above `0%`",
                self.share
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        self.aim().prepare_bytes(cx, IoAction::Rot { share: self.share }).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let turned = |tried: &TriedBytes| tried.arrived + 1 == tried.block;
        self.aim().bytes_seen(before, cx, turned).await
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

    const VOLUME: &str = "ext4: { size: 64MiB, interpose: block }";

    #[tokio::test]
    async fn proven_when_all_is_read_and_one_bit_is_wrong() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let fault: BitRot = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
        let cx = fake.cx(&site);
        let Prepared { before, ops, .. } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!(rules[0].action, IoAction::Rot { share: Percent(100.0) });
        let facts = RuleFacts { armed: true, matched: 1, hit: 1, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(facts);
        let cases = [
            ((None, 4096, 4096, 0), false),
            ((Some("EIO"), 0, 0, 4096), false),
            ((None, 4096, 0, 0), false),
            ((None, 4096, 4095, 0), true),
        ];
        for (bytes, proven) in cases {
            fake.world().beneath.interposed.bytes = Some(bytes);
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{bytes:?}");
        }
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "rotten already");
        fake.world().beneath.interposed.bytes = None;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn some_of_it_must_rot() {
        let count = |share: &str| {
            let volume = testing::volume_spec(VOLUME);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            let yaml = format!("{{ target: 'agent:/data', share: {share} }}");
            let fault: BitRot = serde_saphyr::from_str(&yaml).unwrap();
            fault.check(&declared).len()
        };
        assert_eq!([count("10%"), count("0%")], [0, 1]);
    }
}
