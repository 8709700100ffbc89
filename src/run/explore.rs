//! More states of a disk's past, by a log that was kept: no service runs, and what was promised is in the
//! crash state beside the log.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{
    kept::fetched,
    replay::{attach, bring},
};
use crate::{
    helper::{HelperError, HelperLink, Result},
    ledger::RecordId,
    protocol::{Artifact, ExploreReport, ExploreSpec, KeptFile, LoadCall, LoadReply, LoggedDisk},
    volumes::object_name,
};

/// What the disk is called, after the run; its file of promises; and the exploration.
const DISK: &str = "log";
const STATE: &str = "state";
const NAME: &str = "log";
/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(50);
/// Before the first state and after the last one: a long past is opened, and a wrong state is made smaller.
const BESIDES: Duration = Duration::from_secs(120);

/// A log that is to be explored.
pub struct ExploreLog<'a> {
    /// Its bytes.
    pub log: &'a [u8],
    /// The file of the crash state that was kept with it.
    pub state: &'a [u8],
    /// Where each record was acknowledged in the sequence of the disk that the log makes.
    pub told: Vec<(RecordId, u64)>,
    /// What is looked at; the disk is named here.
    pub explore: ExploreSpec,
    /// Decides which states.
    pub seed: u64,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// All of it.
    pub report: ExploreReport,
    /// The file of the first state that is wrong, or why there is none; none where none was kept.
    pub state: Option<std::result::Result<Vec<u8>, String>>,
}

/// Looks at its states. What is made for that is in the helper's journal: a rollback takes it away.
///
/// # Errors
/// When they cannot be looked at, which says nothing of them.
pub async fn explore(helper: &dyn HelperLink, run: &str, of: ExploreLog<'_>) -> Result<Found> {
    let (disk, state) = (object_name(run, DISK), object_name(run, STATE));
    bring(helper, &disk, of.log).await?;
    bring(helper, &state, of.state).await?;
    attach(helper, &disk).await?;
    let explore = ExploreSpec { disk, ..of.explore };
    let time = Duration::from_millis(explore.time_ms).saturating_add(BESIDES);
    let logged = Box::new(LoggedDisk { explore, state, told: of.told, seed: of.seed });
    helper.load(LoadCall::ExploreLog { name: NAME.into(), logged }).await?;
    let late = |_| HelperError::Refused(format!("it has not ended within {} s", time.as_secs()));
    let report = timeout(time, ended(helper)).await.map_err(late)??;
    let state = match &report.state {
        Some(KeptFile::Held { bytes }) => {
            Some(fetched(helper, (NAME, Artifact::State), *bytes).await)
        }
        Some(KeptFile::Missing { why }) => Some(Err(why.clone())),
        _ => None,
    };
    Ok(Found { report, state })
}

/// What it came to.
async fn ended(helper: &dyn HelperLink) -> Result<ExploreReport> {
    loop {
        match helper.load(LoadCall::Explored { name: NAME.into() }).await? {
            LoadReply::Explored(report) if report.done => return Ok(*report),
            LoadReply::Explored(_) => sleep(LOOK).await,
            other => {
                let why = format!("the helper answered out of turn: {other:?}");
                return Err(HelperError::Refused(why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::testing::Fake,
        protocol::{Op, Reads},
    };

    #[tokio::test]
    async fn log_and_promises_are_there_before_it_begins_and_the_state_comes_back() {
        let fake = Fake::default();
        let kept: Vec<u8> = (0..100).collect();
        fake.world().keeper.kept = kept.clone();
        let state = Some(KeptFile::Held { bytes: 100 });
        fake.world().keeper.explored =
            ExploreReport { state, wrong: 1, ..ExploreReport::default() };
        let explore_spec = ExploreSpec {
            disk: String::new(),
            reads: Reads::File("journal.log".into()),
            profiles: Vec::new(),
            states: 9,
            time_ms: 1,
            log_writes: false,
            workers: None,
            fsck: false,
            second_cuts: 0,
            draw: None,
        };
        let told = vec![(RecordId { writer: 0, sequence: 3 }, 77)];
        let of = ExploreLog { log: b"log", state: b"state", told, explore: explore_spec, seed: 8 };
        let found = explore(&fake, "r1", of).await.unwrap();
        assert_eq!((found.report.wrong, found.state), (1, Some(Ok(kept))));
        let world = fake.world();
        let ops: Vec<_> = world.applied.iter().flat_map(|entry| &entry.ops).collect();
        assert!(matches!(ops[..], [.., Op::Interpose { .. }]), "{ops:?}");
        let [LoadCall::ExploreLog { logged, .. }, LoadCall::Explored { .. }, ..] =
            &world.load_calls[..]
        else {
            panic!("{:?}", world.load_calls)
        };
        assert_eq!((logged.explore.disk.as_str(), logged.told[0].1), ("keelhaul-r1-log", 77));
        assert_eq!((logged.state.as_str(), logged.seed), ("keelhaul-r1-state", 8));
    }
}
