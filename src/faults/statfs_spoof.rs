//! `statfs-spoof`: a volume tells of other room than there is.
//!
//! Mechanism: a rule in the file interposer under the volume. Blast radius: one volume, for whoever
//! asks how much room it has. Undone by disarming the rule. Nothing is filled, and no write fails.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    io::{self, Aim},
    io_window::ALWAYS,
};
use crate::{
    protocol::{Caller, Capability, FsFacts, IoAction, IoOp, IoRule, Outcome, ToldRoom},
    units::Size,
};

/// Tells whoever asks for the free space of a volume another number.
///
/// `df` and `statfs` see it, and nothing else: writes go on as before. The volume needs `interpose:
/// file`. Use it to see what alarms, cleanups and admission limits do at a threshold, without
/// filling anything, or what is believed of a volume that is full and says that it is not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatfsSpoof {
    /// The volume: `service:/path`, where it is mounted at exactly this path.
    pub(super) target: Target,
    /// Bytes that are said to be free.
    available: Option<Size>,
    /// Inodes that are said to be free.
    inodes: Option<u64>,
    /// Only these callers are told.
    #[serde(default)]
    by: Caller,
}

const NAME: &str = "statfs-spoof";
/// Room is told in blocks of the filesystem.
const BLOCK: u64 = 64 << 10;

impl StatfsSpoof {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: NAME,
            target: &self.target,
            files: None,
            ops: &[IoOp::Statfs],
            by: &self.by,
            range: None,
            at_least: None,
            when: ALWAYS,
            besides: Some("the service must ask for the free space of the volume"),
            insert: None,
        }
    }

    /// The numbers, in words.
    fn words(&self) -> String {
        let bytes = self.available.map(|bytes| format!("{bytes} free"));
        let inodes = self.inodes.map(|inodes| format!("{inodes} inodes free"));
        bytes.into_iter().chain(inodes).collect::<Vec<_>>().join(" and ")
    }

    /// It is what is told.
    fn fits(&self, facts: &FsFacts) -> bool {
        let bytes =
            |told: Size| (told.0.saturating_sub(BLOCK)..=told.0).contains(&facts.bytes_available);
        self.available.is_none_or(bytes)
            && self.inodes.is_none_or(|inodes| facts.inodes_free == inodes)
    }

    /// What the volume says, asked at a file of the interposer's own.
    async fn asked(&self, before: &io::Before, cx: &Cx<'_>) -> Result<FsFacts, FaultError> {
        cx.filesystem(&before.own_file(cx)).await
    }
}

fn told(facts: &FsFacts) -> String {
    format!("statfs: {} free, {} inodes free", Size(facts.bytes_available), facts.inodes_free)
}

impl Fault for StatfsSpoof {
    type Before = io::Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "statfs-spoof: { target: agent:/data, available: 1MiB }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("{} is told {}", self.aim().words(), self.words()),
            undo: "disarm the rule".into(),
            proof: "statfs(2) through the same mount says so".into(),
        }
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        let told = ToldRoom { bytes: self.available.map(|bytes| bytes.0), inodes: self.inodes };
        vec![self.aim().rule(below, IoAction::TellRoom(told))]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        wrong.extend(checks::needs_mount_point(NAME, &self.target, declared));
        if self.available.is_none() && self.inodes.is_none() {
            wrong.push(format!(
                "`{NAME}` tells nothing\n\nhint: write `available: 1MiB`, `inodes: 10`, or both"
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<io::Before>, FaultError> {
        let prepared =
            self.aim().prepare(cx, self.io_rules(cx.site.below().unwrap_or_default())).await?;
        let facts = self.asked(&prepared.before, cx).await?;
        if self.fits(&facts) {
            let (told, target) = (told(&facts), &self.target);
            return Err(FaultError::Refused(format!("`{target}` says so as it is: {told}")));
        }
        Ok(prepared)
    }

    async fn verify(
        &self,
        before: &io::Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let facts = self.asked(before, cx).await?;
        let (proven, evidence) = (self.fits(&facts), told(&facts));
        let effect = Effect { proven, evidence, notes: Vec::new() };
        self.aim().seen(before, cx, effect).await
    }

    async fn verify_reverted(
        &self,
        before: &io::Before,
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        let facts = self.asked(before, cx).await?;
        if self.fits(&facts) {
            return Ok(Effect::unproven(told(&facts)));
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

    const VOLUME: &str = "docker: { interpose: file }";

    fn fault(yaml: &str) -> StatfsSpoof {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_by_the_numbers_and_by_somebody_who_asked() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let cx = fake.cx(&site);
        let fault = fault("{ target: 'agent:/data', available: 1MiB, inodes: 7 }");
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        let told = ToldRoom { bytes: Some(1 << 20), inodes: Some(7) };
        assert_eq!(rules[0].action, IoAction::TellRoom(told));
        assert!(matches!(&undo[..], [Op::DisarmRules { .. }]));
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().fs.bytes_available = (1 << 20) - 4096;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "the inodes");
        fake.world().fs.inodes_free = 7;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "as it is");
        fake.world().fs.inodes_free = 8;
        let nobody = fault.verify_reverted(&before, &cx).await;
        assert!(matches!(nobody, Err(FaultError::ReachedNobody(_))), "{nobody:?}");
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { matched: 1, hit: 1, ..RuleFacts::default() });
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn something_must_be_told_of_a_whole_volume() {
        let count = |yaml: &str, is_mount_point| {
            let volume = testing::volume_spec(VOLUME);
            let declared = Declared { volume: Some(&volume), is_mount_point, host_wide: false };
            fault(yaml).check(&declared).len()
        };
        assert_eq!(count("{ target: 'agent:/data', inodes: 0 }", true), 0);
        assert_eq!(count("{ target: 'agent:/data' }", true), 1);
        assert_eq!(count("{ target: 'agent:/data/x', inodes: 0 }", false), 1);
    }
}
