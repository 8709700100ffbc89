//! `attribute-override`: files say of themselves what they are not.
//!
//! Mechanism: a rule in the file interposer under the volume. Blast radius: one volume, for whoever
//! looks at attributes; permissions go by what is told. Undone by disarming the rule: the files have
//! the attributes that they had.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    io::{self, Aim},
    io_window::ALWAYS,
};
use crate::{
    protocol::{Caller, Capability, FileFacts, IoAction, IoOp, IoRule, Outcome, ToldAttributes},
    units::{Mode, Size},
};

/// Tells other attributes of files than they have.
///
/// As where a file server maps every user to nobody, or its times are not ours. The kernel decides
/// by owner, group and bits that are told who may do what; a size is told only: what is read and
/// appended is what is there. The volume needs `interpose: file`. Use it to see what rests on
/// attributes, and who names the refusal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributeOverride {
    /// A directory on the volume and all below, or one file: `service:/path`.
    pub(super) target: Target,
    /// Permission and set-id bits.
    mode: Option<Mode>,
    /// Number of the owner, as the host counts.
    uid: Option<u32>,
    /// Number of the group, as the host counts.
    gid: Option<u32>,
    /// Bytes.
    size: Option<Size>,
    /// When they were modified, in seconds since 1970.
    mtime: Option<i64>,
    /// Only files whose path below the target matches this glob: `**/*.log`.
    files: Option<String>,
    /// Only these callers are told. The kernel decides for all by what it was told last.
    #[serde(default)]
    by: Caller,
}

const NAME: &str = "attribute-override";
const NANOS: i64 = 1_000_000_000;

impl AttributeOverride {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: NAME,
            target: &self.target,
            files: self.files.as_deref(),
            ops: &[IoOp::Stat],
            by: &self.by,
            range: None,
            at_least: None,
            when: ALWAYS,
            besides: Some("the service must look at a file, or open one"),
            insert: None,
        }
    }

    fn told(&self) -> ToldAttributes {
        ToldAttributes {
            mode: self.mode.map(|mode| mode.0),
            uid: self.uid,
            gid: self.gid,
            size: self.size.map(|size| size.0),
            mtime: self.mtime,
        }
    }

    /// They are what is told.
    fn fits(&self, facts: &FileFacts) -> bool {
        let ToldAttributes { mode, uid, gid, size, mtime } = self.told();
        mode.is_none_or(|mode| facts.mode & 0o7777 == mode)
            && uid.is_none_or(|uid| facts.uid == uid)
            && gid.is_none_or(|gid| facts.gid == gid)
            && size.is_none_or(|size| facts.size == size)
            && mtime.is_none_or(|mtime| facts.mtime_ns == mtime.saturating_mul(NANOS))
    }

    /// Attributes of a file of the interposer's own.
    async fn asked(&self, before: &io::Before, cx: &Cx<'_>) -> Result<FileFacts, FaultError> {
        let own = before.own_file(cx);
        let gone = || FaultError::Refused(format!("there is no `{}`", own.path));
        cx.file(&own).await?.ok_or_else(gone)
    }
}

/// Attributes in words.
fn words(told: &ToldAttributes) -> String {
    let ToldAttributes { mode, uid, gid, size, mtime } = *told;
    let parts = [
        mode.map(|mode| format!("mode {}", Mode(mode))),
        uid.map(|uid| format!("uid {uid}")),
        gid.map(|gid| format!("gid {gid}")),
        size.map(|size| format!("size {}", Size(size))),
        mtime.map(|mtime| format!("modified at {mtime}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn seen(facts: &FileFacts) -> String {
    let told = ToldAttributes {
        mode: Some(facts.mode & 0o7777),
        uid: Some(facts.uid),
        gid: Some(facts.gid),
        size: Some(facts.size),
        mtime: Some(facts.mtime_ns.div_euclid(NANOS)),
    };
    format!("stat of a file of our own: {}", words(&told))
}

impl Fault for AttributeOverride {
    type Before = io::Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str =
        "attribute-override: { target: agent:/data, uid: 65534, gid: 65534, mode: \"0755\" }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("{} is told {}", self.aim().words(), words(&self.told())),
            undo: "disarm the rule".into(),
            proof: "stat(2) of a file of our own through the same mount says so".into(),
        }
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        vec![self.aim().rule(below, IoAction::TellAttributes(self.told()))]
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        if self.told() == ToldAttributes::default() {
            wrong.push(format!(
                "`{NAME}` tells nothing\n\nhint: write `uid: 65534`, `mode: \"0555\"`, `size: 0B` or \
                 another attribute"
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<io::Before>, FaultError> {
        let prepared =
            self.aim().prepare(cx, self.io_rules(cx.site.below().unwrap_or_default())).await?;
        let facts = self.asked(&prepared.before, cx).await?;
        if self.fits(&facts) {
            return Err(FaultError::Refused(format!(
                "a file of our own is so as it is, and would show nothing: {}\n\nhint: tell another \
                 attribute as well, such as `mode`",
                seen(&facts)
            )));
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
        let (proven, evidence) = (self.fits(&facts), seen(&facts));
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
            return Ok(Effect::unproven(seen(&facts)));
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

    fn fault(yaml: &str) -> AttributeOverride {
        serde_saphyr::from_str(yaml).unwrap()
    }

    /// What the fake shows of the interposer's own file.
    fn shows(fake: &Fake, before: &io::Before, cx: &Cx<'_>, change: impl Fn(&mut FileFacts)) {
        let mut facts = testing::file(3, 1);
        change(&mut facts);
        fake.world().files.insert(before.own_file(cx).path, facts);
    }

    #[tokio::test]
    async fn proven_by_every_attribute_that_is_told() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let cx = fake.cx(&site);
        let fault = fault("{ target: 'agent:/data', uid: 65534, mtime: 5 }");
        let missing = fault.prepare(&cx).await;
        assert!(matches!(missing, Err(FaultError::Refused(_))), "{missing:?}");
        let prepared = fault.aim().prepare(&cx, fault.io_rules("")).await.unwrap();
        let Prepared { before, ops, undo } = prepared;
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        assert_eq!(rules[0].action, IoAction::TellAttributes(fault.told()));
        assert!(matches!(&undo[..], [Op::DisarmRules { .. }]));
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        shows(&fake, &before, &cx, |_| {});
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        shows(&fake, &before, &cx, |facts| facts.uid = 65534);
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "the time");
        shows(&fake, &before, &cx, |facts| (facts.uid, facts.mtime_ns) = (65534, 5 * NANOS));
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        shows(&fake, &before, &cx, |_| {});
        let nobody = fault.verify_reverted(&before, &cx).await;
        assert!(matches!(nobody, Err(FaultError::ReachedNobody(_))), "{nobody:?}");
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { matched: 1, hit: 1, ..RuleFacts::default() });
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn something_must_be_told() {
        let count = |more: &str| {
            let volume = testing::volume_spec(VOLUME);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            fault(&format!("{{ target: 'agent:/data', {more} }}")).check(&declared).len()
        };
        assert_eq!(count("size: 0B"), 0);
        assert_eq!(count("files: '*.log'"), 1);
    }
}
