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
};
use crate::{
    protocol::{ByteRange, Capability, DiskOp, IoAction, Outcome, TriedOp, Trigger},
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
    /// Requests that take longer.
    #[serde(default = "default_ops")]
    ops: Vec<DiskOp>,
    /// Only those that touch this range of the disk; flushes have no place.
    range: Option<ByteRange>,
    /// Which of them; all without it.
    #[serde(default)]
    when: Trigger,
}

/// Less is lost among what a busy machine takes by itself.
const LEAST: Duration = Duration::from_millis(1);
/// More, and the proof would keep the steps waiting.
const MOST: Duration = Duration::from_secs(2);

fn default_ops() -> Vec<DiskOp> {
    vec![DiskOp::Flush, DiskOp::Read, DiskOp::Write]
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.0.as_micros()).unwrap_or(u64::MAX)
}

impl BlockLatency {
    fn aim(&self) -> DiskAim<'_> {
        let Self { target, ops, range, when, .. } = self;
        DiskAim { name: "block-latency", target, ops, range: *range, when }
    }

    fn hit(&self) -> Hit {
        Hit::slow(micros(self.latency))
    }

    fn shows(&self, one: &TriedOp) -> bool {
        one.errno.is_none() && !one.hung && one.took_us >= micros(self.latency)
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
        let jitter = match micros(self.jitter) {
            0 => String::new(),
            _ => format!(" and up to {} more", self.jitter),
        };
        Described {
            act: format!("{words} take {latency}{jitter} longer"),
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
        if self.latency < LEAST || self.latency.0 + self.jitter.0 > MOST.0 {
            wrong.push(format!(
                "a latency must be from {LEAST} to {MOST}, its jitter included\n\nhint: write \
                 `latency: 50ms`"
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let action = IoAction::Delay { us: micros(self.latency), jitter_us: micros(self.jitter) };
        let prepared = self.aim().prepare(cx, action, Hit::slow(NEVER_SLOW)).await?;
        let longest_us = prepared.before.longest_us();
        if longest_us >= micros(self.latency) {
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

    #[test]
    fn what_nobody_would_notice_or_wait_for_is_refused() {
        let count = |latency: &str| {
            let volume = testing::volume_spec(VOLUME);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            let yaml = format!("{{ target: 'agent:/data', latency: {latency}, jitter: 1ms }}");
            fault(&yaml).check(&declared).len()
        };
        assert_eq!([count("10ms"), count("100us"), count("2s")], [0, 1, 1]);
    }
}
