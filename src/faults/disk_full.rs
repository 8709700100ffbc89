//! `disk-full`: a filesystem has no bytes left.
//!
//! Mechanism: a tmpfs gets its limit moved down to what is in use; others are filled by one
//! allocation in a directory of ours. Blast radius: the volume's superblock; the host's own only
//! with `allow: [host-wide]`, and never to its end; what is not the run's, only where nobody
//! else uses it. Undone by the old limit, or by removing our
//! directory.

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
    units::{Percent, Size},
    volumes::VolumeSpec,
};

/// Uses up the bytes of a volume.
///
/// Writes fail with `ENOSPC`, or come back short. Use it to see whether the service ignores short
/// writes, keeps what it acknowledged, and goes on when space returns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskFull {
    /// A directory on the volume: `service:/path`.
    pub(super) target: Target,
    /// Bytes to leave free; nothing without it.
    leave: Option<Size>,
    /// Instead of `leave`: fill until this share of the filesystem is in use.
    percent: Option<Percent>,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Bytes in all.
    total: u64,
    /// Bytes that could be written.
    free: u64,
    /// Bytes to be left free.
    leave: u64,
    /// More than is left by this much does not fit, and did before: the tolerance of every figure.
    step: u64,
}

/// Filesystems allocate in steps of their own (a btrfs chunk item, an XFS reserve), so what is left
/// may be off by this much, or half of what is taken.
const STEP: u64 = 1 << 20;

/// Bytes to be taken, below which what is left cannot be told from what was there: an allocation
/// ends a few dozen blocks short of its goal.
const LEAST: u64 = 128 << 10;

/// Clusters of 4 KiB that ext4 keeps for itself at most.
const EXT4_KEEPS: u64 = 4096 << 12;

/// Up to here a write proves that nothing more fits; above, it would be a load of its own.
const TRY_MOST: u64 = 16 << 20;

/// What is left on the host's own filesystem in any case: at least this, and a twentieth.
const HOST_LEAVE: u64 = 1 << 30;

const NAME: &str = "disk-full";

impl DiskFull {
    /// All but so many bytes of a volume.
    pub(super) fn leaving(target: Target, leave: u64) -> Self {
        Self { target, leave: Some(Size(leave)), percent: None }
    }

    /// Bytes to be left free in the end.
    fn goal(&self, cx: &Cx<'_>, fs: &FsFacts) -> u64 {
        match self.percent {
            // exact enough: the share of a filesystem is meant, not its last block
            Some(percent) => capacity::unused(capacity::total(cx, fs.bytes_total), percent),
            None => self.leave.unwrap_or_default().0,
        }
    }

    /// Bytes to be left free by this injection: in a ramp, a share of the way.
    fn leave(&self, cx: &Cx<'_>, fs: &FsFacts) -> u64 {
        let goal = self.goal(cx, fs);
        let way = room(fs).saturating_sub(goal);
        goal + (way - part(way, cx.share))
    }

    /// Refuses where nothing would be filled, and what would stop the host.
    fn admit(&self, cx: &Cx<'_>, fs: &FsFacts) -> Result<(), FaultError> {
        let path = &cx.site.place.path;
        let refuse = |why: String| Err(FaultError::Refused(why));
        let leave = self.goal(cx, fs);
        if fs.bytes_total == 0 {
            return refuse(format!(
                "{} at `{path}` has no limit of bytes, so they cannot run out\n\nhint: give the \
                 volume `size: 64MiB`",
                fs.fs_type
            ));
        }
        let host_leave = HOST_LEAVE.max(fs.bytes_total / 20);
        if fs.is_host && !cx.host_wide {
            return refuse(format!(
                "the filesystem at `{path}` is the host's own\n\nhint: use a volume with its own, \
                 such as `ext4`, or say `allow: [host-wide]`"
            ));
        }
        if fs.is_host && leave < host_leave {
            return refuse(format!(
                "the filesystem at `{path}` is the host's own, which keeps {} at least\n\nhint: \
                 write `leave: {}`",
                Size(host_leave),
                Size(host_leave)
            ));
        }
        Ok(())
    }

    /// What is left must be told from what was free by an amount that counts, before and after.
    async fn measure(&self, cx: &Cx<'_>, fs: &FsFacts) -> Result<Before, FaultError> {
        let (path, leave) = (&cx.site.place.path, self.leave(cx, fs));
        let taken = room(fs).saturating_sub(leave);
        if taken < LEAST {
            return Err(FaultError::Refused(format!(
                "only {} of the {} bytes free at `{path}` can be written, so with {leave} left \
                 there is nothing to fill",
                room(fs),
                fs.bytes_free
            )));
        }
        let step = step(fs).min(taken / 2);
        let before = Before { total: fs.bytes_total, free: room(fs), leave, step };
        match before.too_much() {
            Some(bytes) => match try_write(cx, bytes).await? {
                None => Ok(before),
                Some(errno) => Err(FaultError::Refused(format!(
                    "writing {bytes} bytes at `{path}` fails with {errno} already, so a fault \
                     could not be told from that"
                ))),
            },
            None => Ok(before),
        }
    }
}

impl Before {
    /// A write of this size works before, and fails after; none where it would be too large.
    fn too_much(&self) -> Option<u64> {
        (self.leave <= TRY_MOST).then_some(self.leave + self.step)
    }

    /// A write of this size must still work after; none where so little is left that the subject may
    /// have it by then.
    fn still_fits(&self) -> Option<u64> {
        Some(self.leave / 4).filter(|bytes| *bytes >= STEP && self.leave <= TRY_MOST)
    }

    /// What was to be left, and not much less: half of it may be the subject's by now. Before, there
    /// was at least a step more.
    fn is_full(&self, fs: &FsFacts) -> bool {
        let least = self.leave.saturating_sub(STEP.max(self.leave / 2));
        (least..=self.leave + self.step).contains(&room(fs))
    }
}

/// What is left on a btrfs is an estimate: it takes space from the device a chunk at a time, a tenth of
/// a small one, and what metadata will need of that is not known before.
fn step(fs: &FsFacts) -> u64 {
    if fs.fs_type == "btrfs" { STEP.max(fs.bytes_total / 32) } else { STEP }
}

/// Bytes that root can write, as far as statfs says. ext4 counts as free what it keeps for its own
/// metadata: a fiftieth, and 4096 clusters at most (`ext4_calculate_resv_clusters`). What btrfs
/// counts as free may be of use to metadata alone.
fn room(fs: &FsFacts) -> u64 {
    match fs.fs_type.as_str() {
        "ext4" => fs.bytes_free.saturating_sub((fs.bytes_total / 50).min(EXT4_KEEPS)),
        "btrfs" => fs.bytes_available,
        _ => fs.bytes_free,
    }
}

async fn try_write(cx: &Cx<'_>, bytes: u64) -> Result<Option<String>, FaultError> {
    cx.trial(Read::TryWrite { place: cx.site.place.clone(), bytes }).await
}

impl Fault for DiskFull {
    type Before = Before;

    const SCOPE: Scope = Scope::Superblock;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "disk-full: { target: agent:/data }";
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
            Some(percent) => format!("fill `{}` to {percent}", self.target),
            None => format!("leave {} free at `{}`", self.leave.unwrap_or_default(), self.target),
        };
        Described {
            act,
            undo: "put the tmpfs's limit back, or remove our file".into(),
            proof: "writing more than what is left there fails with ENOSPC".into(),
        }
    }

    fn undo_on(&self, volume: Option<&VolumeSpec>) -> Option<String> {
        volume.map(|volume| capacity::undo(volume, "our file"))
    }

    fn subject_may_end_it(&self) -> bool {
        true
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = capacity::check(NAME, &self.target, declared);
        wrong.extend(capacity::check_amount(self.leave.is_some(), self.percent));
        let shared = declared.volume.filter(|volume| volume.shares_host());
        if let Some(volume) = shared.filter(|_| !declared.host_wide) {
            wrong.push(format!(
                "a `{}` volume lies on the host's own filesystem\n\nhint: use a volume with its \
                 own, such as `ext4: {{ size: 64MiB }}`, or say `allow: [host-wide]`",
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
        let (op, undo) = capacity::acts(cx, &fs, Supply::Bytes(self.leave(cx, &fs))).await?;
        let before = self.measure(cx, &fs).await?;
        let ops = cx.guard(&fs, sole).into_iter().chain([op]).collect();
        Ok(Prepared { before, ops, undo: vec![undo] })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let place = &cx.site.place;
        let Some(bytes) = before.too_much() else {
            let fs = cx.filesystem(place).await?;
            let evidence = format!("{} bytes free, {} before", room(&fs), before.free);
            return Ok(Effect { proven: before.is_full(&fs), evidence, notes: Vec::new() });
        };
        let errno = try_write(cx, bytes).await?;
        if let Some(fits) = before.still_fits()
            && let Some(errno) = try_write(cx, fits).await?
        {
            let fits = Size(fits);
            return Ok(Effect::unproven(format!("too much was taken: writing {fits}: {errno}")));
        }
        let fs = cx.filesystem(place).await?;
        let evidence = format!(
            "writing {}: {}; {} bytes free, {} before",
            Size(bytes),
            tried(errno.as_ref()),
            room(&fs),
            before.free
        );
        // what btrfs says is free is an estimate, off by more than a step
        let counted = before.is_full(&fs) || fs.fs_type == "btrfs";
        let proven = errno.as_deref() == Some("ENOSPC") && counted;
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, before: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = capacity::ended(cx).await? {
            return Ok(ended);
        }
        let filler = capacity::filler_is_left(cx).await?;
        let fs = cx.filesystem(&cx.site.place).await?;
        // how much the subject wrote meanwhile is its own affair; the limit and our file are ours
        let total = fs.fs_type != "tmpfs" || fs.bytes_total == before.total;
        let evidence = format!(
            "{} of {} bytes free; {}",
            fs.bytes_available,
            fs.bytes_total,
            capacity::told(filler)
        );
        Ok(Effect { proven: total && !filler, evidence, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        protocol::{Op, SoleOp},
    };

    fn fault(yaml: &str) -> DiskFull {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent:/data }";

    #[tokio::test]
    async fn a_volume_of_the_run_is_filled_and_the_filler_removed() {
        let (fake, site) = (Fake::default(), testing::site("/data", "btrfs: { size: 256MiB }"));
        let fault = fault("{ target: agent:/data, percent: 75% }");
        let prepared = fault.prepare(&fake.cx(&site)).await.unwrap();
        let leave = 16 << 20;
        assert!(matches!(&prepared.ops[0], Op::FillBytes { leave: l, .. } if *l == leave));
        assert!(
            matches!(&prepared.undo[0], Op::RemoveFiller { marker, .. } if marker == ".keelhaul-r1")
        );
        assert_eq!(prepared.before.leave, leave);
        fake.world().files.insert("/data/.keelhaul-r1".into(), testing::file(12, 2));
        let refused = fault.prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(why)) if why.contains("another fault")));
    }

    #[tokio::test]
    async fn the_stages_of_a_ramp_fill_equal_parts_and_end_at_the_amount() {
        let (fake, site) = (Fake::default(), testing::site("/data", "btrfs: { size: 256MiB }"));
        let fault = fault("{ target: agent:/data, leave: 1MiB }");
        fake.world().fs = testing::fs("btrfs");
        let free = room(&fake.world().fs.clone());
        let size = (free - (1 << 20)) / 4;
        for left in [4_u32, 3, 2, 1] {
            let cx = Cx { share: 1.0 / f64::from(left), ..fake.cx(&site) };
            let prepared = fault.prepare(&cx).await.unwrap();
            let leave = prepared.before.leave;
            let expected = (1 << 20) + size * u64::from(left - 1);
            assert!(leave.abs_diff(expected) < 8, "{leave} of {expected}");
            fake.world().fs.bytes_available = leave;
            fake.world().fs.bytes_free = leave;
        }
    }

    #[tokio::test]
    async fn tmpfs_gets_a_limit_and_its_old_one_back() {
        let (fake, site) = (Fake::default(), testing::site("/data", "tmpfs: {}"));
        fake.world().fs = testing::fs("tmpfs");
        let mut mount = testing::mount("/data", "tmpfs");
        mount.super_options.push("size=32768k".into());
        fake.world().mounts.insert("/data".into(), vec![mount]);
        let prepared = fault(PLAIN).prepare(&fake.cx(&site)).await.unwrap();
        let op = &prepared.ops[0];
        assert!(matches!(op, Op::ExhaustTmpfs { leave_bytes: Some(0), leave_inodes: None, .. }));
        let undo = &prepared.undo[0];
        assert!(matches!(undo, Op::SetTmpfsLimits { size: Some(0x200_0000), inodes: None, .. }));
    }

    #[tokio::test]
    async fn what_is_a_container_of_others_alone_is_looked_at_again_before_it_is_filled() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let cx = Cx { attached: true, ..fake.cx(&site) };
        let prepared = fault(PLAIN).prepare(&cx).await.unwrap();
        let [Op::Sole(guard), Op::FillBytes { .. }] = &prepared.ops[..] else { panic!() };
        assert!(matches!(guard, SoleOp::Check { sole, .. } if sole.containers == ["c1"]));
        assert!(matches!(&prepared.undo[..], [Op::Sole(SoleOp::RemoveFiller { .. })]));
    }

    #[tokio::test]
    async fn proven_by_a_write_that_finds_no_space() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let cx = fake.cx(&site);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().write = Some("ENOSPC");
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven, "bytes are free");
        fake.world().fs.bytes_available = 0;
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven, "for root they are");
        fake.world().fs.bytes_free = 1 << 20;
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().write = Some("EDQUOT");
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn with_much_left_statfs_decides() {
        let (fake, site) = (Fake::default(), testing::site("/data", "xfs: { size: 300MiB }"));
        let cx = fake.cx(&site);
        fake.world().fs = FsFacts { bytes_available: 20 << 20, ..testing::fs("xfs") };
        let fault = fault("{ target: agent:/data, leave: 20MiB }");
        let before = fault.prepare(&cx).await.unwrap().before;
        assert!(!fault.verify(&before, &[], &cx).await.unwrap().proven, "available is not free");
        fake.world().fs.bytes_free = 20 << 20;
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn too_little_left_proves_nothing_either() {
        let (fake, site) = (Fake::default(), testing::site("/data", "btrfs: { size: 256MiB }"));
        let cx = fake.cx(&site);
        let room = |bytes_available| FsFacts {
            bytes_total: 256 << 20,
            bytes_available,
            bytes_free: bytes_available + (75 << 20),
            ..testing::fs("btrfs")
        };
        fake.world().fs = room(175 << 20);
        let fault = fault("{ target: agent:/data, percent: 75% }");
        let before = fault.prepare(&cx).await.unwrap().before;
        for (left, proven) in [(90, false), (71, true), (60, true), (40, true), (15, false)] {
            fake.world().fs = room(left << 20);
            assert_eq!(fault.verify(&before, &[], &cx).await.unwrap().proven, proven, "{left}");
        }
    }

    #[tokio::test]
    async fn what_was_there_before_proves_nothing() {
        let (fake, site) = (Fake::default(), testing::site("/data", "tmpfs: { size: 512KiB }"));
        let cx = fake.cx(&site);
        let small = |bytes_free| FsFacts {
            bytes_total: 512 << 10,
            bytes_free,
            bytes_available: bytes_free,
            ..testing::fs("tmpfs")
        };
        fake.world().fs = small(500 << 10);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        assert_eq!(before.step, 250 << 10);
        fake.world().write = Some("ENOSPC");
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().fs = small(0);
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);

        let refused = |result: Result<_, _>| matches!(result, Err(FaultError::Refused(_)));
        fake.world().fs = small(500 << 10);
        assert!(refused(fault(PLAIN).prepare(&cx).await), "writing fails already");
        fake.world().write = None;
        fake.world().fs = small(100 << 10);
        assert!(refused(fault(PLAIN).prepare(&cx).await), "too little to take");
        // what ext4 keeps for itself is free, and no one can have it
        fake.world().fs = FsFacts { bytes_free: 64 << 20, ..testing::fs("ext4") };
        fake.world().fs.bytes_total = 64 << 30;
        let leave = fault("{ target: agent:/data, leave: 49100KiB }");
        assert!(refused(leave.prepare(&cx).await));
    }

    #[tokio::test]
    async fn reverted_when_our_file_and_our_limit_are_gone() {
        let (fake, site) = (Fake::default(), testing::site("/data", "tmpfs: {}"));
        fake.world().fs = testing::fs("tmpfs");
        let cx = fake.cx(&site);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        assert!(fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().fs.bytes_total = 4096;
        assert!(!fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().fs.bytes_total = before.total;
        fake.world().files.insert("/data/.keelhaul-r1".into(), testing::file(12, 2));
        assert!(!fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn the_host_keeps_its_reserve_and_needs_the_opt_in() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let large = fault("{ target: agent:/data, leave: 10GiB }");
        fake.world().fs = FsFacts {
            is_host: true,
            bytes_total: 100 << 30,
            bytes_free: 50 << 30,
            ..testing::fs("ext4")
        };
        let refused = |result| matches!(result, Err(FaultError::Refused(_)));
        assert!(refused(large.prepare(&fake.cx(&site)).await));
        let allowed = Cx { host_wide: true, ..fake.cx(&site) };
        assert!(large.prepare(&allowed).await.is_ok());
        assert!(refused(fault("{ target: agent:/data, leave: 2GiB }").prepare(&allowed).await));
        assert!(refused(fault("{ target: agent:/data, leave: 60GiB }").prepare(&allowed).await));
    }

    #[test]
    fn static_complaints() {
        let check = |yaml: &str, volume: &str, host_wide| {
            let volume = testing::volume_spec(volume);
            let declared = Declared { volume: Some(&volume), is_mount_point: true, host_wide };
            fault(yaml).check(&declared).len()
        };
        assert_eq!(check(PLAIN, "btrfs: { size: 256MiB }", false), 0);
        assert_eq!(check(PLAIN, "docker: {}", false), 1);
        assert_eq!(check(PLAIN, "docker: {}", true), 0);
        assert_eq!(check("{ target: agent:/d, leave: 1MiB, percent: 9% }", "tmpfs: {}", false), 1);
        assert_eq!(check("{ target: agent:/d, percent: 0% }", "tmpfs: {}", false), 1);
    }
}
