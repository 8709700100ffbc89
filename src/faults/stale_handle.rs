//! `stale-handle`: files that are open are no longer the ones that their names lead to.
//!
//! Mechanism: a rule in the file interposer under the volume, about files that were open before it.
//! Blast radius: one volume, for whoever uses it. Undone by disarming the rule. What is struck is
//! not done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    io::{Aim, Before, NEVER_SLOW, told},
    io_window::ALWAYS,
};
use crate::protocol::{Caller, Capability, IoAction, IoOp, IoRule, Outcome};

/// Makes files that are open fail with `ESTALE`; opened anew they work.
///
/// It is so after the restart of a file server that knows none of them. The volume needs
/// `interpose: file`. Use it to see whether the service opens its files again, or goes on with
/// handles that never work any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaleHandle {
    /// A directory on the volume, or one file: `service:/path`.
    pub(super) target: Target,
    /// Operations that fail: `fsync`, `read` and `write`, or some of them.
    #[serde(default = "default_ops")]
    ops: Vec<IoOp>,
    /// Only files whose path below the target matches this glob: `**/*.log`.
    files: Option<String>,
    /// Only operations of these callers.
    #[serde(default)]
    by: Caller,
}

/// Operations on open files alone.
const OPS: [IoOp; 3] = [IoOp::Fsync, IoOp::Read, IoOp::Write];
const STALE: &str = "ESTALE";

fn default_ops() -> Vec<IoOp> {
    OPS.to_vec()
}

impl StaleHandle {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: "stale-handle",
            target: &self.target,
            files: self.files.as_deref(),
            ops: &self.ops,
            by: &self.by,
            range: None,
            at_least: None,
            when: ALWAYS,
            besides: Some("the service must go on with a file that it has opened before"),
            insert: None,
        }
    }
}

impl Fault for StaleHandle {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "stale-handle: { target: agent:/data, files: '*.log' }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("{} fail with {STALE} on what is open", self.aim().words()),
            undo: "disarm the rule".into(),
            proof: format!(
                "the same operations on files of our own, which count as open before, get {STALE}"
            ),
        }
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        vec![self.aim().rule(below, IoAction::Stale)]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        if let Some(op) = self.ops.iter().find(|op| !OPS.contains(op)) {
            wrong.push(format!(
                "`stale-handle` strikes open files, and `{}` is about a name\n\nhint: write `fsync`, \
                 `read` or `write`",
                op.name()
            ));
        }
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
        let evidence: Vec<String> = tried.iter().map(told).collect();
        let proven = tried.iter().all(|one| one.errno.as_deref() == Some(STALE));
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

    fn fault(yaml: &str) -> StaleHandle {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_by_the_errno_and_by_somebody_who_had_a_file_open() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data', files: '*.log' }"));
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!(rules[0].action, IoAction::Stale);
        assert!(matches!(&undo[..], [Op::DisarmRules { .. }]));
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().beneath.interposed.struck = Some((Some("EIO"), 30));
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().beneath.interposed.struck = Some((Some("ESTALE"), 30));
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().beneath.interposed.struck = None;
        let nobody = fault.verify_reverted(&before, &cx).await;
        assert!(matches!(nobody, Err(FaultError::ReachedNobody(_))), "{nobody:?}");
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { matched: 1, hit: 1, ..RuleFacts::default() });
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.struck = Some((Some("ESTALE"), 30));
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn operations_on_names_are_refused() {
        let count = |ops: &str| {
            let volume = testing::volume_spec(VOLUME);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            fault(&format!("{{ target: 'agent:/data', ops: {ops} }}")).check(&declared).len()
        };
        assert_eq!(count("[read]"), 0);
        assert_eq!(count("[read, open]"), 1);
    }
}
