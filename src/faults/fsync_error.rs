//! `fsync-error`: what was written cannot be brought to the disk, and syncs say so in their own way.
//!
//! Mechanism: a rule in the file interposer under the volume, which knows what was written since
//! the last sync. Blast radius: one volume, for whoever uses it. Undone by disarming the rule.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    io::{Aim, Before},
    unexpected,
};
use crate::{
    errno::{Errno, ErrnoName},
    protocol::{
        Caller, Capability, IoAction, IoOp, IoRule, Outcome, Read, ReadBack, Reading, Reported,
        Retry, SyncAttempt, TriedSync, Trigger,
    },
};

/// Makes syncs fail as they do on a disk that takes no writes.
///
/// `fsync` and `fdatasync` of a file fail when something was written before them, and are not done;
/// on most filesystems the next one then says that all is well, because the kernel has given up what
/// it could not write. What is read meanwhile depends on the filesystem, as `like` says. The volume needs `interpose: file`. Use it to see whether a sync that failed
/// is taken for what it is, or asked again until it says what the service wants to hear. Writes
/// through a memory map are not seen; for a sync that always fails, `io-error` takes `ops: [fsync]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FsyncError {
    /// A directory on the volume, or one file: `service:/path`.
    pub(super) target: Target,
    /// What they fail with.
    #[serde(default = "default_errno")]
    errno: ErrnoName,
    /// The filesystem that it is like, where the next three do not say otherwise.
    #[serde(default)]
    like: Like,
    /// Who is told of a failure: every open file once, or only the first that asks.
    reported: Option<Reported>,
    /// What comes after a failure, with nothing written in between.
    retry: Option<Retry>,
    /// What is read after a failure of what was written before it.
    read_back: Option<ReadBack>,
    /// Only files whose path below the target matches this glob: `**/*.log`.
    files: Option<String>,
    /// Only syncs of these callers.
    #[serde(default)]
    by: Caller,
    /// Which of the syncs that have something to write; all without it.
    #[serde(default)]
    when: Trigger,
}

/// A filesystem, as its syncs fail (Rebello et al., "Can Applications Recover from fsync
/// Failures?", USENIX ATC 2020).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Like {
    /// What was written is read, and never written again.
    #[default]
    Ext4,
    /// Likewise.
    Xfs,
    /// What was there before is read.
    Btrfs,
}

fn default_errno() -> ErrnoName {
    ErrnoName(Errno(libc::EIO))
}

impl FsyncError {
    fn aim(&self) -> Aim<'_> {
        Aim {
            name: "fsync-error",
            target: &self.target,
            files: self.files.as_deref(),
            ops: &[IoOp::Fsync],
            by: &self.by,
            range: None,
            at_least: None,
            when: &self.when,
            besides: Some("the service must write to a file and sync it"),
            insert: None,
        }
    }

    fn reported(&self) -> Reported {
        self.reported.unwrap_or_default()
    }

    fn retry(&self) -> Retry {
        self.retry.unwrap_or_default()
    }

    fn read_back(&self) -> ReadBack {
        let like = match self.like {
            Like::Ext4 | Like::Xfs => ReadBack::New,
            Like::Btrfs => ReadBack::Old,
        };
        self.read_back.unwrap_or(like)
    }

    /// What the syncs of a trial must say: the first, the same again, and through another open file.
    fn wanted(&self) -> [Option<&str>; 3] {
        let errno = Some(self.errno.as_str());
        let again = errno.filter(|_| self.retry() == Retry::Fails);
        [errno, again, errno.filter(|_| again.is_some() || self.reported() == Reported::Each)]
    }

    async fn tried(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        most: u64,
    ) -> Result<TriedSync, FaultError> {
        self.aim().await_window(before, cx).await?;
        let (place, mark) = before.where_to_try(cx);
        match cx.helper.read(Read::TrySync(SyncAttempt { place, mark, most })).await? {
            Reading::SyncTried(tried) => Ok(tried),
            other => Err(unexpected(&other)),
        }
    }
}

fn said(tried: &TriedSync) -> [Option<&str>; 3] {
    [&tried.first, &tried.again, &tried.other].map(Option::as_deref)
}

/// How the syncs of a trial went.
fn told(tried: &TriedSync) -> String {
    let [first, again, other] = said(tried).map(|errno| errno.unwrap_or("done"));
    let nth =
        if tried.attempts > 1 { format!(" at attempt {}", tried.attempts) } else { "".into() };
    let read = match tried.read_back {
        Some(ReadBack::New) => ", what was written is read",
        Some(ReadBack::Old) => ", what was there before is read",
        None => "",
    };
    format!(
        "write and fdatasync: {first}{nth}{read}; again: {again}; by another open file: {other}"
    )
}

impl Fault for FsyncError {
    type Before = Before;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str = "fsync-error: { target: agent:/data, like: btrfs, errno: EIO }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let [first, again, other] = self.wanted().map(|errno| errno.unwrap_or("nothing"));
        Described {
            act: format!("{} after a write fail with {first}", self.aim().words()),
            undo: "disarm the rule".into(),
            proof: format!(
                "syncs of a file of our own through the same mount get {first}, then {again}, and \
                 through another open file {other}; what is read is {}",
                match self.read_back() {
                    ReadBack::New => "what was written",
                    ReadBack::Old => "what was there before",
                }
            ),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        self.when.until.is_some()
    }

    fn io_rules(&self, below: &str) -> Vec<IoRule> {
        let (errno, read_back) = (self.errno.0.0, self.read_back());
        let (reported, retry) = (self.reported(), self.retry());
        let fails = IoAction::FailSync { errno, reported, retry, read_back };
        let mut rules = vec![self.aim().rule(below, fails)];
        if read_back == ReadBack::Old {
            rules.push(self.aim().rule(below, IoAction::Remember));
        }
        rules
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = self.aim().check(declared);
        wrong.extend(checks::needs_no_enosys("fsync-error", "errno", self.errno));
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let mut rules = self.io_rules(cx.site.below().unwrap_or_default());
        rules.retain(|rule| rule.action != IoAction::Remember);
        self.aim().prepare(cx, rules).await
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let tried = self.tried(before, cx, self.aim().tries()).await?;
        let read = tried.read_back == Some(self.read_back());
        let proven = said(&tried) == self.wanted() && read;
        let effect = Effect { proven, evidence: told(&tried), notes: Vec::new() };
        self.aim().seen(before, cx, effect).await
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        let tried = self.tried(before, cx, self.aim().tries()).await?;
        match said(&tried) {
            [None, None, None] => self.aim().reached(before, cx).await,
            _ => Ok(Effect::unproven(told(&tried))),
        }
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

    fn fault(yaml: &str) -> FsyncError {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[tokio::test]
    async fn proven_when_three_syncs_say_what_they_must() {
        let (fake, site) = (Fake::default(), testing::site("/data", VOLUME));
        let (cx, fault) = (fake.cx(&site), fault("{ target: 'agent:/data' }"));
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        let [Op::ArmRules { rules, .. }] = &ops[..] else { panic!("{ops:?}") };
        let (reported, retry) = (Reported::Each, Retry::Succeeds);
        let read_back = ReadBack::New;
        assert_eq!(rules[0].action, IoAction::FailSync { errno: 5, reported, retry, read_back });
        assert!(matches!(&undo[..], [Op::DisarmRules { .. }]));
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { armed: true, ..RuleFacts::default() });
        for (syncs, proven) in [
            ([None, None, None], false),
            ([Some("EIO"), None, Some("EIO")], true),
            ([Some("EIO"), Some("EIO"), Some("EIO")], false),
            ([Some("EIO"), None, None], false),
            ([Some("ENOSPC"), None, Some("ENOSPC")], false),
        ] {
            fake.world().beneath.interposed.syncs = syncs;
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{syncs:?}: {effect:?}");
        }
        fake.world().beneath.interposed.syncs = [Some("EIO"), None, Some("EIO")];
        fake.world().beneath.interposed.read_back = ReadBack::Old;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "as on btrfs");
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().beneath.interposed.syncs = [None; 3];
        let nobody = fault.verify_reverted(&before, &cx).await;
        assert!(matches!(nobody, Err(FaultError::ReachedNobody(_))), "{nobody:?}");
        fake.world().beneath.interposed.rules =
            Some(RuleFacts { matched: 1, hit: 1, ..RuleFacts::default() });
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[test]
    fn each_switch_is_seen_in_what_the_syncs_must_say() {
        let wanted = |more: &str| {
            let fault = fault(&format!("{{ target: 'agent:/data', {more} }}"));
            fault.wanted().map(|errno| errno.is_some())
        };
        assert_eq!(wanted("errno: ENOSPC"), [true, false, true]);
        assert_eq!(wanted("reported: first"), [true, false, false]);
        assert_eq!(wanted("retry: fails"), [true, true, true]);
        assert_eq!(wanted("reported: first, retry: fails"), [true, true, true]);
        let read = |more: &str| fault(&format!("{{ target: 'agent:/data', {more} }}")).read_back();
        assert_eq!([read("like: ext4"), read("like: xfs")], [ReadBack::New; 2]);
        assert_eq!(read("like: btrfs"), ReadBack::Old);
        assert_eq!(read("like: btrfs, read_back: new"), ReadBack::New);
    }
}
