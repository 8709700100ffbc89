//! `drop-cache`: what was warm is cold.
//!
//! Mechanism: `posix_fadvise(POSIX_FADV_DONTNEED)` on a file, or on every file below a directory.
//! Blast radius: the files, for everybody who reads them. Nothing to undo: no byte changes, and
//! what is read is cached again.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope, Target,
    checks,
};
use crate::{
    protocol::{Capability, Op, Outcome, PageFacts},
    volumes::{Filesystem, VolumeSpec},
};

/// Drops a file, or every file below a directory, from the page cache.
///
/// The next reads come from the device. What is not written back yet, or is mapped into a process,
/// stays. Use it to see what a cold start costs, and that what is on the device is what was cached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropCache {
    /// A file or a directory: `service:/path`.
    pub(super) target: Target,
}

const NAME: &str = "drop-cache";

/// Of what was resident, no more than one page in so many may be left: the subject goes on reading.
const LEFT: u64 = 2;

/// How often, and how far apart, it is looked for something that is cached.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 100 });

fn words(facts: PageFacts) -> String {
    format!("{} of {} pages resident in {} files", facts.resident, facts.pages, facts.files)
}

impl Fault for DropCache {
    type Before = PageFacts;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "drop-cache: { target: agent:/data }";
    const ON_OTHERS: OnOthers = OnOthers::GIVEN_BACK;

    fn kind(&self) -> Kind {
        Kind::Event
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("drop `{}` from the page cache", self.target),
            undo: "nothing: what is read is cached again".into(),
            proof: "fewer of its pages are resident (mincore)".into(),
        }
    }

    /// What it reads all the time is cached again at once.
    fn subject_may_end_it(&self) -> bool {
        true
    }

    fn check(&self, declared: &Declared<'_>) -> Vec<String> {
        let mut wrong: Vec<_> = checks::needs_path(NAME, &self.target).into_iter().collect();
        if declared.volume.and_then(VolumeSpec::filesystem) == Some(Filesystem::Tmpfs) {
            wrong.push(
                "a tmpfs has no device to read from again: all it holds is in the page \
                 cache\n\nhint: use `docker`, or a volume with its own filesystem, such as `ext4`"
                    .into(),
            );
        }
        wrong
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<PageFacts>, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let mut before = cx.page_cache(&place).await?;
        // one that has just started has not read anything yet
        for _ in 1..LOOKS {
            if before.resident > 0 {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            before = cx.page_cache(&place).await?;
        }
        if before.resident == 0 {
            return Err(FaultError::Refused(format!(
                "nothing of `{}` is cached ({}), so the fault would change nothing",
                self.target,
                words(before)
            )));
        }
        Ok(Prepared { before, ops: vec![Op::DropCache { place }], undo: Vec::new() })
    }

    async fn verify(
        &self,
        before: &PageFacts,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let now = cx.page_cache(&cx.site.place).await?;
        let evidence = format!("{}; before, {}", words(now), words(*before));
        let proven = now.resident * LEFT < before.resident;
        Ok(Effect { proven, evidence, notes: Vec::new() })
    }

    async fn verify_reverted(&self, _: &PageFacts, _: &Cx<'_>) -> Result<Effect, FaultError> {
        Ok(Effect::proven("there is nothing to revert"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    fn fault() -> DropCache {
        serde_saphyr::from_str("{ target: agent:/data }").unwrap()
    }

    #[tokio::test]
    async fn proven_when_less_than_half_is_left() {
        let (fake, site) = (Fake::default(), testing::site("/data", "ext4: { size: 64MiB }"));
        let (cx, fault) = (fake.cx(&site), fault());
        assert!(matches!(fault.prepare(&cx).await, Err(FaultError::Refused(_))), "cold already");
        fake.world().pages = PageFacts { files: 2, pages: 100, resident: 80 };
        let Prepared { before, ops, undo } = fault.prepare(&cx).await.unwrap();
        assert_eq!(ops, [Op::DropCache { place: site.place.clone() }]);
        assert!(undo.is_empty());
        for (resident, proven) in [(80, false), (40, false), (39, true), (0, true)] {
            fake.world().pages.resident = resident;
            let effect = fault.verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{effect:?}");
        }
    }

    #[test]
    fn static_complaints() {
        let on = |volume: &str, target: &str| {
            let volume = testing::volume_spec(volume);
            let declared =
                Declared { volume: Some(&volume), is_mount_point: true, host_wide: false };
            let fault: DropCache = serde_saphyr::from_str(target).unwrap();
            fault.check(&declared).len()
        };
        assert_eq!(on("docker: {}", "{ target: agent:/data }"), 0);
        assert_eq!(on("tmpfs: {}", "{ target: agent:/data }"), 1);
        assert_eq!(on("docker: {}", "{ target: agent }"), 1);
    }
}
