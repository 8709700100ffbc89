//! `delayed-visibility`: a service sees what others change on its volume only after a while.
//!
//! Mechanism: a rule in the file interposer under the volume, which remembers for so long what was
//! there before a change, and shows that to whoever looks from the container's mount namespace and
//! did not make the change. Blast radius: one container, on one volume. Undone by disarming the
//! rule: what was remembered is forgotten.

use std::time;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    io::{Aim, Before},
    io_window::ALWAYS,
    unexpected,
};
use crate::{
    protocol::{
        Caller, Capability, IoAction, IoOp, IoRule, Op, Outcome, Read, Reading, TriedVisible,
        VisibleAttempt,
    },
    units::Duration,
};

/// Lets a service see late what others change on a volume it shares.
///
/// As where a host and its containers are kept in step with a delay, or names and attributes are
/// cached (NFS, virtiofs). For so long a new name is not there, a replaced or removed file is still
/// the old one, and what was appended is not read; events come at once. What the service changes
/// itself it sees at once, and so do all others. Bytes that are written over or cut off, modes,
/// owners, renamed directories and memory maps are never late, nor is anything to a container that is
/// started anew meanwhile. The volume needs `interpose: file`. Use it to see whether a reader waits
/// for what it was told of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayedVisibility {
    /// Who sees late, and a directory on the volume, or one file: `service:/path`.
    pub(super) target: Target,
    /// How late, from 200ms to 10m.
    by: Duration,
    /// Only files whose path below the target matches this glob: `**/*.json`.
    files: Option<String>,
}

const NAME: &str = "delayed-visibility";
const ANYBODY: &Caller = &Caller { uid: None, process: None };
/// A look must come before it is over, also on a busy machine.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(600);
/// The proof waits for the end of a delay that is no longer.
const WAITED_FOR: time::Duration = time::Duration::from_secs(5);
/// By so much a busy machine may be later than the delay.
const SLACK: time::Duration = time::Duration::from_secs(2);

impl DelayedVisibility {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: NAME,
            target: &self.target,
            files: self.files.as_deref(),
            ops: &[IoOp::Stat, IoOp::Read],
            by: ANYBODY,
            range: None,
            at_least: None,
            when: ALWAYS,
            besides: None,
            insert: None,
        }
    }

    fn rule(&self, below: &str, within: Option<u64>) -> IoRule {
        let us = u64::try_from(self.by.0.as_micros()).unwrap_or(u64::MAX);
        self.aim().rule(below, IoAction::Late { us, within })
    }

    /// How long a trial looks for its file; none where it does not wait for the end.
    fn waits(&self) -> Option<time::Duration> {
        (self.by.0 <= WAITED_FOR).then(|| self.by.0 + SLACK)
    }

    async fn tried(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        within: time::Duration,
    ) -> Result<TriedVisible, FaultError> {
        let (place, mark) = before.where_to_try(cx);
        let within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        match cx.helper.read(Read::TryVisible(VisibleAttempt { place, mark, within_ms })).await? {
            Reading::VisibleTried(tried) => Ok(tried),
            other => Err(unexpected(&other)),
        }
    }

    /// The maker of a file sees it, and the service only when it is time.
    fn is_late(&self, tried: &TriedVisible) -> bool {
        let in_time = match (self.waits(), tried.after_ms) {
            (None, after) => after.is_none(),
            (Some(_), None) => false,
            (Some(_), Some(ms)) => time::Duration::from_millis(ms) >= self.by.0,
        };
        tried.made && !tried.at_once && in_time
    }

    /// What the rule has done while it was in force.
    async fn reached(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        let facts = cx.rule_facts(before).await?.unwrap_or_default();
        let (by, target) = (self.by, &self.target);
        if facts.hit == 0 {
            return Err(FaultError::ReachedNobody(format!(
                "the rule is gone, and `{}` looked at nothing at `{target}` that others had changed \
                 less than {by} before\n\nhint: another service must change on the same volume what \
                 this one looks at; look at the target's path and `files`, or let it last longer",
                cx.site.service
            )));
        }
        let effect = Effect::proven(format!(
            "what others change is seen at once; {} looks were told what was there before",
            facts.hit
        ));
        Ok(match facts.forgotten {
            0 => effect,
            many => effect.note(format!(
                "{many} changes were too many to be remembered, and seen at once: narrow `files`, or \
                 write a shorter `by`"
            )),
        })
    }
}

/// How a trial went.
fn told(tried: &TriedVisible) -> String {
    let service = match (tried.at_once, tried.after_ms) {
        (true, _) => "finds it at once".to_owned(),
        (false, Some(ms)) => format!("finds it after {ms} ms"),
        (false, None) => "does not find it".to_owned(),
    };
    let maker = if tried.made { "finds it" } else { "does not find it" };
    format!("a file of our own, made by another: the service {service}; its maker {maker}")
}

impl Fault for DelayedVisibility {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "delayed-visibility: { target: agent:/data, by: 2s }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let files = self.files.as_ref().map(|files| format!(" of files `{files}`"));
        let (files, target) = (files.unwrap_or_default(), &self.target);
        Described {
            act: format!("changes{files} by others are seen at {target} {} late", self.by),
            undo: "disarm the rule".into(),
            proof: "a file of our own that is made from elsewhere is not found from within the \
                    container by the same mount, and is when it is time"
                .into(),
        }
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        vec![self.rule(below, None)]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        if self.by < SHORTEST || self.by > LONGEST {
            wrong.push(format!(
                "`{NAME}` is late by {SHORTEST} at least, and by {LONGEST} at most: `by: {}`\n\nhint: \
                 write `by: 2s`",
                self.by
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let mut prepared = self.aim().prepare(cx, Vec::new()).await?;
        let tried = self.tried(&prepared.before, cx, time::Duration::ZERO).await?;
        if !tried.at_once {
            let how = told(&tried);
            return Err(FaultError::Refused(format!("nothing is seen at once as it is: {how}")));
        }
        let rule = self.rule(cx.site.below().unwrap_or_default(), Some(tried.namespace));
        for op in &mut prepared.ops {
            if let Op::ArmRules { rules, .. } = op {
                rules.push(rule.clone());
            }
        }
        Ok(prepared)
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let tried = self.tried(before, cx, self.waits().unwrap_or_default()).await?;
        let (proven, evidence) = (self.is_late(&tried), told(&tried));
        let effect = Effect { proven, evidence, notes: Vec::new() };
        self.aim().seen(before, cx, effect).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        let tried = self.tried(before, cx, time::Duration::ZERO).await?;
        if !tried.at_once {
            return Ok(Effect::unproven(told(&tried)));
        }
        self.reached(before, cx).await
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
    const AT_ONCE: TriedVisible =
        TriedVisible { namespace: 77, made: true, at_once: true, after_ms: Some(0) };

    fn fault(by: &str) -> DelayedVisibility {
        serde_saphyr::from_str(&format!("{{ target: 'agent:/data', by: {by} }}")).unwrap()
    }

    fn late(after_ms: Option<u64>) -> TriedVisible {
        TriedVisible { at_once: false, after_ms, ..AT_ONCE }
    }

    #[tokio::test]
    async fn proven_when_the_service_finds_late_what_its_maker_finds() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("2s"));
        let shows = |tried| fake.world().beneath.interposed.visible = tried;
        shows(late(None));
        let as_it_is = fault.prepare(&cx).await;
        assert!(matches!(as_it_is, Err(FaultError::Refused(_))), "{as_it_is:?}");
        shows(AT_ONCE);
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        let action = IoAction::Late { us: 2_000_000, within: Some(77) };
        assert_eq!((rules.len(), rules[0].action), (1, action));
        assert!(matches!(&undo[..], [Op::DisarmRules { .. }]));
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        let nobody = TriedVisible { made: false, ..late(Some(2100)) };
        for (tried, proven) in [
            (AT_ONCE, false),
            (nobody, false),
            (late(Some(1900)), false),
            (late(None), false),
            (late(Some(2000)), true),
        ] {
            shows(tried);
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{tried:?}");
        }
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        shows(AT_ONCE);
        let nobody = fault.verify_reverted(&before, &cx).await;
        assert!(matches!(nobody, Err(FaultError::ReachedNobody(_))), "{nobody:?}");
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { matched: 3, hit: 3, forgotten: 9, ..RuleFacts::default() });
        let effect = fault.verify_reverted(&before, &cx).await.unwrap();
        assert!(effect.proven && effect.notes[0].starts_with("9 changes"), "{effect:?}");
    }

    #[test]
    fn the_end_of_a_long_delay_is_not_waited_for() {
        assert!(fault("5s").waits().is_some() && fault("6s").waits().is_none());
        assert!(fault("6s").is_late(&late(None)) && !fault("6s").is_late(&late(Some(3))));
    }

    #[test]
    fn it_is_long_enough_to_be_seen_and_does_not_last_for_ever() {
        let volume = testing::volume_spec(VOLUME);
        let declared = Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
        let wrong = |by| fault(by).check(&declared).len();
        assert_eq!((wrong("199ms"), wrong("200ms"), wrong("10m"), wrong("601s")), (1, 0, 0, 1));
    }
}
