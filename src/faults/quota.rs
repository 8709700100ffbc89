//! `quota`: a btrfs volume comes close to its quota, or to the end of it.
//!
//! Mechanism: the quota group of the volume's top subvolume, or one above it, gets a limit of which
//! what is held now is the given share. Blast radius: the volume's filesystem, which belongs to the
//! run; no other is touched. Undone by the old limit, by taking the group above away that was made,
//! or where quotas were off by switching them off again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target, checks,
    observe::tried,
};
use crate::{
    protocol::{Capability, Op, Outcome, QuotaFacts, QuotaGroup, QuotaWas, Read},
    units::{Percent, Size},
    volumes::Filesystem,
};

/// Gives a btrfs volume a quota, of which a given share is in use.
///
/// At 100 % writes fail with `EDQUOT` although bytes are free. Below that, use it to bring a service
/// to its thresholds one after the other. `df` shows nothing of it; `/sys/fs/btrfs` does, as of the
/// last commit of the filesystem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// A directory on the volume: `service:/path`.
    pub(super) target: Target,
    /// The share of the quota that is in use when the fault begins.
    #[serde(default = "all")]
    used: Percent,
    /// Limit a group above the volume's own (`1/100`), as one for all subvolumes of a customer is.
    #[serde(default)]
    nested: bool,
}

fn all() -> Percent {
    Percent(100.0)
}

const NAME: &str = "quota";
/// More than a filesystem rounds up to.
const STEP: u64 = 1 << 20;

/// What there was of quotas before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// They were switched on.
    enabled: bool,
    /// The group that gets the limit, where there was one.
    quota: Option<QuotaFacts>,
}

impl Before {
    fn limit(&self) -> Option<u64> {
        self.quota.as_ref().and_then(|quota| quota.limit)
    }

    fn was(&self, group: QuotaGroup) -> QuotaWas {
        match &self.quota {
            _ if !self.enabled => QuotaWas::Off,
            None if group == QuotaGroup::Parent => QuotaWas::NoParent,
            _ => QuotaWas::Limited { group, limit: self.limit() },
        }
    }
}

impl Quota {
    fn group(&self) -> QuotaGroup {
        if self.nested { QuotaGroup::Parent } else { QuotaGroup::Own }
    }

    async fn look(&self, cx: &Cx<'_>) -> Result<Before, FaultError> {
        let own = cx.quota(&cx.site.place, QuotaGroup::Own).await?;
        let enabled = own.is_some();
        let quota =
            if self.nested { cx.quota(&cx.site.place, QuotaGroup::Parent).await? } else { own };
        Ok(Before { enabled, quota })
    }
}

fn said(quota: Option<&QuotaFacts>) -> String {
    let Some(QuotaFacts { referenced, limit }) = quota else { return "no quota".into() };
    match limit {
        Some(limit) => format!("{referenced} of {limit} bytes in use"),
        None => format!("{referenced} bytes in use, no limit"),
    }
}

/// The limit that the helper has set.
fn set(outcomes: &[Outcome]) -> Option<u64> {
    outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Limited { size, .. } => Some(*size),
        _ => None,
    })
}

impl Fault for Quota {
    type Before = Before;

    const SCOPE: Scope = Scope::Superblock;
    const NEEDS: &'static [Capability] = &[Capability::Btrfs];
    const EXAMPLE: &'static str = "quota: { target: agent:/data, used: 92% }";

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!(
                "limit `{}` to a quota that is {} in use{}",
                self.target,
                self.used,
                if self.nested { ", by a group above its own" } else { "" }
            ),
            undo: "put the limit back, or switch quotas off again".into(),
            proof: "the quota group shows the limit; at 100% writing fails with EDQUOT".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        wrong.extend(checks::needs_volume(NAME, &self.target, declared));
        let other = declared.volume.filter(|v| v.filesystem() != Some(Filesystem::Btrfs));
        if let Some(volume) = other {
            wrong.push(format!(
                "`quota` needs quota groups, which a `{}` volume has not\n\nhint: use `btrfs: {{ \
                 size: 256MiB }}`",
                volume.name()
            ));
        }
        if self.used.0 < 1.0 {
            wrong.push("`used` below 1% limits nothing\n\nhint: write `used: 92%`".into());
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let fs = cx.filesystem(&place).await?;
        if fs.fs_type != "btrfs" || fs.is_host {
            return Err(FaultError::Refused(format!(
                "`{}` is on {} that does not belong to the run\n\nhint: use a `btrfs` volume",
                place.path, fs.fs_type
            )));
        }
        let (before, dev, group) = (self.look(cx).await?, fs.dev, self.group());
        let undo = Op::RestoreQuota { place: place.clone(), dev, to: before.was(group) };
        let op = Op::SetQuota { place, dev, group, used: self.used };
        Ok(Prepared { before, ops: vec![op], undo: vec![undo] })
    }

    async fn verify(
        &self,
        before: &Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let place = &cx.site.place;
        let quota = cx.quota(place, self.group()).await?;
        let limit = quota.as_ref().and_then(|quota| quota.limit);
        let ours = limit.is_some()
            && limit != before.limit()
            && set(outcomes).is_none_or(|ours| limit == Some(ours));
        let mut evidence = said(quota.as_ref());
        // with something left a trial would take it from the subject: the group's word must do
        if !ours || self.used < all() {
            return Ok(Effect { proven: ours, evidence, notes: Vec::new() });
        }
        let errno = cx.trial(Read::TryWrite { place: place.clone(), bytes: STEP }).await?;
        evidence += &format!("; writing {}: {}", Size(STEP), tried(errno.as_ref()));
        let proven = errno.as_deref() == Some("EDQUOT");
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        let now = self.look(cx).await?;
        // another fault that ended before it may have taken all groups away with its own
        let all_gone = !now.enabled && before.limit().is_none();
        let back = all_gone || now.was(self.group()) == before.was(self.group());
        Ok(Effect { proven: back, evidence: said(now.quota.as_ref()), notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    fn fault(yaml: &str) -> Quota {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const BTRFS: &str = "btrfs: { size: 256MiB }";

    fn world() -> (Fake, crate::faults::Site) {
        let fake = Fake::default();
        fake.world().fs = testing::fs("btrfs");
        (fake, testing::site("/data", BTRFS))
    }

    #[tokio::test]
    async fn quotas_that_were_off_are_switched_off_again_and_a_limit_is_put_back() {
        let (fake, site) = world();
        let fault = fault("{ target: agent:/data, used: 92% }");
        let prepared = fault.prepare(&fake.cx(&site)).await.unwrap();
        assert!(matches!(&prepared.ops[0], Op::SetQuota { used: Percent(92.0), .. }));
        let undo = &prepared.undo[0];
        assert!(matches!(undo, Op::RestoreQuota { to: QuotaWas::Off, .. }));
        fake.world().quota = Some(QuotaFacts { referenced: 10, limit: Some(20) });
        let prepared = fault.prepare(&fake.cx(&site)).await.unwrap();
        let (own, to) = (QuotaGroup::Own, &prepared.undo[0]);
        let was = QuotaWas::Limited { group: own, limit: Some(20) };
        assert!(matches!(to, Op::RestoreQuota { to, .. } if *to == was));
    }

    #[tokio::test]
    async fn a_group_above_is_taken_away_again_if_it_was_not_there() {
        let (fake, site) = world();
        let (cx, fault) =
            (fake.cx(&site), fault("{ target: agent:/data, used: 92%, nested: true }"));
        let undo = async || match fault.prepare(&cx).await.unwrap().undo[0] {
            Op::RestoreQuota { to, .. } => to,
            ref other => panic!("{other:?}"),
        };
        assert_eq!(undo().await, QuotaWas::Off);
        fake.world().quota = Some(QuotaFacts { referenced: 10, limit: Some(20) });
        assert_eq!(undo().await, QuotaWas::NoParent);
        let before = fault.prepare(&cx).await.unwrap().before;
        fake.world().parent_quota = Some(QuotaFacts { referenced: 10, limit: Some(15) });
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        let parent = QuotaGroup::Parent;
        assert_eq!(undo().await, QuotaWas::Limited { group: parent, limit: Some(15) });
        fake.world().parent_quota = None;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "the own limit is not it");
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().quota = None;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven, "none limits anything");
    }

    #[tokio::test]
    async fn proven_by_the_groups_limit_and_by_a_write_that_is_refused() {
        let (fake, site) = world();
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent:/data }"));
        let before = fault.prepare(&cx).await.unwrap().before;
        let outcomes = [Outcome::Limited { size: 4096, inodes: 0 }];
        assert!(!fault.verify(&before, &outcomes, &cx).await.unwrap().proven, "no quota");
        fake.world().quota = Some(QuotaFacts { referenced: 4096, limit: Some(9999) });
        assert!(!fault.verify(&before, &outcomes, &cx).await.unwrap().proven, "not ours");
        fake.world().quota = Some(QuotaFacts { referenced: 4096, limit: Some(4096) });
        assert!(!fault.verify(&before, &outcomes, &cx).await.unwrap().proven, "it can write");
        fake.world().write = Some("EDQUOT");
        assert!(fault.verify(&before, &outcomes, &cx).await.unwrap().proven);
        assert!(!fault.verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().quota = None;
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn only_btrfs_of_the_run_gets_a_quota() {
        let (fake, site) = world();
        fake.world().fs.is_host = true;
        let prepared = fault("{ target: agent:/data }").prepare(&fake.cx(&site)).await;
        assert!(matches!(prepared, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let check = |yaml: &str, volume: &str| {
            let volume = testing::volume_spec(volume);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            fault(yaml).check(&declared).len()
        };
        assert_eq!(check("{ target: agent:/data }", BTRFS), 0);
        assert_eq!(check("{ target: agent:/data }", "ext4: { size: 64MiB }"), 1);
        assert_eq!(check("{ target: agent:/data, used: 0% }", BTRFS), 1);
    }
}
