//! `io-error`: operations on files fail.
//!
//! Mechanism: a rule in the file interposer under the volume. Blast radius: one volume, for whoever
//! uses it. Undone by disarming the rule. What is struck is not done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks,
    io::{Aim, Before, NEVER_SLOW, told},
};
use crate::{
    errno::{Errno, ErrnoName},
    protocol::{ByteRange, Caller, Capability, IoAction, IoOp, IoRule, Outcome, Trigger},
    units::Size,
};

/// Makes reads, writes, syncs or other operations on files fail.
///
/// What fails is not done. It takes `interpose: file` at the volume, or `insert: true`. Use it to
/// see whether a failed `fsync` is taken for what it is: nothing that was written before it may be
/// acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IoError {
    /// A directory on the volume, or one file: `service:/path`.
    pub(super) target: Target,
    /// Operations that fail.
    #[serde(default = "default_ops")]
    ops: Vec<IoOp>,
    /// What they fail with.
    #[serde(default = "default_errno")]
    errno: ErrnoName,
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

fn default_errno() -> ErrnoName {
    ErrnoName(Errno(libc::EIO))
}

impl IoError {
    pub(super) fn aim(&self) -> Aim<'_> {
        Aim {
            name: "io-error",
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
}

impl Fault for IoError {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str =
        "io-error: { target: agent:/data, ops: [write, fsync], errno: EIO }";
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
            act: format!("{} fail with {}", self.aim().words(), self.errno),
            undo: "disarm the rule".into(),
            proof: format!(
                "the same operations on files of our own through the same mount get {}",
                self.errno
            ),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        self.when.until.is_some()
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        vec![self.aim().rule(below, IoAction::Error { errno: self.errno.0.0 })]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        wrong.extend(checks::needs_no_enosys("io-error", "errno", self.errno));
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let rules = self.io_rules(cx.site.below().unwrap_or_default());
        self.aim().prepare(cx, rules).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let tried = self.aim().attempt(before, cx, NEVER_SLOW).await?;
        let wanted = self.errno.as_str();
        let evidence: Vec<String> = tried.iter().map(told).collect();
        let proven = tried.iter().all(|one| one.errno.as_deref() == Some(wanted));
        let effect = Effect { proven, evidence: evidence.join(", "), notes: Vec::new() };
        self.aim().seen(before, cx, effect).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        self.aim().gone(before, cx, NEVER_SLOW).await
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

    fn fault(yaml: &str) -> IoError {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_when_every_operation_gets_the_errno() {
        let (fake, site) = (Fake::default(), testing::site("/data/wal", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data/wal' }"));
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { interposer, rules, seed: 7, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!(
            (interposer.as_str(), &rules[0].paths[..]),
            ("keelhaul-r1-data", &["wal".to_owned(), "wal/**".to_owned()][..])
        );
        assert!(matches!(&undo[..], [Op::DisarmRules { .. }]));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().beneath.interposed.struck = Some((Some("EIO"), 30));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "nothing is armed");
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, out_of_reach: 2, ..RuleFacts::default() });
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(effect.proven && effect.notes[0].starts_with("2 files"), "{effect:?}");
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.struck = Some((Some("ENOSPC"), 30));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().beneath.interposed.struck = None;
        let nobody = fault.verify_reverted(&before, &cx).await;
        assert!(matches!(nobody, Err(FaultError::ReachedNobody(_))), "{nobody:?}");
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { matched: 1, ..RuleFacts::default() });
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn what_cannot_strike_or_cannot_be_shown_is_refused() {
        let count = |yaml: &str, volume: &str| {
            let volume = testing::volume_spec(volume);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            fault(yaml).check(&declared).len()
        };
        assert_eq!(count("{ target: 'agent:/data' }", VOLUME), 0);
        assert_eq!(count("{ target: 'agent:/data' }", "docker: {}"), 1);
        assert_eq!(count("{ target: 'agent:/data', ops: [] }", VOLUME), 1);
        assert_eq!(count("{ target: 'agent:/data', files: 'a[' }", VOLUME), 1);
        let when =
            |when: &str| count(&format!("{{ target: 'agent:/data', when: {when} }}"), VOLUME);
        assert_eq!(when("{ probability: 5% }"), 0);
        assert_eq!(when("{ probability: 0% }"), 1);
        assert_eq!(when("{ every: 0 }"), 1);
        assert_eq!(when("{ probability: 0.01% }"), 1);
        assert_eq!(when("{ after: 1000000 }"), 1);
        assert_eq!(when(&format!("{{ after: {}, after_bytes: 1B }}", u64::MAX)), 1);
    }

    #[test]
    fn files_narrow_the_rule() {
        let paths = |yaml: &str, below: &str| fault(yaml).io_rules(below)[0].paths.clone();
        assert_eq!(paths("{ target: 'agent:/data' }", ""), ["**"]);
        assert_eq!(paths("{ target: 'agent:/data', files: '*.log' }", "a[1]"), ["a[[]1[]]/*.log"]);
    }
}
