//! `inode-exhaustion`: a filesystem has no inodes left, while bytes are still free.
//!
//! Mechanism: a tmpfs gets its limit moved down to what is in use; ext4 and XFS are filled with
//! empty files in a directory of ours. Blast radius: the volume's superblock, which must not be the
//! host's; there is no override. Undone by the old limit, or by removing our directory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target,
    capacity::{self, Supply, part},
    observe::tried,
};
use crate::{
    protocol::{Capability, FsFacts, Outcome, Read},
    units::Percent,
    volumes::{Filesystem, VolumeSpec},
};

/// Uses up the inodes of a volume while bytes are still free.
///
/// New files fail with `ENOSPC`, and `df -h` shows nothing wrong. Works on `tmpfs`, `ext4` and `xfs`
/// volumes. Use it to see whether retention frees files, and whether the service recovers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InodeExhaustion {
    /// A directory on the volume: `service:/path`.
    pub(super) target: Target,
    /// Inodes to leave free; none without it.
    leave: Option<u64>,
    /// Instead of `leave`: go on until this share of the inodes is in use.
    percent: Option<Percent>,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Inodes in all.
    total: u64,
    /// Inodes free.
    free: u64,
    /// Inodes to be left free.
    leave: u64,
}

/// XFS makes inodes by the chunk of 64, so what does not fill one may stay free for good. Where no
/// more than that was free, nothing could be shown.
const XFS_CHUNK: u64 = 64;

const NAME: &str = "inode-exhaustion";

const NO_LIMIT: &str = "btrfs has no limit of inodes, so they cannot run out\n\nhint: use \
    `disk-full`, or an `ext4`, `xfs` or `tmpfs` volume";

impl InodeExhaustion {
    /// All but so many inodes of a volume.
    pub(super) fn leaving(target: Target, leave: u64) -> Self {
        Self { target, leave: Some(leave), percent: None }
    }

    /// Inodes to be left free in the end.
    fn goal(&self, cx: &Cx<'_>, fs: &FsFacts) -> u64 {
        match self.percent {
            Some(percent) => capacity::unused(capacity::total(cx, fs.inodes_total), percent),
            None => self.leave.unwrap_or_default(),
        }
    }

    /// Inodes to be left free by this injection: in a ramp, a share of the way.
    fn leave(&self, cx: &Cx<'_>, fs: &FsFacts) -> u64 {
        let goal = self.goal(cx, fs);
        let way = fs.inodes_free.saturating_sub(goal);
        goal + (way - part(way, cx.share))
    }

    /// Refuses where there is nothing to exhaust, and on the host's own filesystem.
    fn admit(&self, cx: &Cx<'_>, fs: &FsFacts) -> Result<(), FaultError> {
        let path = &cx.site.place.path;
        let refuse = |why: String| Err(FaultError::Refused(why));
        if fs.is_host {
            return refuse(format!(
                "the filesystem at `{path}` is the host's own, and without inodes the host would \
                 stand still\n\nhint: use a volume with its own, such as `ext4`"
            ));
        }
        if fs.fs_type == "btrfs" {
            return refuse(NO_LIMIT.into());
        }
        // nor can a tmpfs be given one later: "Cannot retroactively limit inodes" (mm/shmem.c)
        if fs.inodes_total == 0 {
            return refuse(format!(
                "{} at `{path}` has no limit of inodes, so they cannot run out\n\nhint: give the \
                 volume `inodes: 512`",
                fs.fs_type
            ));
        }
        let leave = self.leave(cx, fs);
        if fs.inodes_free <= rest(leave, fs) + slack(leave, fs.inodes_free) {
            return refuse(format!(
                "only {} inodes are free at `{path}`, so there is nothing to exhaust",
                fs.inodes_free
            ));
        }
        Ok(())
    }
}

/// At most so many stay free when all but `leave` are used up.
fn rest(leave: u64, fs: &FsFacts) -> u64 {
    let kept = if fs.fs_type == "xfs" { XFS_CHUNK - 1 } else { 0 };
    leave.max(kept)
}

/// Where some are left the subject goes on, and may have freed a few of its own since.
fn slack(leave: u64, free: u64) -> u64 {
    if leave == 0 { 0 } else { free.saturating_sub(leave) / 20 }
}

/// Inodes that a service frees of its own accord before anybody looks: a temporary file, an old log.
const FEW: u64 = 4;

/// The kernel had none for us either.
fn were_none(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Filled { refused: Some(errno), .. } if errno == "ENOSPC")
}

async fn try_create(cx: &Cx<'_>) -> Result<Option<String>, FaultError> {
    cx.trial(Read::TryCreate(cx.site.place.clone())).await
}

impl Fault for InodeExhaustion {
    type Before = Before;

    const SCOPE: Scope = Scope::Superblock;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "inode-exhaustion: { target: agent:/data }";
    const RAMPS: bool = true;
    const ON_OTHERS: OnOthers = OnOthers::changing(Changes::Room);

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        let act = match self.percent {
            Some(percent) => format!("use up {percent} of the inodes of `{}`", self.target),
            None => {
                let leave = self.leave.unwrap_or_default();
                format!("leave {leave} inodes free at `{}`", self.target)
            }
        };
        Described {
            act,
            undo: "put the tmpfs's limit back, or remove our files".into(),
            proof: "creating a file there fails with ENOSPC, and statfs still counts free bytes"
                .into(),
        }
    }

    fn undo_on(&self, volume: Option<&VolumeSpec>) -> Option<String> {
        volume.map(|volume| capacity::undo(volume, "our files"))
    }

    fn subject_may_end_it(&self) -> bool {
        true
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = capacity::check(NAME, &self.target, declared);
        wrong.extend(capacity::check_amount(self.leave.is_some(), self.percent));
        if declared.volume.and_then(VolumeSpec::filesystem) == Some(Filesystem::Btrfs) {
            wrong.push(NO_LIMIT.into());
        }
        if let Some(volume) = declared.volume.filter(|volume| volume.shares_host()) {
            wrong.push(format!(
                "a `{}` volume lies on the host's own filesystem, which must keep its \
                 inodes\n\nhint: use a volume with its own, such as `ext4: {{ size: 64MiB, \
                 inodes: 512 }}`",
                volume.name()
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        cx.running().await?;
        let fs = cx.filesystem(&cx.site.place).await?;
        let sole = cx.alone(NAME, Changes::Room, &fs).await?;
        self.admit(cx, &fs)?;
        let leave = self.leave(cx, &fs);
        let (op, undo) = capacity::acts(cx, &fs, Supply::Inodes(leave)).await?;
        if let Some(errno) = try_create(cx).await? {
            return Err(FaultError::Refused(format!(
                "creating a file at `{}` fails with {errno} already, so a fault could not be told \
                 from that",
                cx.site.place.path
            )));
        }
        let before = Before { total: fs.inodes_total, free: fs.inodes_free, leave };
        let ops = cx.guard(&fs, sole).into_iter().chain([op]).collect();
        Ok(Prepared { before, ops, undo: vec![undo] })
    }

    async fn verify(
        &self,
        before: &Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let errno = try_create(cx).await?;
        let fs = cx.filesystem(&cx.site.place).await?;
        // the service was refused at once, and has removed a file or two of its own since
        let freed = outcomes.iter().any(were_none) && fs.inodes_free <= FEW;
        let refused = before.leave > 0 || errno.as_deref() == Some("ENOSPC") || freed;
        let most = rest(before.leave, &fs) + slack(before.leave, before.free);
        let exhausted = fs.inodes_free <= most || freed;
        let proven = refused && exhausted && fs.bytes_available > 0;
        let evidence = format!(
            "creating a file: {}; {} inodes and {} bytes free, {} inodes before",
            tried(errno.as_ref()),
            fs.inodes_free,
            fs.bytes_available,
            before.free
        );
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = capacity::ended(cx).await? {
            return Ok(ended);
        }
        let errno = try_create(cx).await?;
        let fs = cx.filesystem(&cx.site.place).await?;
        let filler = capacity::filler_is_left(cx).await?;
        // XFS counts inodes by the bytes that are free, so only a fixed number can be compared
        let total = fs.fs_type == "xfs" || fs.inodes_total == before.total;
        let evidence = format!(
            "creating a file: {}; {} of {} inodes free; {}",
            tried(errno.as_ref()),
            fs.inodes_free,
            fs.inodes_total,
            capacity::told(filler)
        );
        let proven = errno.is_none() && total && !filler;
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::Op,
    };

    fn fault(yaml: &str) -> InodeExhaustion {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent:/data }";

    #[tokio::test]
    async fn ext4_is_filled_and_the_filler_removed() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let prepared = fault(PLAIN).prepare(&fake.cx(&site)).await.unwrap();
        let (place, dev, marker) = (site.place.clone(), testing::DEV, ".keelhaul-r1".to_owned());
        let fill = Op::FillInodes { place: place.clone(), dev, marker: marker.clone(), leave: 0 };
        assert_eq!(prepared.ops, [fill]);
        assert_eq!(prepared.undo, [Op::RemoveFiller { place, dev, marker }]);
    }

    #[tokio::test]
    async fn tmpfs_gets_a_limit_and_its_old_one_back() {
        let (fake, site) = (Fake::default(), testing::site("/data", "tmpfs: {}"));
        fake.world().fs = testing::fs("tmpfs");
        let mut mount = testing::mount("/data", "tmpfs");
        mount.super_options.push("nr_inodes=777".into());
        fake.world().mounts.insert("/data".into(), vec![mount]);
        let prepared = fault("{ target: agent:/data, leave: 3 }").prepare(&fake.cx(&site)).await;
        let prepared = prepared.unwrap();
        assert!(matches!(
            prepared.ops[0],
            Op::ExhaustTmpfs { leave_bytes: None, leave_inodes: Some(3), .. }
        ));
        assert!(matches!(
            prepared.undo[0],
            Op::SetTmpfsLimits { size: None, inodes: Some(777), .. }
        ));
    }

    #[tokio::test]
    async fn proven_by_enospc_while_bytes_are_free() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let cx = fake.cx(&site);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().create = Some("ENOSPC");
        fake.world().fs.inodes_free = 0;
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        assert!(!fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().fs.bytes_available = 0;
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn a_service_that_frees_a_file_at_once_has_seen_it() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let cx = fake.cx(&site);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        let filled = |refused: Option<&str>| {
            [Outcome::Filled { files: 9, bytes: 0, refused: refused.map(str::to_owned) }]
        };
        fake.world().fs.inodes_free = 2;
        let verify = async |refused| {
            fault(PLAIN).verify(&before, &filled(refused), &cx).await.unwrap().proven
        };
        assert!(verify(Some("ENOSPC")).await);
        assert!(!verify(None).await && !verify(Some("EDQUOT")).await);
        fake.world().fs.inodes_free = 5;
        assert!(!verify(Some("ENOSPC")).await, "more than a service frees by the way");
    }

    #[tokio::test]
    async fn xfs_keeps_what_fills_no_chunk() {
        let (fake, site) = (Fake::default(), testing::site("/data", "xfs: { size: 300MiB }"));
        let cx = fake.cx(&site);
        fake.world().fs.fs_type = "xfs".into();
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        fake.world().create = Some("ENOSPC");
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().fs.inodes_free = 40;
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().create = None;
        for leave in [0, 20, 40] {
            let fault = fault(&format!("{{ target: agent:/data, leave: {leave} }}"));
            let refused = fault.prepare(&cx).await;
            assert!(matches!(refused, Err(FaultError::Refused(_))), "{leave}");
        }
        let fault = fault("{ target: agent:/data, leave: 100 }");
        fake.world().fs.inodes_free = 164;
        let before = fault.prepare(&cx).await.unwrap().before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().fs.inodes_free = 100;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn with_some_left_statfs_decides() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let cx = fake.cx(&site);
        let fault = fault("{ target: agent:/data, leave: 10 }");
        let before = fault.prepare(&cx).await.unwrap().before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().fs.inodes_free = 10;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn a_share_is_used_up_in_stages() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let fault = fault("{ target: agent:/data, percent: 75% }");
        (fake.world().fs.inodes_total, fake.world().fs.inodes_free) = (1000, 850);
        let half = Cx { share: 0.5, ..fake.cx(&site) };
        let Prepared { before, ops, .. } = fault.prepare(&half).await.unwrap();
        assert!(matches!(ops[0], Op::FillInodes { leave: 550, .. }), "{ops:?}");
        fake.world().fs.inodes_free = 550;
        assert!(fault.verify(&before, &[], &half).await.unwrap().proven);
        // as on a tmpfs, whose limit the first stage has moved
        fake.world().fs.inodes_total = 700;
        let first = serde_json::to_value(&before).unwrap();
        let rest = Cx { share: 1.0, first: Some(&first), ..fake.cx(&site) };
        let Prepared { before, ops, .. } = fault.prepare(&rest).await.unwrap();
        assert!(matches!(ops[0], Op::FillInodes { leave: 250, .. }), "{ops:?}");
        assert!(!fault.verify(&before, &[], &rest).await.unwrap().proven);
        fake.world().fs.inodes_free = 250;
        assert!(fault.verify(&before, &[], &rest).await.unwrap().proven);
    }

    #[tokio::test]
    async fn reverted_when_files_can_be_made_and_none_of_ours_is_left() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let cx = fake.cx(&site);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        assert!(fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().files.insert("/data/.keelhaul-r1".into(), testing::file(12, 2));
        assert!(!fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn the_hosts_filesystem_is_refused_whatever_is_allowed() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let cx = Cx { host_wide: true, ..fake.cx(&site) };
        fake.world().fs.is_host = true;
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
        fake.world().fs.is_host = false;
        fake.world().create = Some("ENOSPC");
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
        fake.world().create = None;
        fake.world().fs.inodes_free = 0;
        assert!(matches!(fault(PLAIN).prepare(&cx).await, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let check = |volume: &str| {
            let volume = testing::volume_spec(volume);
            let volume = Some(&volume);
            fault(PLAIN).check(&Declared { volume, is_mount_point: true, host_wide: true })
        };
        for fits in ["tmpfs: {}", "ext4: { size: 64MiB }", "xfs: { size: 300MiB }"] {
            assert!(check(fits).is_empty(), "{fits}");
        }
        assert!(check("btrfs: { size: 256MiB }")[0].contains("`disk-full`"));
        assert_eq!(check("docker: {}").len(), 1);
        assert_eq!(check("bind: {}").len(), 1);
        assert!(check("docker: { options: { type: ext4, device: /dev/sdz } }").is_empty());
        let none = Declared { volume: None, is_mount_point: false, host_wide: false };
        assert_eq!(fault(PLAIN).check(&none).len(), 1);
        assert_eq!(fault("{ target: agent }").check(&none).len(), 1);
    }
}
