//! `block-latency`: requests to the disk under a filesystem take longer.
//!
//! Mechanism: a rule in the disk of ours under the volume, which puts what is struck into a queue by
//! time and serves others meanwhile. Blast radius: one volume, for whoever uses it. Undone by
//! disarming the rule; what waits then goes on at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    block_io::DiskAim,
    io::{Before, Hit, NEVER_SLOW},
    latency::Latency,
};
use crate::{
    protocol::{ByteRange, Capability, DiskOp, Distribution, Outcome, TriedOp, Trigger},
    units::Duration,
    volumes::Layer,
};

/// Makes what a filesystem asks of its disk take longer.
///
/// Reads, writes, flushes or discards: they are done all the same. One `fsync` asks the disk for
/// several of them, one after the other: on ext4 it waits for two flushes or three. It takes
/// `interpose: block` at the volume. Use it to see whether the service shares its syncs, and says
/// so when its disk has become slow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockLatency {
    /// Where the volume is mounted, for all of its disk, or a file on it, for where that lies on the
    /// disk when the fault is injected: `service:/path`.
    pub(super) target: Target,
    /// How much longer, from `1ms` to `2s`.
    latency: Duration,
    /// Up to so much more, chosen by the seed.
    #[serde(default)]
    jitter: Duration,
    /// How the jitter lies: `uniform`, all of it alike; `normal`, around its middle; `pareto`, a long
    /// tail, where half of what is added is less than a hundredth of the jitter, and one in a hundred
    /// more than half of it.
    #[serde(default)]
    distribution: Distribution,
    /// Latency and jitter grow evenly from nothing over this time after the injection, up to 10s:
    /// the step lasts until then.
    #[serde(default)]
    ramp: Duration,
    /// Requests that take longer.
    #[serde(default = "default_ops")]
    ops: Vec<DiskOp>,
    /// Only those that touch this range of the disk; flushes have no place.
    range: Option<ByteRange>,
    /// Which of them; all without it.
    #[serde(default)]
    when: Trigger,
}

fn default_ops() -> Vec<DiskOp> {
    vec![DiskOp::Flush, DiskOp::Read, DiskOp::Write]
}

impl BlockLatency {
    fn aim(&self) -> DiskAim<'_> {
        let Self { target, ops, range, when, .. } = self;
        DiskAim { name: "block-latency", target, ops, range: *range, when }
    }

    fn slow(&self) -> Latency {
        let Self { latency, jitter, distribution, ramp, .. } = *self;
        Latency { latency, jitter, distribution, ramp }
    }

    fn hit(&self) -> Hit {
        Hit::slow(self.slow().least_us())
    }

    fn shows(&self, one: &TriedOp) -> bool {
        one.errno.is_none() && !one.hung && one.took_us >= self.slow().least_us()
    }
}

impl Fault for BlockLatency {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str =
        "block-latency: { target: agent:/data, latency: 50ms, ops: [flush] }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let (words, latency) = (self.aim().words(), self.latency);
        Described {
            act: format!("{words} take {}", self.slow().words()),
            undo: "disarm the rule; what waits goes on".into(),
            proof: format!(
                "the same requests on the device, behind the filesystem's end, take {latency} or more"
            ),
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
        wrong.extend(self.slow().check(&self.when, "50ms"));
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let prepared = self.aim().prepare(cx, self.slow().action(), Hit::slow(NEVER_SLOW)).await?;
        let longest_us = prepared.before.longest_us();
        if longest_us >= self.slow().least_us() {
            return Err(FaultError::Refused(format!(
                "a request took {} ms as it is, so {} more would not show",
                longest_us / 1000,
                self.latency
            )));
        }
        Ok(prepared)
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        self.slow().await_grown(before, cx).await?;
        let aim = self.aim();
        let tried = aim.attempt(before, cx, self.hit()).await?;
        let least = before.longest_us().div_ceil(1000);
        let evidence = format!("{}; before, {least} ms at most", aim.told(&tried));
        let proven = tried.iter().all(|one| self.shows(one));
        aim.seen(before, cx, Effect { proven, evidence, notes: Vec::new() }).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        self.aim().gone(before, cx, self.hit()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::RuleFacts,
    };

    const VOLUME: &str = "ext4: { size: 64MiB, interpose: block }";

    fn fault(yaml: &str) -> BlockLatency {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_when_every_request_takes_as_long() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data', latency: 50ms }"));
        let Prepared { before, .. } = fault.prepare(&cx).await.unwrap();
        let facts = RuleFacts { armed: true, matched: 1, hit: 1, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(facts);
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.struck = Some((None, 51_000));
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "slow already");
        fake.world().beneath.interposed.struck = Some((Some("EIO"), 51_000));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
    }
}
