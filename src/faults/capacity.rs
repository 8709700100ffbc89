//! What the capacity faults share: whose filesystem it is, the acts, and what may be left of them.
//!
//! Must not decide for one fault alone; that stays in its own file.

use super::{Cx, Declared, Effect, FaultError, Target, checks, observe::sibling};
use crate::{
    protocol::{FsFacts, MountFacts, Op, SoleOp},
    runtime::RuntimeError,
    units::Percent,
    volumes::{Filesystem, VolumeSpec},
};

/// What runs out, and how much of it is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Supply {
    /// Bytes.
    Bytes(u64),
    /// Inodes.
    Inodes(u64),
}

/// How a filesystem is brought to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Move a tmpfs's limit down to what is in use.
    Limit,
    /// Fill it up.
    Fill,
}

/// Limits of a tmpfs; 0 where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes.
    pub(super) size: u64,
    /// Inodes.
    pub(super) inodes: u64,
}

impl Limits {
    /// The options of the superblock name a limit only where it differs from the kernel's default
    /// (`shmem_show_options`), so statfs answers for the rest; it says 0 where there is no limit.
    pub(super) fn of(mount: &MountFacts, fs: &FsFacts) -> Self {
        let named = |name: &str| {
            let value = mount.super_options.iter().find_map(|option| {
                option.strip_prefix(name).and_then(|rest| rest.strip_prefix('='))
            });
            value.and_then(scaled)
        };
        Self {
            size: named("size").unwrap_or(fs.bytes_total),
            inodes: named("nr_inodes").unwrap_or(fs.inodes_total),
        }
    }
}

/// `65536k` → 67108864.
fn scaled(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Whether, and how, this filesystem may be brought to its limit, apart from the host's own.
fn way(cx: &Cx<'_>, fs: &FsFacts) -> Result<Way, FaultError> {
    let volume = cx.site.volume.as_ref().ok_or_else(|| {
        FaultError::Refused(format!(
            "`{}` lies on the container's own layer, not on a volume",
            cx.site.place.path
        ))
    })?;
    // that nobody else uses it was looked at, and is again
    if cx.attached {
        return Ok(if fs.fs_type == "tmpfs" { Way::Limit } else { Way::Fill });
    }
    match volume.spec.filesystem() {
        Some(Filesystem::Tmpfs) if fs.fs_type == "tmpfs" => Ok(Way::Limit),
        Some(_) if fs.is_host => Err(FaultError::Refused(format!(
            "`{}` should have a filesystem of its own, but the host's is mounted there",
            cx.site.place.path
        ))),
        Some(_) => Ok(Way::Fill),
        // a tmpfs that is not ours keeps its limits, and filling it would eat the host's memory
        None if fs.fs_type == "tmpfs" => Err(FaultError::Refused(format!(
            "volume `{}` is a tmpfs that the run did not make, and its limits are not ours to \
             change\n\nhint: use a `tmpfs` volume",
            volume.name
        ))),
        None if !fs.is_host && !cx.host_wide => Err(FaultError::Refused(format!(
            "volume `{}` lies on a filesystem that does not belong to the run\n\nhint: use a \
             volume with its own, such as `ext4`, or say `allow: [host-wide]`",
            volume.name
        ))),
        None => Ok(Way::Fill),
    }
}

/// What undoes it on such a volume, in words; `filler` is what there is of ours.
pub(super) fn undo(volume: &VolumeSpec, filler: &str) -> String {
    match volume.filesystem() {
        Some(Filesystem::Tmpfs) => "put the tmpfs's limit back".to_owned(),
        _ => format!("remove {filler}"),
    }
}

/// The act that brings a filesystem to its limit, and the one that undoes it.
pub(super) async fn acts(cx: &Cx<'_>, fs: &FsFacts, left: Supply) -> Result<(Op, Op), FaultError> {
    match way(cx, fs)? {
        Way::Limit => limit(cx, fs, left).await,
        Way::Fill if cx.first.is_none() && filler_is_left(cx).await? => {
            Err(FaultError::Refused(format!(
                "`{}` is filled by another fault of this run already, and what undoes one would undo \
             both\n\nhint: revert that first, or fill another directory of the volume",
                cx.site.place.path
            )))
        }
        Way::Fill => Ok(fill(cx, fs, left)),
    }
}

async fn limit(cx: &Cx<'_>, fs: &FsFacts, left: Supply) -> Result<(Op, Op), FaultError> {
    let (place, dev) = (cx.site.place.clone(), fs.dev);
    let old = Limits::of(&cx.mount_of(&place).await?, fs);
    let (leave_bytes, leave_inodes, size, inodes) = match left {
        Supply::Bytes(bytes) => (Some(bytes), None, Some(old.size), None),
        Supply::Inodes(inodes) => (None, Some(inodes), None, Some(old.inodes)),
    };
    let undo = Op::SetTmpfsLimits { place: place.clone(), dev, size, inodes };
    Ok((Op::ExhaustTmpfs { place, dev, leave_bytes, leave_inodes }, undo))
}

fn fill(cx: &Cx<'_>, fs: &FsFacts, left: Supply) -> (Op, Op) {
    let (place, dev, marker) = (cx.site.place.clone(), fs.dev, cx.marker());
    let (at, name) = (place.clone(), marker.clone());
    let undo = if cx.attached {
        Op::Sole(SoleOp::RemoveFiller { place: at, dev, marker: name })
    } else {
        Op::RemoveFiller { place: at, dev, marker: name }
    };
    let act = match left {
        Supply::Bytes(leave) => Op::FillBytes { place, dev, marker, leave },
        Supply::Inodes(leave) => Op::FillInodes { place, dev, marker, leave },
    };
    (act, undo)
}

/// A share, from 0 to 1, of an amount.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the share of a size is not larger than the size, and not negative"
)]
pub(super) fn part(total: u64, share: f64) -> u64 {
    ((total as f64 * share) as u64).min(total)
}

/// All that there is: of a tmpfs, before an earlier stage of a ramp has moved its limit.
pub(super) fn total(cx: &Cx<'_>, now: u64) -> u64 {
    cx.first.and_then(|before| before.get("total")?.as_u64()).unwrap_or(now)
}

/// What is left free where this much of all is in use.
pub(super) fn unused(total: u64, used: Percent) -> u64 {
    total - part(total, used.0 / 100.0)
}

/// Complaints about an amount that can be given in two ways.
pub(super) fn check_amount(leave: bool, percent: Option<Percent>) -> Vec<String> {
    let mut wrong = Vec::new();
    if leave && percent.is_some() {
        wrong.push("`leave` and `percent` say the same thing\n\nhint: write one".into());
    }
    if percent.is_some_and(|percent| percent.0 <= 0.0) {
        wrong.push("`percent: 0%` fills nothing\n\nhint: write `percent: 95%`".into());
    }
    wrong
}

/// Complaints about the target of any of them.
pub(super) fn check(name: &str, target: &Target, declared: &Declared<'_>) -> Vec<String> {
    let path = checks::needs_path(name, target);
    path.into_iter().chain(checks::needs_volume(name, target, declared)).collect()
}

/// What is left of it where its container has ended, and the host has no path to it: nothing of what
/// ends with a container. Its own layer does not: the next start finds that as it is.
pub(super) async fn ended(cx: &Cx<'_>) -> Result<Option<Effect>, FaultError> {
    let ended = cx.ended().await?.filter(|_| cx.site.place.host_path.is_none());
    let Some(ended) = ended else { return Ok(None) };
    Ok(Some(if ends_with_container(cx).await? {
        Effect::proven(ended)
    } else {
        Effect::unproven(format!(
            "{ended}; but `{}` is on none that goes with it: the next start finds it as it is",
            cx.site.place.path
        ))
    }))
}

/// Whether what lies there is gone with a container that has ended: it was memory, or the container
/// was removed.
async fn ends_with_container(cx: &Cx<'_>) -> Result<bool, FaultError> {
    let facts = match cx.facts().await {
        Err(FaultError::Runtime(RuntimeError::Gone { .. })) => return Ok(true),
        facts => facts?,
    };
    let volume = cx.site.volume.as_ref().and_then(|volume| volume.spec.filesystem());
    Ok(volume == Some(Filesystem::Tmpfs) || facts.has_in_memory(&cx.site.place.path))
}

/// Our filler still lies there.
pub(super) async fn filler_is_left(cx: &Cx<'_>) -> Result<bool, FaultError> {
    let place = &cx.site.place;
    let filler = sibling(place, &format!("{}/{}", place.path, cx.marker()));
    Ok(cx.file(&filler).await?.is_some())
}

/// The same in the words of reports.
pub(super) fn told(filler: bool) -> &'static str {
    if filler { "our filler is still there" } else { "nothing of ours is left" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::{self, Fake},
        runtime::{ContainerMount, State},
    };

    #[tokio::test]
    async fn a_layer_outlives_its_container_until_that_is_removed_and_memory_does_not() {
        let fake = Fake::default();
        let after = async |site: &crate::faults::Site| ended(&fake.cx(site)).await.unwrap();
        let layer = testing::bare("/app/conf");
        assert_eq!(after(&layer).await, None, "it runs");
        fake.world().container.as_mut().unwrap().state = State::Exited;
        let left = after(&layer).await.unwrap();
        assert!(!left.proven && left.evidence.contains("`/app/conf`"), "{left:?}");
        assert!(!after(&testing::site("/data", "docker: {}")).await.unwrap().proven);
        assert!(after(&testing::site("/data", "tmpfs: {}")).await.unwrap().proven);
        assert!(after(&testing::bare("/dev/shm")).await.unwrap().proven);
        let tmpfs = ContainerMount {
            destination: "/app".into(),
            kind: "tmpfs".into(),
            source: String::new(),
            volume: String::new(),
            writable: true,
            own: None,
        };
        fake.world().container.as_mut().unwrap().mounts.push(tmpfs);
        assert!(after(&layer).await.unwrap().proven, "a tmpfs that nobody declared");
        assert!(!after(&testing::bare("/application")).await.unwrap().proven);
        let mut on_host = testing::site("/data", "docker: {}");
        on_host.place.host_path = Some("/var/lib/docker/volumes/v/_data".into());
        assert_eq!(after(&on_host).await, None, "it can be looked for there");
        fake.world().container =
            Err(RuntimeError::Gone { what: "container", name: "agent".into() });
        assert!(after(&testing::bare("/application")).await.unwrap().proven, "removed");
    }

    #[test]
    fn limits_come_from_the_options_and_then_from_statfs() {
        let mut mount = testing::mount("/data", "tmpfs");
        mount.super_options = vec!["rw".into(), "size=65536k".into(), "nr_inodes=512".into()];
        let fs = testing::fs("tmpfs");
        assert_eq!(Limits::of(&mount, &fs), Limits { size: 64 << 20, inodes: 512 });
        mount.super_options = vec!["rw".into()];
        let expected = Limits { size: fs.bytes_total, inodes: fs.inodes_total };
        assert_eq!(Limits::of(&mount, &fs), expected);
        mount.super_options = vec!["nr_inodes=0".into()];
        assert_eq!(Limits::of(&mount, &fs).inodes, 0);
    }
}
