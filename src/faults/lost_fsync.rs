//! `lost-fsync`: syncs say that they are done, and are not.
//!
//! Mechanism: a rule in the file interposer under the volume, which remembers what is not durable
//! and does not forget it. Blast radius: one volume, for whoever uses it. Undone by disarming the
//! rule: the next sync makes durable what the lost ones did not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    io::{Aim, Before},
    io_window::ALWAYS,
    unexpected,
};
use crate::protocol::{
    Caller, Capability, DurableAttempt, IoAction, IoOp, IoRule, Outcome, Read, Reading,
    TriedDurable,
};

/// Lets syncs say that they are done when they are not.
///
/// So does a disk with a cache that ignores flushes, of files and of directories. Nothing shows it
/// until the power goes: inject `power-cut` while it is in force. A write that is durable by itself
/// (`O_DSYNC`) is not struck. The volume needs `interpose: file`. Use it to see what the service makes
/// of less than it was promised, or as the control of a scenario that is about durability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LostFsync {
    /// A directory on the volume, or one file: `service:/path`.
    pub(super) target: Target,
    /// Only files whose path below the target matches this glob: `**/*.log`.
    files: Option<String>,
    /// Only syncs of these callers.
    #[serde(default)]
    by: Caller,
}

impl LostFsync {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: "lost-fsync",
            target: &self.target,
            files: self.files.as_deref(),
            ops: &[IoOp::Fsync],
            by: &self.by,
            range: None,
            at_least: None,
            when: ALWAYS,
            besides: Some("the service must sync a file"),
            insert: None,
        }
    }

    async fn tried(&self, before: &Before, cx: &Cx<'_>) -> Result<TriedDurable, FaultError> {
        let ((place, mark), interposer) = (before.where_to_try(cx), before.interposer().to_owned());
        let attempt = DurableAttempt { place, interposer, mark };
        match cx.helper.read(Read::TryDurable(attempt)).await? {
            Reading::DurableTried(tried) => Ok(tried),
            other => Err(unexpected(&other)),
        }
    }
}

/// How the sync of a trial went.
fn told(tried: &TriedDurable) -> String {
    let said = tried.errno.as_deref().unwrap_or("done");
    let durable = if tried.durable { "is durable" } else { "is not durable" };
    format!("fsync of a file of our own: {said}; what was written {durable}")
}

impl Fault for LostFsync {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "lost-fsync: { target: agent:/data }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("{} say that they are done, and are not", self.aim().words()),
            undo: "disarm the rule".into(),
            proof: "fsync of a file of our own through the same mount works, and the interposer \
                    still has the way back from what was written"
                .into(),
        }
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        let rule = |action| self.aim().rule(below, action);
        vec![rule(IoAction::LoseSync), rule(IoAction::Remember)]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        self.aim().check(declared)
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let mut rules = self.io_rules(cx.site.below().unwrap_or_default());
        rules.retain(|rule| rule.action == IoAction::LoseSync);
        self.aim().prepare(cx, rules).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let tried = self.tried(before, cx).await?;
        let proven = tried.errno.is_none() && !tried.durable;
        let effect = Effect { proven, evidence: told(&tried), notes: Vec::new() };
        self.aim().seen(before, cx, effect).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        let tried = self.tried(before, cx).await?;
        if tried.errno.is_some() || !tried.durable {
            return Ok(Effect::unproven(told(&tried)));
        }
        self.aim().reached(before, cx).await
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
    async fn proven_when_a_sync_works_and_makes_nothing_durable() {
        let volume = "docker: { interpose: file }";
        let (fake, site) = (Fake::default(), testing::site("/data", volume));
        let fault: LostFsync = serde_saphyr::from_str("{ target: 'agent:/data' }").unwrap();
        let cx = fake.cx(&site);
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].action, IoAction::LoseSync);
        assert!(matches!(&undo[..], [Op::DisarmRules { .. }]));
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        for (durable, proven) in
            [((None, true), false), ((Some("EIO"), false), false), ((None, false), true)]
        {
            fake.world().beneath.interposed.durable = durable;
            assert_eq!(
                fault.verify(&before, &[], &cx).await.unwrap().proven,
                proven,
                "{durable:?}"
            );
        }
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.durable = (None, true);
        let nobody = fault.verify_reverted(&before, &cx).await;
        assert!(matches!(nobody, Err(FaultError::ReachedNobody(_))), "{nobody:?}");
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { matched: 1, hit: 1, ..RuleFacts::default() });
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }
}
