//! `io-stall`: operations on files hang.
//!
//! Mechanism: a rule in the file interposer under the volume, which keeps what is struck and serves
//! others meanwhile. Blast radius: one volume, for whoever uses it. Undone by disarming the rule,
//! which the keeper does by itself when the time is up: what hangs then comes back, and whoever is
//! killed meanwhile ends at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks,
    io::{Aim, Before, Hit, told},
    io_then::Then,
};
use crate::{
    errno::ErrnoName,
    protocol::{ByteRange, Caller, Capability, IoAction, IoOp, IoRule, Outcome, TriedOp, Trigger},
    units::{Duration, Size},
};

/// Lets reads, writes, syncs or other operations on files hang.
///
/// So does a network filesystem whose server is gone. They come back when it is reverted, after
/// `at_most` at the latest, or each of them after `for`: done, or with the error that `then` names.
/// Who hangs can be killed. It takes `interpose: file` at the volume, or `insert: true`. Use it to
/// see whether the service answers within its own deadline, and what it makes of what comes back
/// late.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IoStall {
    /// A directory on the volume, or one file: `service:/path`.
    pub(super) target: Target,
    /// It is over after this long, whatever else happens.
    #[serde(default = "default_at_most")]
    at_most: Duration,
    /// How long each of them hangs, as under a `soft` mount; until it is over without it.
    #[serde(rename = "for")]
    each: Option<Duration>,
    /// How they come back: `success`, `EIO`, `ESTALE` or another error.
    #[serde(default)]
    then: Then,
    /// Operations that hang.
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

fn default_at_most() -> Duration {
    Duration::from_secs(10)
}

fn default_ops() -> Vec<IoOp> {
    vec![IoOp::Fsync, IoOp::Read, IoOp::Write]
}

/// The kernel calls a task hung that waits for two minutes.
const MOST: Duration = Duration::from_secs(60);
/// Each look waits for an operation to come back.
const MOST_EACH: Duration = Duration::from_secs(5);
/// Less is lost among what a busy machine takes by itself.
const LEAST: Duration = Duration::from_millis(200);
/// What is not back by then hangs; it was back sooner before the injection.
const PATIENCE_MS: u64 = 500;
/// After the revert everybody who has hung goes first.
const REVIVAL_MS: u64 = 5000;

fn millis(time: Duration) -> u64 {
    u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX)
}

impl IoStall {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: "io-stall",
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

    /// How long one operation hangs at most.
    fn longest(&self) -> Duration {
        self.each.unwrap_or(self.at_most)
    }

    /// What shows that one hangs.
    fn hit(&self) -> Hit {
        match self.each.map(millis) {
            Some(each) => {
                Hit::slow_or_hung(each.saturating_mul(1000), each.saturating_add(REVIVAL_MS))
            }
            None => Hit::hung(PATIENCE_MS),
        }
    }

    /// An operation hangs as long as it must, and comes back as it must.
    fn stalls(&self, one: &TriedOp) -> bool {
        let Some(each) = self.each else { return one.hung };
        let long = one.took_us >= millis(each).saturating_mul(1000);
        !one.hung && long && one.errno.as_deref() == self.then.errno().map(ErrnoName::as_str)
    }
}

impl Fault for IoStall {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "io-stall: { target: agent:/data, at_most: 10s, then: ESTALE }";
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
        let (words, longest) = (self.aim().words(), self.longest());
        let proof = match self.each {
            Some(each) => format!("come back after {each}: {}", self.then),
            None => "do not come back".into(),
        };
        Described {
            act: format!("{words} hang for {longest} at most, then: {}", self.then),
            undo: "disarm the rule; what hangs comes back".into(),
            proof: format!(
                "the same operations on files of our own through the same mount {proof}"
            ),
        }
    }

    fn lasts_at_most(&self) -> Option<Duration> {
        Some(self.at_most)
    }

    fn subject_may_end_it(&self) -> bool {
        self.when.until.is_some()
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        let us = millis(self.longest()).saturating_mul(1000);
        let errno = self.then.errno().map(|name| name.0.0);
        vec![self.aim().rule(below, IoAction::Stall { us, errno })]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        let errno = self.then.errno();
        wrong.extend(errno.and_then(|errno| checks::needs_no_enosys("io-stall", "then", errno)));
        if self.at_most > MOST || self.at_most < LEAST {
            wrong.push(format!(
                "`at_most: {}` is not a time that a stall may last\n\nhint: write from {LEAST} to {MOST}",
                self.at_most
            ));
        }
        let most = MOST_EACH.min(self.at_most);
        if let Some(each) = self.each.filter(|each| *each < LEAST || *each > most) {
            wrong.push(format!(
                "`for: {each}` is not a time that an operation may hang\n\nhint: write from {LEAST} \
                 to {most}, or leave it out: they hang until it is over"
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let rules = self.io_rules(cx.site.below().unwrap_or_default());
        self.aim().prepare_if(cx, rules, Hit::hung(PATIENCE_MS)).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let tried = self.aim().attempt_until(before, cx, self.hit()).await?;
        let evidence: Vec<String> = tried.iter().map(told).collect();
        let evidence = format!(
            "{}; before, {} ms at most",
            evidence.join(", "),
            before.longest_us().div_ceil(1000)
        );
        let proven = tried.iter().all(|one| self.stalls(one));
        let effect = Effect { proven, evidence, notes: Vec::new() };
        self.aim().seen(before, cx, effect).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        if let Some(effect) = self.aim().withdrawn(before, cx).await? {
            return Ok(effect);
        }
        let tried = self.aim().attempt_until(before, cx, Hit::hung(REVIVAL_MS)).await?;
        self.aim().over(before, &tried, cx).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::{Op, RuleFacts},
    };

    const VOLUME: &str = "docker: { interpose: file }";

    fn fault(yaml: &str) -> IoStall {
        serde_saphyr::from_str(yaml).unwrap()
    }

    fn armed(fake: &Fake) {
        let armed = RuleFacts { armed: true, ..RuleFacts::default() };
        fake.world().beneath.interposed.rules = Some(armed);
    }

    #[tokio::test]
    async fn proven_when_no_operation_comes_back() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data', at_most: 5s }"));
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!(rules[0].action, IoAction::Stall { us: 5_000_000, errno: None });
        assert!(matches!(&undo[..], [Op::DisarmRules { .. }]));
        armed(&fake);
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.hangs = true;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "hangs already");
        fake.world().beneath.interposed.rules = None;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "nothing is armed");
    }

    #[tokio::test]
    async fn with_a_limit_of_its_own_each_must_come_back_as_it_says() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let yaml = "{ target: 'agent:/data', for: 300ms, then: ESTALE }";
        let (cx, fault) = (fake.cx(&site), fault(yaml));
        let Prepared { before, .. } = fault.prepare(&cx).await.unwrap();
        armed(&fake);
        for (struck, proven) in [
            ((Some("ESTALE"), 301_000), true),
            ((Some("ESTALE"), 40), false),
            ((Some("EIO"), 301_000), false),
            ((None, 301_000), false),
        ] {
            fake.world().beneath.interposed.struck = Some(struck);
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{struck:?}: {effect:?}");
        }
    }

    #[test]
    fn what_nobody_would_notice_or_wait_for_is_refused() {
        let count = |more: &str| {
            let volume = testing::volume_spec(VOLUME);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            fault(&format!("{{ target: 'agent:/data', {more} }}")).check(&declared).len()
        };
        assert_eq!(count("then: EIO"), 0);
        assert_eq!(count("at_most: 2m"), 1);
        assert_eq!(count("at_most: 10ms"), 1);
        assert_eq!(count("for: 10ms"), 1);
        assert_eq!(count("for: 20s"), 1);
    }
}
