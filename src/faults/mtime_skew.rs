//! `mtime-skew`: files seem to have been written at another time.
//!
//! Mechanism: utimensat(2) on every file below the target. Blast radius: every user of the volume.
//! Undone to the nanosecond, for each file that nobody has written to since; the times of the last
//! change of status, which nobody can set, stay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Changes, Cx, Declared, Described, Effect, Fault, FaultError, Kind, OnOthers, Prepared, Scope,
    Target, capacity, checks,
};
use crate::{
    protocol::{Capability, FileTimes, Op, Outcome, TimeOp, TimesFacts},
    units::Shift,
};

/// Shifts when files were last modified and read.
///
/// As after a restore, or from a host whose clock is wrong. It acts on one file, or on every file
/// below a directory, up to 500. Who writes to a file gives it the true time again. Use it to see
/// what goes by file times: retention, caches, builds, mirrors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MtimeSkew {
    /// A file or a directory: `service:/path`.
    pub(super) target: Target,
    /// How far, and which way: `+1h` for the future, `-1h` for the past.
    by: Shift,
}

const NAME: &str = "mtime-skew";

/// The most files of one target: their times lie in the journal.
const FILES: usize = 500;

/// How the files of the target are by now.
#[derive(Debug, Default)]
struct Seen {
    shifted: usize,
    as_before: usize,
    written_since: usize,
}

impl MtimeSkew {
    /// Compares the files that were there with what they are now.
    fn compare(&self, before: &TimesFacts, now: &TimesFacts) -> Seen {
        let mut seen = Seen::default();
        for file in &before.files {
            let found = now.files.iter().find(|found| found.inode == file.inode);
            match found.map(|found| found.mtime_ns) {
                Some(time) if time == file.shifted(self.by.0).mtime_ns => seen.shifted += 1,
                Some(time) if time == file.mtime_ns => seen.as_before += 1,
                _ => seen.written_since += 1,
            }
        }
        seen
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shifted, as_before, written_since } = self;
        write!(f, "{shifted} files at the shifted time, {as_before} at their own, ")?;
        write!(f, "{written_since} written to or gone since")
    }
}

impl Fault for MtimeSkew {
    type Before = TimesFacts;

    const SCOPE: Scope = Scope::Volume;
    const NEEDS: &'static [Capability] = &[];
    const EXAMPLE: &'static str = "mtime-skew: { target: agent:/data, by: +1h }";
    const ON_OTHERS: OnOthers = OnOthers::changing(Changes::Files);

    fn kind(&self) -> Kind {
        Kind::State
    }

    fn target(&self) -> &Target {
        &self.target
    }

    fn describe(&self) -> Described {
        Described {
            act: format!("shift the times of the files of `{}` by {}", self.target, self.by),
            undo: "set the old times, where nobody has written since".into(),
            proof: "stat shows the shifted times".into(),
        }
    }

    fn subject_may_end_it(&self) -> bool {
        true
    }

    fn check(&self, _: &Declared<'_>) -> Vec<String> {
        checks::needs_path(NAME, &self.target).into_iter().collect()
    }

    async fn prepare(&self, cx: &Cx<'_>) -> Result<Prepared<TimesFacts>, FaultError> {
        cx.running().await?;
        let place = cx.site.place.clone();
        let before = cx.times(&place, FILES).await?;
        if before.more {
            return Err(FaultError::Refused(format!(
                "`{}` holds more than {FILES} files\n\nhint: name a directory further down",
                self.target
            )));
        }
        if before.files.is_empty() {
            return Err(FaultError::Refused(format!("there is no file in `{}`", self.target)));
        }
        let shift = |files: Vec<FileTimes>, by| {
            Op::Time(TimeOp::ShiftFiles { place: place.clone(), dev: before.dev, files, by })
        };
        let by = self.by.0;
        let shifted = before.files.iter().map(|file| file.shifted(by)).collect();
        let (ops, undo) = (vec![shift(before.files.clone(), by)], vec![shift(shifted, -by)]);
        Ok(Prepared { before, ops, undo })
    }

    async fn verify(
        &self,
        before: &TimesFacts,
        _: &[Outcome],
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        let seen = self.compare(before, &cx.times(&cx.site.place, FILES).await?);
        let proven = seen.shifted > 0 && seen.as_before == 0;
        Ok(Effect { proven, evidence: seen.to_string(), notes: Vec::new() })
    }

    async fn verify_reverted(
        &self,
        before: &TimesFacts,
        cx: &Cx<'_>,
    ) -> Result<Effect, FaultError> {
        if let Some(ended) = capacity::ended(cx).await? {
            return Ok(ended);
        }
        let seen = self.compare(before, &cx.times(&cx.site.place, FILES).await?);
        Ok(Effect { proven: seen.shifted == 0, evidence: seen.to_string(), notes: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing::{self, Fake};

    const HOUR: i64 = 3_600_000_000_000;

    fn fault() -> MtimeSkew {
        serde_saphyr::from_str("{ target: agent:/data, by: -1h }").unwrap()
    }

    fn file(inode: u64, ns: i64) -> FileTimes {
        FileTimes { inode, mtime_ns: ns, atime_ns: ns + 1 }
    }

    fn facts(files: Vec<FileTimes>) -> TimesFacts {
        TimesFacts { dev: testing::DEV, files, more: false }
    }

    #[tokio::test]
    async fn the_undo_is_the_way_back() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let cx = fake.cx(&site);
        assert!(matches!(fault().prepare(&cx).await, Err(FaultError::Refused(_))), "no file");
        fake.world().beneath.times = facts(vec![file(12, 5 * HOUR)]);
        let prepared = fault().prepare(&cx).await.unwrap();
        let op = |file, by| {
            let (place, files) = (site.place.clone(), vec![file]);
            vec![Op::Time(TimeOp::ShiftFiles { place, dev: testing::DEV, files, by })]
        };
        assert_eq!(prepared.ops, op(file(12, 5 * HOUR), -3600));
        assert_eq!(prepared.undo, op(file(12, 4 * HOUR), 3600));
        fake.world().beneath.times.more = true;
        assert!(matches!(fault().prepare(&cx).await, Err(FaultError::Refused(_))), "too many");
    }

    #[tokio::test]
    async fn proven_when_some_are_shifted_and_none_is_as_it_was() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: {}"));
        let cx = fake.cx(&site);
        let before = facts(vec![file(1, 5 * HOUR), file(2, 6 * HOUR)]);
        let written = file(2, 9 * HOUR);
        for (now, proven, gone) in [
            (vec![file(1, 5 * HOUR), file(2, 6 * HOUR)], false, true),
            (vec![file(1, 4 * HOUR), file(2, 6 * HOUR)], false, false),
            (vec![file(1, 4 * HOUR), written], true, false),
            (vec![file(1, 4 * HOUR)], true, false),
            (vec![written], false, true),
        ] {
            fake.world().beneath.times = facts(now);
            let effect = fault().verify(&before, &[], &cx).await.unwrap();
            assert_eq!(effect.proven, proven, "{effect:?}");
            let effect = fault().verify_reverted(&before, &cx).await.unwrap();
            assert_eq!(effect.proven, gone, "{effect:?}");
        }
    }
}
