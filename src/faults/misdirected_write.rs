//! `misdirected-write`: a disk writes at another place than it was told to.
//!
//! Mechanism: a rule in the disk of ours under the volume, which does a write elsewhere. Blast radius:
//! one volume, for whoever uses it. Undone by disarming the rule; what was written elsewhere stays
//! there, over what the filesystem had there, and its own place keeps what it had before.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    block_io::DiskAim, io::Before,
};
use crate::{
    block::CHUNK,
    protocol::{ByteRange, Capability, DiskOp, IoAction, Outcome, TriedBytes, Trigger},
    units::Size,
    volumes::Layer,
};

/// Lets a disk write at another place than it was told to.
///
/// Nothing fails: its own place keeps what it had, and another one loses that. Where that is, the
/// seed says: a write of the same place and length lands at the same other one, in whole blocks of
/// 4 KiB, and on the filesystem's own disk. What is in the page cache is right until it is read anew: inject
/// `drop-cache`, or restart the service. The filesystem's own blocks may be hit, whatever the
/// target is, and it may not be mounted again. It takes `interpose: block` at the volume. Use it
/// to see whether anybody reads what he has written, and knows his own from somebody else's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MisdirectedWrite {
    /// Where the volume is mounted, for all of its disk, or a file on it, for where that lies on the
    /// disk when the fault is injected: `service:/path`.
    pub(super) target: Target,
    /// How far away a write may land, from where it should begin or end; from `4KiB`.
    #[serde(default = "default_distance")]
    distance: Size,
    /// Only writes that touch this range of the disk.
    range: Option<ByteRange>,
    /// Which of them; all without it.
    #[serde(default)]
    when: Trigger,
}

const NAME: &str = "misdirected-write";

fn default_distance() -> Size {
    Size(1 << 20)
}

impl MisdirectedWrite {
    fn aim(&self) -> DiskAim<'_> {
        let Self { target, range, when, .. } = self;
        DiskAim { name: NAME, target, ops: &[DiskOp::Write], range: *range, when }
    }
}

impl Fault for MisdirectedWrite {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "misdirected-write: { target: agent:/data, distance: 64KiB }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!(
                "{} is done up to {} away from where it should",
                self.aim().words(),
                self.distance
            ),
            undo: "disarm the rule; what was written elsewhere stays there, and is missing here"
                .into(),
            proof:
                "known bytes, written to the device behind the filesystem's end, are not there, \
                    and are a block before"
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
        let mut wrong = self.aim().check(declared);
        let Size(distance) = self.distance;
        if distance == 0 || !distance.is_multiple_of(CHUNK as u64) {
            wrong.push(format!(
                "`{NAME}` lands whole blocks of 4 KiB away, and {} is no number of them\n\nhint: write a \
                 `distance` such as `4KiB` or `1MiB`",
                self.distance
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let action = IoAction::Misdirect { distance: self.distance };
        self.aim().prepare_bytes(cx, action).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let elsewhere = |tried: &TriedBytes| {
            let missing = tried.arrived == 0 && tried.untouched == tried.block;
            missing && tried.astray == tried.block
        };
        self.aim().bytes_seen(before, cx, elsewhere).await
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
    async fn proven_when_what_was_written_is_elsewhere_and_not_there() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let fault: MisdirectedWrite = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
        let cx = fake.cx(&site);
        let Prepared { before, ops, .. } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!(rules[0].action, IoAction::Misdirect { distance: Size(1 << 20) });
        let facts = RuleFacts { armed: true, matched: 1, hit: 1, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(facts);
        let cases = [
            ((None, 4096, 4096, 0), 0, false),
            ((Some("EIO"), 0, 0, 4096), 0, false),
            ((None, 4096, 0, 4096), 0, false),
            ((None, 4096, 0, 4095), 4096, false),
            ((None, 4096, 4096, 0), 4096, false),
            ((None, 4096, 0, 4096), 4096, true),
        ];
        for (bytes, astray, proven) in cases {
            fake.world().beneath.interposed.bytes = Some(bytes);
            fake.world().beneath.interposed.astray = astray;
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{bytes:?}, {astray} elsewhere");
        }
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "so already");
        fake.world().beneath.interposed.bytes = None;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn it_lands_whole_blocks_away() {
        let count = |distance: &str| {
            let volume = testing::volume_spec(VOLUME);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            let yaml = format!("{{ target: 'agent:/data', distance: {distance} }}");
            let fault: MisdirectedWrite = serde_saphyr::from_str(&yaml).unwrap();
            fault.check(&declared).len()
        };
        assert_eq!(["4KiB", "1MiB", "0B", "100B", "6KiB"].map(count), [0, 0, 1, 1, 1]);
    }
}
