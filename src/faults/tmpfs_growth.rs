//! `tmpfs-growth`: a tmpfs grows, and takes the container's memory with it.
//!
//! Mechanism: a process of ours in the container's memory cgroup allocates a file in a directory of
//! ours on the tmpfs, so that the kernel charges the container. Blast radius: one container, which
//! must have a limit, and the tmpfs. Undone by removing our directory; with the container the tmpfs
//! is gone anyway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, Prepared, Scope, Target,
    capacity::{self, part},
    checks,
    lifecycle::Before as Container,
    observe::sibling,
    want_of_memory,
};
use crate::{
    protocol::{Capability, FileFacts, Op, Outcome, Place},
    units::{Percent, Size},
};

/// Grows a tmpfs, which uses the container's own memory.
///
/// One that has a size is full at that size, and writes fail with `ENOSPC`. One without grows until
/// the container's memory limit is reached and the kernel kills. Use it to see whether scratch space
/// is bounded below the memory limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TmpfsGrowth {
    /// A directory on the tmpfs: `service:/path`.
    pub(super) target: Target,
    /// Bytes by which it grows, if it can.
    size: Option<Size>,
    /// Instead of `size`: this share of the tmpfs' own size.
    percent: Option<Percent>,
}

/// What was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    container: Container,
    /// Processes killed for want of memory until then.
    kills: u64,
    /// Bytes that our file had, from an earlier stage of a ramp.
    had: u64,
    /// Bytes that it has then: what is asked for, or all there is room for.
    bytes: u64,
}

impl Before {
    /// Other writers take their share of a tmpfs that is full; not so much that a file that did not
    /// grow would do.
    fn has_grown_to(&self, bytes: u64) -> bool {
        let slack = SHARE_OF_OTHERS.min((self.bytes - self.had) / 2);
        bytes + slack >= self.bytes
    }
}

const NAME: &str = "tmpfs-growth";

impl TmpfsGrowth {
    /// Bytes that our file is to have: in a ramp, a share of the way from what it has.
    fn bytes(&self, share: f64, size: u64, now: u64) -> u64 {
        let goal = match self.percent {
            Some(percent) => part(size, percent.0 / 100.0),
            None => self.size.unwrap_or_default().0,
        };
        now + part(goal.saturating_sub(now), share)
    }

    /// The amount in words.
    fn amount(&self) -> String {
        match (self.percent, self.size) {
            (Some(percent), _) => format!("{percent} of its size"),
            (None, size) => size.unwrap_or_default().to_string(),
        }
    }

    fn check_amount(&self) -> Option<String> {
        match (self.size, self.percent) {
            (None, None) => Some("neither `size` nor `percent` is given, so nothing says by how much it grows\n\nhint: write `size: 64MiB`, or `percent: 50%`".into()),
            (Some(_), Some(_)) => {
                Some("`size` and `percent` say the same thing\n\nhint: write one".into())
            }
            (Some(Size(0)), None) => {
                Some("`size: 0B` grows nothing\n\nhint: write `size: 64MiB`".into())
            }
            (None, Some(percent)) if percent.0 <= 0.0 => {
                Some("`percent: 0%` grows nothing\n\nhint: write `percent: 50%`".into())
            }
            _ => None,
        }
    }
}

/// What other writers may have taken of a tmpfs that is full.
const SHARE_OF_OTHERS: u64 = 1 << 20;

async fn filler(cx: &Cx<'_>) -> Result<Option<FileFacts>, FaultError> {
    let Place { path, .. } = &cx.site.place;
    let file = format!("{}/{}/bytes", path.trim_end_matches('/'), cx.marker());
    cx.file(&sibling(&cx.site.place, &file)).await
}

impl Fault for TmpfsGrowth {
    type Before = Before;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::MemoryCgroup];
    const EXAMPLE: &'static str = "tmpfs-growth: { target: agent:/run/agent, size: 64MiB }";
    const RAMPS: bool = true;

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("grow `{}` by {}, charged to the container", self.target, self.amount()),
            undo: "remove our file".into(),
            proof: "the file is that large and in the container's memory, or the kernel killed"
                .into(),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        true
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong = capacity::check(NAME, &self.target, declared);
        wrong.extend(checks::needs_tmpfs(NAME, &self.target, declared));
        wrong.extend(self.check_amount());
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let facts = cx.running().await?;
        want_of_memory::refuse_unlimited(cx, &facts)?;
        let (place, marker) = (cx.site.place.clone(), cx.marker());
        let (fs, memory) = (cx.filesystem(&place).await?, cx.memory().await?);
        if fs.fs_type != "tmpfs" {
            let why = format!("no tmpfs but {} is mounted at `{}`", fs.fs_type, place.path);
            return Err(FaultError::Refused(why));
        }
        if self.percent.is_some() && fs.bytes_total == 0 {
            return Err(FaultError::Refused(format!(
                "the tmpfs at `{}` has no size to take a share of\n\nhint: write `size: 64MiB`",
                place.path
            )));
        }
        // without a limit statfs shows neither what there is nor what is free
        let free = if fs.bytes_total == 0 { u64::MAX } else { fs.bytes_free };
        let container = Container::of(&facts);
        let had = filler(cx).await?.map_or(0, |file| file.size);
        let asked = self.bytes(cx.share, fs.bytes_total, had);
        let bytes = asked.min(had.saturating_add(free));
        // a later stage of a ramp may find that an earlier one had all there is room for
        if bytes <= had && (had == 0 || cx.first.is_none()) {
            let why = format!("the tmpfs at `{}` is full, so nothing would grow", place.path);
            return Err(FaultError::Refused(why));
        }
        Ok(Prepared {
            before: Before { container, kills: memory.oom_kills, had, bytes },
            undo: vec![Op::RemoveFiller {
                place: place.clone(),
                dev: fs.dev,
                marker: marker.clone(),
            }],
            ops: vec![Op::GrowTmpfs { place, dev: fs.dev, marker, bytes: asked }],
        })
    }

    async fn verify(
        &self,
        before: &Before,
        outcomes: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let file = match filler(cx).await {
            Ok(file) => file.map_or(0, |file| file.size),
            Err(FaultError::Helper(_)) => 0,
            Err(error) => return Err(error),
        };
        if !before.has_grown_to(file) {
            return want_of_memory::killed(&before.container, before.kills, outcomes, cx).await;
        }
        let used = cx.memory().await?.used;
        let evidence = format!("a file of {file} bytes; the container uses {used} bytes of memory");
        Ok(Effect { proven: used >= file, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, _: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = capacity::ended(cx).await? {
            return Ok(ended);
        }
        let left = capacity::filler_is_left(cx).await?;
        let evidence = capacity::told(left).into();
        Ok(Effect { proven: !left, evidence, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::{
            Site,
            testing::{self, Fake},
        },
        runtime::State,
    };

    fn fault(yaml: &str) -> TmpfsGrowth {
        serde_saphyr::from_str(yaml).unwrap()
    }

    const PLAIN: &str = "{ target: agent:/data, size: 64MiB }";
    const FILLER: &str = "/data/.keelhaul-r1/bytes";

    fn world() -> (Fake, Site) {
        let fake = Fake::default();
        fake.world().fs = testing::fs("tmpfs");
        (fake, testing::site("/data", "tmpfs: {}"))
    }

    fn grown(fake: &Fake, size: u64, used: u64) {
        let mut world = fake.world();
        let file = FileFacts { size, ..testing::file(9, 1) };
        world.files.insert(FILLER.into(), file);
        world.memory.used = used;
    }

    #[tokio::test]
    async fn a_file_as_large_as_the_tmpfs_allows_must_be_in_the_containers_memory() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        let prepared = fault(PLAIN).prepare(&cx).await.unwrap();
        assert!(matches!(prepared.ops[..], [Op::GrowTmpfs { bytes: 0x400_0000, .. }]));
        assert!(matches!(prepared.undo[..], [Op::RemoveFiller { .. }]));
        let before = prepared.before;
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        // 48 MiB are free
        grown(&fake, 48 << 20, 20 << 20);
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven, "not charged");
        grown(&fake, 48 << 20, 60 << 20);
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().files.insert("/data/.keelhaul-r1".into(), testing::file(8, 2));
        assert!(!fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
        fake.world().files.clear();
        assert!(fault(PLAIN).verify_reverted(&before, &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn a_share_is_of_the_size_that_the_tmpfs_has() {
        let (fake, site) = world();
        let (cx, fault) = (fake.cx(&site), fault("{ target: agent:/data, percent: 50% }"));
        let half = fake.world().fs.bytes_total / 2;
        let prepared = fault.prepare(&Cx { share: 0.5, ..cx }).await.unwrap();
        assert!(matches!(prepared.ops[..], [Op::GrowTmpfs { bytes, .. }] if bytes == half / 2));
        let prepared = fault.prepare(&cx).await.unwrap();
        assert!(matches!(prepared.ops[..], [Op::GrowTmpfs { bytes, .. }] if bytes == half));
        fake.world().fs.bytes_total = 0;
        let unbounded = fault.prepare(&cx).await;
        assert!(matches!(unbounded, Err(FaultError::Refused(why)) if why.contains("no size")));
    }

    #[tokio::test]
    async fn a_later_stage_may_find_it_full_by_an_earlier_one() {
        let (fake, site) = world();
        let (cx, fault) = (fake.cx(&site), fault(PLAIN));
        let first = fault.prepare(&Cx { share: 0.5, ..cx }).await.unwrap().before;
        grown(&fake, first.bytes, 60 << 20);
        fake.world().fs.bytes_free = 0;
        assert!(fault.prepare(&cx).await.is_err(), "somebody else's file");
        let first = serde_json::to_value(first).unwrap();
        let later = fault.prepare(&Cx { first: Some(&first), ..cx }).await.unwrap().before;
        assert!(fault.verify(&later, &[], &cx).await.unwrap().proven);
        grown(&fake, 4096, 60 << 20);
        assert!(!fault.verify(&later, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn a_file_cut_short_by_the_kernel_is_an_effect_too() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        let before = fault(PLAIN).prepare(&cx).await.unwrap().before;
        grown(&fake, 8 << 20, 20 << 20);
        assert!(!fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().memory.oom_kills = 1;
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
        {
            let mut world = fake.world();
            let facts = world.container.as_mut().unwrap();
            (facts.state, facts.oom_killed) = (State::Exited, true);
        }
        assert!(fault(PLAIN).verify(&before, &[], &cx).await.unwrap().proven);
    }

    #[tokio::test]
    async fn refused_off_a_tmpfs_and_without_a_limit() {
        let (fake, site) = world();
        fake.world().fs = testing::fs("ext4");
        let refused = fault(PLAIN).prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(why)) if why.contains("ext4")));
        fake.world().container.as_mut().unwrap().memory = None;
        let refused = fault(PLAIN).prepare(&fake.cx(&site)).await;
        assert!(matches!(refused, Err(FaultError::Refused(why)) if why.contains("limit")));
    }

    #[tokio::test]
    async fn a_small_growth_is_not_proven_by_nothing_and_a_full_tmpfs_is_refused() {
        let (fake, site) = world();
        let cx = fake.cx(&site);
        let small = fault("{ target: agent:/data, size: 512KiB }");
        let before = small.prepare(&cx).await.unwrap().before;
        assert!(!small.verify(&before, &[], &cx).await.unwrap().proven);
        fake.world().fs.bytes_free = 0;
        let full = small.prepare(&cx).await;
        assert!(matches!(full, Err(FaultError::Refused(why)) if why.contains("is full")));
    }

    #[test]
    fn static_complaints() {
        let (tmpfs, ext4) =
            (testing::volume_spec("tmpfs: {}"), testing::volume_spec("ext4: { size: 64MiB }"));
        let on = |volume| Declared { volume, is_mount_point: true, host_wide: false };
        assert!(fault(PLAIN).check(&on(Some(&tmpfs))).is_empty());
        assert_eq!(fault(PLAIN).check(&on(Some(&ext4))).len(), 1);
        assert_eq!(fault("{ target: agent, size: 0B }").check(&on(None)).len(), 2);
    }
}
