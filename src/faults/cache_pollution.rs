//! `cache-pollution`: a neighbour streams files through the page cache.
//!
//! Mechanism: a process of ours in the container's memory cgroup reads the holes of a file without a
//! name, on the target's filesystem, so that the kernel charges the container for the pages and
//! reclaims others of it. Blast radius: one container, which must have a memory limit. Undone by
//! ending the process, with which the file goes; it also ends with the helper and with the container.
//! What was pushed out comes back only when somebody reads it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks, want_of_memory,
};
use crate::{
    protocol::{Capability, MemoryFacts, Op, Outcome},
    units::Size,
    volumes::{Filesystem, VolumeSpec},
};

/// Streams a file through the container's page cache, again and again.
///
/// As a backup or a scan beside the service does. What the service had cached is reclaimed, and its
/// reads come from the device until it is warm again. Together with `throttle`, that takes long
/// enough to be seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CachePollution {
    /// A directory on the volume that is streamed from: `service:/path`.
    pub(super) target: Target,
    /// Bytes per second.
    #[serde(default = "default_rate")]
    rate: Size,
}

fn default_rate() -> Size {
    Size(256 << 20)
}

const NAME: &str = "cache-pollution";

/// Slower than this is nothing that a kernel would reclaim for.
const SLOWEST: u64 = 16 << 20;

/// It is looked for this long whether pages come in.
const LOOK: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 500 });

/// Pages are counted in these bytes.
const PAGE: u64 = 4096;

/// Of what is to be read in that time, no less than one page in so many must have come in: a busy
/// machine reads late.
const SHARE: u64 = 16;

fn words(facts: &MemoryFacts) -> String {
    format!("{} of page cache, {} pages in", Size(facts.cache), facts.pages_in)
}

impl CachePollution {
    /// Pages that come in for us while it is looked, at least.
    fn least(&self) -> u64 {
        // half a second's
        self.rate.0 / 2 / PAGE / SHARE
    }

    async fn look(&self, cx: &Cx<'_>) -> Result<(u64, String), FaultError> {
        let start = cx.memory().await?;
        tokio::time::sleep(LOOK).await;
        let end = cx.memory().await?;
        let came = end.pages_in.saturating_sub(start.pages_in);
        let evidence = format!(
            "{came} pages came into the cgroup within {} ms; {}",
            LOOK.as_millis(),
            words(&end)
        );
        Ok((came, evidence))
    }
}

impl Fault for CachePollution {
    type Before = MemoryFacts;

    const SCOPE: Scope = Scope::Container;
    const NEEDS: &'static [Capability] = &[Capability::MemoryCgroup];
    const EXAMPLE: &'static str = "cache-pollution: { target: agent:/data }";
    const ON_OTHERS: OnOthers = OnOthers::GIVEN_BACK;

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("stream {} per second through the cache of `{}`", self.rate, self.target),
            undo: "end the process that reads".into(),
            proof: "pages come into the container's cgroup (memory.stat) at that pace".into(),
        }
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        wrong.extend(checks::needs_volume(NAME, &self.target, declared));
        if declared.volume.and_then(VolumeSpec::filesystem) == Some(Filesystem::Tmpfs) {
            wrong.push(
                "what a tmpfs holds is memory anyway, and cannot be pushed out\n\nhint: use \
                 `docker`, or a volume with its own filesystem, such as `ext4`"
                    .into(),
            );
        }
        if self.rate.0 < SLOWEST {
            wrong.push(format!(
                "`rate: {}` pushes nothing out\n\nhint: write `rate: 256MiB`, or leave it out",
                self.rate
            ));
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<MemoryFacts>, FaultError> {
        let facts = cx.running().await?;
        want_of_memory::refuse_unlimited(cx, &facts)?;
        let (place, mark) = (cx.site.place.clone(), format!("{}-stream", cx.marker()));
        let undo = vec![Op::EndHolder { mark: mark.clone() }];
        let ops = vec![Op::StreamFile { place, mark, rate: self.rate.0 }];
        Ok(Prepared { before: cx.memory().await?, ops, undo })
    }

    async fn verify(
        &self,
        before: &MemoryFacts,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let (came, evidence) = self.look(cx).await?;
        let evidence = format!("{evidence}; before, {}", words(before));
        Ok(Effect { proven: came >= self.least(), evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, _: &MemoryFacts, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        let (came, evidence) = self.look(cx).await?;
        Ok(Effect { proven: came < self.least(), evidence, notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    fn fault(rest: &str) -> CachePollution {
        serde_saphyr::from_str(&format!("{{ target: agent:/data{rest} }}")).unwrap()
    }

    #[tokio::test]
    async fn a_process_with_a_mark_streams_and_pages_that_come_in_prove_it() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let (cx, fault) = (fake.cx(&site), fault(", rate: 16MiB"));
        let prepared = fault.prepare(&cx).await.unwrap();
        let mark = ".keelhaul-r1-stream".to_owned();
        assert_eq!(prepared.undo, [Op::EndHolder { mark: mark.clone() }]);
        let place = site.place.clone();
        assert_eq!(prepared.ops, [Op::StreamFile { place, mark, rate: 16 << 20 }]);
        // 8 MiB in half a second, and a sixteenth of that
        for (came, proven) in [(0, false), (127, false), (128, true), (4000, true)] {
            fake.world().beneath.pages_per_look = came;
            let effect = fault.verify(&prepared.before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{effect:?}");
            let effect = fault.verify_reverted(&prepared.before, &cx).await.unwrap();
            assert_eq!(effect.proven, !proven, "{effect:?}");
        }
    }

    #[tokio::test]
    async fn without_a_limit_it_would_be_the_hosts_cache() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let mut unlimited = testing::container();
        unlimited.memory = None;
        fake.world().container = Ok(unlimited);
        let prepared = fault("").prepare(&fake.cx(&site)).await;
        assert!(matches!(prepared, Err(FaultError::Refused(_))));
    }

    #[test]
    fn static_complaints() {
        let on = |volume: &str, rest: &str| {
            let volume = testing::volume_spec(volume);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            fault(rest).check(&declared).len()
        };
        assert_eq!(on("docker: {}", ""), 0);
        assert_eq!(on("tmpfs: {}", ""), 1);
        assert_eq!(on("docker: {}", ", rate: 4KiB"), 1);
    }
}
