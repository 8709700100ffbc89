//! `block-stall`: requests to the disk under a filesystem hang.
//!
//! Mechanism: a rule in the disk of ours under the volume, which keeps what is struck and serves
//! others meanwhile. Blast radius: one volume, for whoever uses it: a process that waits for its disk
//! cannot even be killed. Undone by disarming the rule, which the keeper does by itself when the time
//! is up: what hangs then is done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    block_io::DiskAim,
    io::{Before, Hit},
};
use crate::{
    protocol::{ByteRange, Capability, DiskOp, IoAction, Outcome, Trigger},
    units::Duration,
    volumes::Layer,
};

/// Lets what a filesystem asks of its disk hang.
///
/// So does a disk whose cable or network is gone. They are done when it is reverted, after `at_most`
/// at the latest. Who waits for one of them cannot be killed until then, unlike with `io-stall`. It
/// takes `interpose: block` at the volume. Use it to see whether the service answers within its own
/// deadline while its disk does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockStall {
    /// Where the volume is mounted, for all of its disk, or a file on it, for where that lies on the
    /// disk when the fault is injected: `service:/path`.
    pub(super) target: Target,
    /// It is over after this long, whatever else happens.
    #[serde(default = "default_at_most")]
    at_most: Duration,
    /// Requests that hang.
    #[serde(default = "default_ops")]
    ops: Vec<DiskOp>,
    /// Only those that touch this range of the disk; flushes have no place.
    range: Option<ByteRange>,
    /// Which of them; all without it.
    #[serde(default)]
    when: Trigger,
}

fn default_at_most() -> Duration {
    Duration::from_secs(10)
}

fn default_ops() -> Vec<DiskOp> {
    vec![DiskOp::Flush, DiskOp::Read, DiskOp::Write]
}

/// Less is over before it is looked at.
const LEAST: Duration = Duration::from_secs(1);
/// The kernel calls a task hung that waits for two minutes.
const MOST: Duration = Duration::from_secs(60);
/// What is not back by then hangs; it was back sooner before the injection.
const PATIENCE_MS: u64 = 500;
/// After the revert everybody who has hung goes first.
const REVIVAL_MS: u64 = 5000;

impl BlockStall {
    fn aim(&self) -> DiskAim<'_> {
        let Self { target, ops, range, when, .. } = self;
        DiskAim { name: "block-stall", target, ops, range: *range, when }
    }
}

impl Fault for BlockStall {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "block-stall: { target: agent:/data, at_most: 10s }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("{} hang for {} at most", self.aim().words(), self.at_most),
            undo: "disarm the rule; what hangs is done".into(),
            proof: "the same requests on the device, behind the filesystem's end, do not come back"
                .into(),
        }
    }

    fn lasts_at_most(&self) -> Option<Duration> {
        Some(self.at_most)
    }

    fn subject_may_end_it(&self) -> bool {
        self.when.until.is_some()
    }

    fn strikes(&self) -> Option<Layer> {
        Some(Layer::Block)
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        if self.at_most > MOST || self.at_most < LEAST {
            wrong.push(format!(
                "`at_most: {}` is not a time that a stall may last\n\nhint: write from {LEAST} to {MOST}",
                self.at_most
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let us = u64::try_from(self.at_most.0.as_micros()).unwrap_or(u64::MAX);
        let action = IoAction::Stall { us, errno: None };
        self.aim().prepare(cx, action, Hit::hung(PATIENCE_MS)).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let aim = self.aim();
        aim.await_struck(before, cx).await?;
        let tried = aim.attempt(before, cx, Hit::hung(PATIENCE_MS)).await?;
        let least = before.longest_us().div_ceil(1000);
        let evidence = format!("{}; before, {least} ms at most", aim.told(&tried));
        let proven = tried.iter().all(|one| one.hung);
        aim.seen(before, cx, Effect { proven, evidence, notes: Vec::new() }).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        self.aim().gone(before, cx, Hit::hung(REVIVAL_MS)).await
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

    fn fault(yaml: &str) -> BlockStall {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_when_no_request_comes_back() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data', at_most: 5s }"));
        assert_eq!(fault.lasts_at_most(), Some(Duration::from_secs(5)));
        let Prepared { before, ops, .. } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!(rules[0].action, IoAction::Stall { us: 5_000_000, errno: None });
        let facts = RuleFacts { armed: true, matched: 1, hit: 1, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(facts);
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.hangs = true;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "hangs already");
        fake.world().beneath.interposed.rules = None;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "nothing is armed");
    }

    #[test]
    fn what_is_over_too_soon_or_too_late_is_refused() {
        let count = |at_most: &str| {
            let volume = testing::volume_spec(VOLUME);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            fault(&format!("{{ target: 'agent:/data', at_most: {at_most} }}"))
                .check(&declared)
                .len()
        };
        assert_eq!([count("10s"), count("2m"), count("10ms")], [0, 1, 1]);
    }
}
