//! `io-latency`: operations on files take longer.
//!
//! Mechanism: a rule in the file interposer under the volume, which puts what is struck into a
//! queue by time and serves others meanwhile. Blast radius: one volume, for whoever uses it. Undone
//! by disarming the rule; what waits then goes on at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    io::{Aim, Before, told},
    latency::Latency,
};
use crate::{
    protocol::{ByteRange, Caller, Capability, Distribution, IoOp, IoRule, Outcome, Trigger},
    units::{Duration, Size},
};

/// Makes reads, writes, syncs or other operations on files take longer.
///
/// They are done all the same. It takes `interpose: file` at the volume, or `insert: true`. Use it
/// to see whether latency that users notice is noticed by the subject too, and what it does about
/// it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IoLatency {
    /// A directory on the volume, or one file: `service:/path`.
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
    /// Operations that take longer.
    #[serde(default = "default_ops")]
    ops: Vec<IoOp>,
    /// Only files whose path below the target matches this glob: `**/*.log`.
    files: Option<String>,
    /// Only operations of these callers.
    #[serde(default)]
    by: Caller,
    /// Only reads and writes that touch this range of a file.
    range: Option<ByteRange>,
    /// Only reads and writes of this many bytes or more.
    at_least: Option<Size>,
    /// Which of them; all without it.
    #[serde(default)]
    when: Trigger,
    /// Inserts an interposer over the volume, or over the target where that lies on none, for as
    /// long as the fault lasts. What is open already escapes it.
    #[serde(default)]
    insert: bool,
}

fn default_ops() -> Vec<IoOp> {
    vec![IoOp::Fsync, IoOp::Read, IoOp::Write]
}

impl IoLatency {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: "io-latency",
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

    fn slow(&self) -> Latency {
        let Self { latency, jitter, distribution, ramp, .. } = *self;
        Latency { latency, jitter, distribution, ramp }
    }

    /// What the operations took before could hide it.
    fn hidden_by(&self, before: &Before) -> bool {
        before.longest_us() >= self.slow().least_us()
    }
}

impl Fault for IoLatency {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "io-latency: { target: agent:/data, latency: 250ms }";
    const ON_OTHERS: OnOthers = OnOthers::Inserted;

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
            act: format!("{} take {}", self.aim().words(), self.slow().words()),
            undo: "disarm the rule; what waits goes on".into(),
            proof: format!(
                "the same operations on files of our own through the same mount take {} or more",
                self.latency
            ),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        self.when.until.is_some()
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        vec![self.aim().rule(below, self.slow().action())]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        wrong.extend(self.slow().check(&self.when, "250ms"));
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let rules = self.io_rules(cx.site.below().unwrap_or_default());
        let prepared = self.aim().prepare(cx, rules).await?;
        if self.hidden_by(&prepared.before) {
            return Err(FaultError::Refused(format!(
                "an operation took {} ms as it is, so {} more would not show",
                prepared.before.longest_us() / 1000,
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
        let slow_us = self.slow().least_us();
        self.slow().await_grown(before, cx).await?;
        let tried = self.aim().attempt(before, cx, slow_us).await?;
        let evidence: Vec<String> = tried.iter().map(told).collect();
        let slow = |one: &crate::protocol::TriedOp| one.errno.is_none() && one.took_us >= slow_us;
        let proven = tried.iter().all(slow);
        let evidence = format!(
            "{}; before, {} ms at most",
            evidence.join(", "),
            before.longest_us().div_ceil(1000)
        );
        let effect = Effect { proven, evidence, notes: Vec::new() };
        self.aim().seen(before, cx, effect).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        self.aim().gone(before, cx, self.slow().least_us()).await
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

    fn fault(yaml: &str) -> IoLatency {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_when_every_operation_takes_as_long() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data', latency: 250ms }"));
        let Prepared { before, .. } = fault.prepare(&cx).await.unwrap();
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.struck = Some((None, 251_000));
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "slow already");
        fake.world().beneath.interposed.struck = Some((Some("EIO"), 251_000));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
    }
}
