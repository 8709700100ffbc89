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
    protocol::{Capability, MemoryFacts, Op, Outcome, ProcessFacts},
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

/// What was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    memory: MemoryFacts,
    /// Pages that came in while it was looked, by the service's own doing.
    came: u64,
}

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
}

/// Name of the process that reads.
fn mark(cx: &Cx<'_>) -> String {
    format!("{}-stream", cx.marker())
}

/// How many pages come in while it is looked, and what there is of memory then.
async fn look(cx: &Cx<'_>) -> Result<(u64, MemoryFacts), FaultError> {
    let start = cx.memory().await?;
    tokio::time::sleep(LOOK).await;
    let end = cx.memory().await?;
    Ok((end.pages_in.saturating_sub(start.pages_in), end))
}

/// Pid of the process that reads, while it is in the container's cgroup.
async fn reader(cx: &Cx<'_>) -> Result<Option<u32>, FaultError> {
    let mark = mark(cx);
    let is_ours = |one: &ProcessFacts| one.command.split(' ').any(|word| word == mark);
    Ok(cx.processes().await?.iter().find(|one| is_ours(one)).map(|one| one.process.pid))
}

/// Both in words.
fn seen(reader: Option<u32>, (came, memory): (u64, MemoryFacts)) -> String {
    let who = reader.map_or("none of them by us".to_owned(), |pid| format!("pid {pid} reads"));
    let within = LOOK.as_millis();
    format!("{came} pages came into the cgroup within {within} ms, {who}; {}", words(&memory))
}

impl Fault for CachePollution {
    type Before = Before;

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
            proof: "the process is in the container's cgroup, and more pages come in there \
                    (memory.stat) than before"
                .into(),
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

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<Before>, FaultError> {
        let facts = cx.running().await?;
        want_of_memory::refuse_unlimited(cx, &facts)?;
        let (place, mark) = (cx.site.place.clone(), mark(cx));
        let undo = vec![Op::EndHolder { mark: mark.clone() }];
        let ops = vec![Op::StreamFile { place, mark, rate: self.rate.0 }];
        let (came, memory) = look(cx).await?;
        Ok(Prepared { before: Before { memory, came }, ops, undo })
    }

    async fn verify(
        &self,
        before: &Before,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let now = look(cx).await?;
        // after that: so it was there all the while
        let reader = reader(cx).await?;
        let Before { memory, came } = before;
        let before = format!("{came} pages and {}", words(memory));
        let evidence = format!("{}; before, {before}", seen(reader, now));
        // what the service reads by itself proves nothing
        let proven = reader.is_some() && now.0 >= came.saturating_add(self.least());
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, _: &Before, cx: &Cx<'_>) -> Result<Effect, FaultError> {
        if let Some(ended) = cx.ended().await? {
            return Ok(Effect::proven(ended));
        }
        // how much the service reads to get warm again is told, and not judged
        let (now, reader) = (look(cx).await?, reader(cx).await?);
        Ok(Effect { proven: reader.is_none(), evidence: seen(reader, now), notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    const READER: &str = "/proc/self/exe helper-hold .keelhaul-r1-stream stream 100 5000 /data 1";

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
        fake.world().processes.push(testing::process(108, READER));
        // 8 MiB in half a second, and a sixteenth of that
        for (came, proven) in [(0, false), (127, false), (128, true), (4000, true)] {
            fake.world().beneath.pages_per_look = came;
            let effect = fault.verify(&prepared.before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{effect:?}");
            let effect = fault.verify_reverted(&prepared.before, &cx).await.unwrap();
            assert!(!effect.proven && effect.evidence.contains("pid 108"), "{effect:?}");
        }
    }

    #[tokio::test]
    async fn what_the_service_reads_by_itself_proves_nothing() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let (cx, fault) = (fake.cx(&site), fault(", rate: 16MiB"));
        fake.world().beneath.pages_per_look = 300;
        let before = fault.prepare(&cx).await.unwrap().before;
        // as after a start of the container, which the process that reads does not outlive
        fake.world().beneath.pages_per_look = 4000;
        fake.world().processes.push(testing::process(107, "/agent warm .keelhaul-r1-stream.log"));
        let effect = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(!effect.proven && effect.evidence.contains("none of them by us"), "{effect:?}");
        assert!(fault.verify_reverted(&before, &cx).await.unwrap().proven, "it gets warm");
        fake.world().processes.push(testing::process(108, READER));
        for (came, proven) in [(300, false), (427, false), (428, true)] {
            fake.world().beneath.pages_per_look = came;
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{effect:?}");
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
