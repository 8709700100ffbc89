//! `explore`: what power cuts in the past would have left of what a workload was promised. Stops the
//! load, once in a case; the subject and its volume are left alone.

use std::time;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{
    Explores, Probe, ProbeCx, ProbeError, Sample,
    explored::{Asked, judge},
    standing::Standing,
    subject::{self, Wrong},
};
use crate::{
    block::Profile,
    protocol::{
        Capability, CutProfile, ExploreSpec, FETCHING, LoadCall, LoadReply, MOST_WORKERS, Reads,
    },
    units::Duration,
    volumes::object_name,
};

/// Acknowledged records in every state that a power cut may have left.
///
/// Of a volume with `interpose: block`. The disk remembers every write and every flush, and in the
/// same order when each record was acknowledged. So it can be cut in hindsight at any moment: writes
/// that no flush had made durable are lost as the profiles say, the real filesystem recovers what is
/// left, and every record that was acknowledged by then must be in the file. A state that breaks a
/// promise is made smaller, until no lost write can be given back, and kept: `keelhaul replay` judges it
/// again, with another image too. Nothing could have been lost, or
/// nothing was acknowledged, or a wrong state is not wrong again: inconclusive. It stands under
/// `verify` only.
///
/// Profiles beyond what a disk may do are looked at only when they are asked for, and only with a
/// `program`. A state that such a one has left need not be survived: where the filesystem cannot be
/// mounted, or the program ends with another code than 0, it was noticed, and is counted as refused. What
/// is silently lost, or silently corrupt, is wrong there too.
///
/// What it counts: a *moment* is before each flush of the disk's, and at the end; a *state* is the disk
/// as a cut at that moment may leave it, with some of the writes lost that no flush had made durable; it is
/// *alike* where an earlier one had the same content and no more was promised; *recoveries* are the
/// different contents of the file that the states come to. A service that does not sync leaves few
/// states, often one: what it wrote is in memory, the disk has got nothing of it, and in that one state
/// everything acknowledged is lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explore {
    /// The workload whose acknowledgements count.
    workload: String,
    /// The volume.
    volume: String,
    /// The file that the records are lines of, below the volume's root. A torn end of it does not
    /// count, as whoever opens it cuts that off.
    file: Option<String>,
    /// Instead of a file: a program of the service that recovers what is its own, and prints every
    /// record.
    program: Option<Program>,
    /// What may survive of what was not durable; all that a disk may do by default.
    #[serde(default = "CutProfile::all_of_a_disk")]
    profiles: Vec<CutProfile>,
    /// The most states.
    #[serde(default = "default_states")]
    #[schemars(range(min = 1, max = 100_000))]
    states: u64,
    /// After this time no further state is looked at.
    #[serde(default = "default_time")]
    time: Duration,
    /// States that are looked at side by side: as many as the host has processors, and 4 at most, unless it is
    /// written here. One at a time where a program reads them, and on btrfs. What is found does not depend on
    /// it, as long as the time suffices.
    #[schemars(range(min = 1, max = 8))]
    workers: Option<u32>,
    /// Keep of a wrong state, beside the state, all that was written to the disk until then, as a log of
    /// the kernel's `dm-log-writes`; where nothing was wrong, all of it, beside the disk as it was at the end.
    /// `keelhaul explore` looks at more states of such a log, and the service need not run for that.
    #[serde(default)]
    log_writes: bool,
    /// Once a state has been recovered and read, and nothing is wrong with it, its filesystem is checked too:
    /// by `e2fsck`, `xfs_repair` or `btrfs check` of the engine's host, which changes nothing. Errors make the
    /// state a wrong one. Not of what is beyond a disk; where there is no such tool: inconclusive.
    #[serde(default)]
    fsck: bool,
    /// Of each state with which nothing is wrong, so many more that a second cut leaves, in the midst of its
    /// recovery: what the filesystem and the `program` have written by then is lost as the profiles say, is
    /// recovered once more, and keeps every promise too. Where no recovery writes anything: inconclusive.
    #[schemars(range(min = 1, max = 1000))]
    second_cuts: Option<u64>,
    /// The service itself on some of the states, once all were looked at: its container is killed, its disk
    /// gets the state, it is started on that, and what it gives back the way the workload went in is held
    /// against what was promised by then. It takes a second for each, and what a service needs to start.
    /// Where the container comes to another verdict than the look at the records, that is told, and no pass.
    /// Afterwards the disk is as it was, and the service runs on it.
    container: Option<Standing>,
}

/// A program of a service that reads a state.
///
/// It runs beside the service, as its user and with its environment, in a copy of its mounts in which
/// the state stands in for the volume. It prints every record, a line each, and ends with 0; another
/// end says that the state is wrong. A state gets 8 s.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Program {
    /// The service. It must run.
    service: String,
    /// Where it has the volume.
    path: String,
    /// Program and arguments, run without a shell.
    command: Vec<String>,
}

fn default_states() -> u64 {
    300
}

fn default_time() -> Duration {
    Duration::from_secs(20)
}

/// States that are looked at in one run.
const MOST: u64 = 100_000;
/// States that a second cut leaves of one.
const MOST_SECOND: u64 = 1000;
/// Between two looks at how far it is.
const LOOK: time::Duration = time::Duration::from_millis(50);
/// Before the first state and after the last one: the load stops, the past is opened, and a wrong
/// state is made smaller.
const BESIDES: time::Duration = time::Duration::from_secs(60);

impl Explore {
    /// Why it is not known where the records are.
    fn where_to_look(&self) -> Option<String> {
        match (&self.file, &self.program) {
            (Some(file), None) if is_below(file) => None,
            (Some(file), None) => Some(format!(
                "`{file}` is no file below the volume's root\n\nhint: write it without the path at \
                 which the volume is mounted, like `journal.log`"
            )),
            (None, Some(program)) if program.command.is_empty() => {
                Some("`command` is empty\n\nhint: write the program and its arguments".into())
            }
            (None, Some(_)) => None,
            (None, None) => Some(
                "nothing says where the records are\n\nhint: add `file: journal.log`, or a `program` \
                 that prints them"
                    .into(),
            ),
            (Some(_), Some(_)) => Some(
                "the records are either in a file or printed by a program\n\nhint: remove `file` or \
                 `program`"
                    .into(),
            ),
        }
    }

    /// Why so many states cannot be looked at side by side.
    fn too_many(&self) -> Option<String> {
        match self.workers {
            Some(workers) if !(1..=MOST_WORKERS).contains(&workers) => {
                Some(format!("`workers: {workers}` is no crew\n\nhint: write 1 to {MOST_WORKERS}"))
            }
            Some(2..) if self.program.is_some() => Some(
                "two programs at a time could come in each other's way, so that states are looked at one at \
                 a time\n\nhint: leave `workers` out"
                    .into(),
            ),
            _ => None,
        }
    }

    /// What more than a look at the records is asked for.
    fn asked(&self) -> Asked {
        Asked { states: self.states, fsck: self.fsck, second: self.second_cuts.is_some() }
    }

    /// How a state is read; none where the service has no container.
    fn reads(&self, cx: &dyn ProbeCx) -> Option<Reads> {
        match (&self.file, &self.program) {
            (Some(file), _) => Some(Reads::File(file.clone())),
            (None, Some(Program { service, path, command })) => {
                let place = cx.place(service, path)?;
                Some(Reads::Program { place, command: command.clone() })
            }
            (None, None) => None,
        }
    }

    /// Those that are beyond what a disk may do, where nobody says whether they were noticed.
    fn unnoticed(&self) -> impl Iterator<Item = &CutProfile> {
        self.profiles.iter().filter(|profile| profile.is_beyond() && self.program.is_none())
    }

    /// Profiles as the model of a disk calls them, and those that it does not know.
    fn profiles(&self) -> (Vec<Profile>, Vec<CutProfile>) {
        let unknown = self.profiles.iter().copied().filter(|it| it.of_disk().is_none()).collect();
        (self.profiles.iter().filter_map(|it| it.of_disk()).collect(), unknown)
    }
}

/// A path without anything that leads elsewhere.
fn is_below(file: &str) -> bool {
    file.split('/').all(|part| !["", ".", ".."].contains(&part))
}

impl Probe for Explore {
    const NEEDS: &'static [Capability] = &[Capability::Fuse];
    const EXAMPLE: &'static str =
        "explore: { workload: records, volume: data, file: journal.log, states: 300 }";

    fn service(&self) -> Option<&str> {
        None
    }

    fn workload(&self) -> Option<&str> {
        Some(&self.workload)
    }

    fn peer(&self) -> Option<(&'static str, &str)> {
        self.program.as_ref().map(|program| ("program", program.service.as_str()))
    }

    fn explores(&self) -> Option<Explores<'_>> {
        let program = self.program.as_ref();
        let seen_by = program.map(|program| (program.service.as_str(), program.path.as_str()));
        let side_by_side = self.workers.is_some_and(|workers| workers > 1);
        let stands = self.container.as_ref().map(|container| container.service.as_str());
        let (workload, volume) = (&self.workload, &self.volume);
        Some(Explores { workload, volume, seen_by, stands, side_by_side })
    }

    fn act(&self) -> Option<(&str, String)> {
        let container = self.container.as_ref()?;
        let act = format!("kill it, and start it on states of `{}`, as a probe", self.volume);
        Some((&container.service, act))
    }

    fn describe(&self) -> String {
        let Self { workload, volume, states, .. } = self;
        let program = self.program.as_ref().and_then(|program| program.command.first());
        let there = self.file.as_ref().or(program).map_or("", String::as_str);
        let beyond = self.profiles.iter().any(|profile| profile.is_beyond());
        let refused = if beyond { ", or what is beyond a disk is refused" } else { "" };
        format!(
            "{workload}: all are in `{there}` in {states} states that a cut leaves of `{volume}`{refused}"
        )
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = Wrong::default();
        wrong.add(self.where_to_look());
        wrong.unless(!self.profiles.is_empty(), || {
            "without `profiles` there is no state\n\nhint: leave the key out for all of them".into()
        });
        for profile in self.profiles().1 {
            wrong.add(Some(format!(
                "a disk cannot tell names from data, and `{}` asks for it\n\nhint: use another \
                 profile",
                profile.name()
            )));
        }
        for profile in self.unnoticed() {
            wrong.add(Some(format!(
                "`{}` is beyond what a disk may do: a service need only notice it, and its file does not \
                 say whether it has\n\nhint: read the state by a `program` of the service, which ends with \
                 another code than 0 where it notices; or use another profile",
                profile.name()
            )));
        }
        wrong.unless((1..=MOST).contains(&self.states), || {
            format!("`states: {}` is no budget\n\nhint: write 1 to {MOST}", self.states)
        });
        wrong.add(self.too_many());
        self.container.iter().flat_map(Standing::check).for_each(|it| wrong.add(Some(it)));
        let second = self.second_cuts.filter(|second| !(1..=MOST_SECOND).contains(second));
        wrong.add(second.map(|second| {
            format!("`second_cuts: {second}` is no budget\n\nhint: write 1 to {MOST_SECOND}")
        }));
        let only_beyond = self.profiles.iter().all(|profile| profile.is_beyond());
        wrong.unless(self.second_cuts.is_none() || self.profiles.is_empty() || !only_beyond, || {
            "a second cut is one that a disk may come to, and no such profile is asked for\n\nhint: add \
             one, or leave `second_cuts` out"
                .into()
        });
        wrong.list()
    }

    fn deadline(&self) -> time::Duration {
        // once all is found, what was kept of it is fetched: that takes no time from the states
        let standing = self.container.as_ref().map(Standing::deadline).unwrap_or_default();
        self.time.0.saturating_add(BESIDES).saturating_add(FETCHING).saturating_add(standing)
    }

    async fn read(&self, cx: &dyn ProbeCx) -> Result<Sample, ProbeError> {
        let name = cx.load(&self.workload);
        let Some(reads) = self.reads(cx) else {
            return Ok(Sample::outside("no container", subject::NEVER));
        };
        let explore = ExploreSpec {
            disk: object_name(cx.run(), &self.volume),
            reads,
            profiles: self.profiles().0,
            states: self.states,
            time_ms: u64::try_from(self.time.0.as_millis()).unwrap_or(u64::MAX),
            log_writes: self.log_writes,
            workers: self.workers,
            fsck: self.fsck,
            second_cuts: self.second_cuts.unwrap_or_default(),
            draw: self.container.as_ref().map(Standing::draw),
        };
        let disk = explore.disk.clone();
        cx.helper().load(LoadCall::Explore { name: name.clone(), explore }).await?;
        loop {
            match cx.helper().load(LoadCall::Explored { name: name.clone() }).await? {
                LoadReply::Explored(report) if report.done => {
                    let sample = judge(&report, self.asked());
                    let Some(container) = &self.container else { return Ok(sample) };
                    let stood = container.stand((&name, &disk), &report.drawn, cx).await;
                    return Ok(stood.told(sample));
                }
                LoadReply::Explored(_) => sleep(LOOK).await,
                other => return Err(ProbeError::Unexpected(format!("{other:?}"))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        probes::testing::World,
        protocol::{ExploreReport, KeptFile, LostWrite, WrongState},
    };

    fn probe(rest: &str) -> Explore {
        let yaml = format!("{{ workload: records, volume: data, file: journal.log{rest} }}");
        serde_saphyr::from_str(&yaml).unwrap()
    }

    fn report() -> ExploreReport {
        ExploreReport {
            done: true,
            planned: 40,
            states: 40,
            telling: 30,
            volatile: 9,
            acknowledged: 7,
            took_us: 500_000,
            workers: 2,
            ..ExploreReport::default()
        }
    }

    fn wrong() -> WrongState {
        WrongState {
            cut: 812,
            profile: Profile::Drop,
            acknowledged: 7,
            kept: vec![crate::block::Kept::Nothing],
            lost_at_first: 1,
            lost: vec![LostWrite { offset: 4096, length: Some(4096), torn: false }],
            digest: "00".into(),
            wrong: "1 of 7 acknowledged records lost".into(),
            confirmed: true,
            second: None,
        }
    }

    #[tokio::test]
    async fn no_broken_promise_in_states_that_could_break_one_holds() {
        let world = World::default();
        world.set().keeper.explored = report();
        let sample = probe("").read(&world).await.unwrap();
        assert!(
            sample.holds() && sample.observed.ends_with("80 states a second by 2 workers"),
            "{sample:?}"
        );
        let calls = std::mem::take(&mut world.set().load_calls);
        let [LoadCall::Explore { explore, .. }, LoadCall::Explored { .. }] = &calls[..] else {
            panic!("{calls:?}")
        };
        assert_eq!((explore.disk.as_str(), explore.profiles.len()), ("keelhaul-r1-data", 9));
    }

    #[tokio::test]
    async fn a_broken_promise_says_how_many_and_shows_the_first() {
        let world = World::default();
        let first = Some(wrong());
        world.set().keeper.explored = ExploreReport { wrong: 3, first, ..report() };
        let violation = probe(", states: 40").read(&world).await.unwrap().violation.unwrap();
        assert!(violation.starts_with("3 of 40 states break a promise; cut at 812"), "{violation}");
        assert!(violation.ends_with("1 of 7 acknowledged records lost"), "{violation}");
        let state = Some(KeptFile::Written { path: "reports/a-1.crash".into() });
        let log_writes = Some(KeptFile::Missing { why: "it takes too much".into() });
        let before = world.set().keeper.explored.clone();
        world.set().keeper.explored = ExploreReport { state, log_writes, ..before };
        let violation = probe("").read(&world).await.unwrap().violation.unwrap();
        let told = "; `keelhaul replay reports/a-1.crash` judges it again; what came to it is not kept: \
                    it takes too much";
        assert!(violation.ends_with(told), "{violation}");
    }

    #[tokio::test]
    async fn what_was_asked_for_beside_and_did_not_happen_proves_nothing() {
        let world = World::default();
        world.set().keeper.explored = report();
        for (asked, why) in [
            (", fsck: true", "no state came to the filesystem's own check"),
            (", second_cuts: 8", "has written anything, or no time was left for it"),
        ] {
            let sample = probe(asked).read(&world).await.unwrap();
            assert!(sample.vacuous && sample.violation.unwrap().ends_with(why));
        }
        world.set().keeper.explored = ExploreReport { checked: 9, second: 30, ..report() };
        let sample = probe(", fsck: true, second_cuts: 8").read(&world).await.unwrap();
        let told = ", 30 more of a second cut, 9 filesystems checked, at ";
        assert!(sample.holds() && sample.observed.contains(told), "{sample:?}");
        let calls = std::mem::take(&mut world.set().load_calls);
        let asked = calls.iter().rev().find_map(|call| match call {
            LoadCall::Explore { explore, .. } => Some((explore.fsck, explore.second_cuts)),
            _ => None,
        });
        assert_eq!(asked, Some((true, 8)));
    }

    #[tokio::test]
    async fn what_was_refused_is_counted_and_breaks_no_promise() {
        let world = World::default();
        world.set().keeper.explored = ExploreReport { refused: 12, ..report() };
        let sample = probe("").read(&world).await.unwrap();
        assert!(sample.holds() && sample.observed.contains("12 of them refused"), "{sample:?}");
    }

    #[tokio::test]
    async fn fewer_states_than_asked_for_say_why() {
        let world = World::default();
        let few = ExploreReport { planned: 1, states: 1, wrong: 1, ..report() };
        let first = Some(wrong());
        world.set().keeper.explored = ExploreReport { first, ..few };
        let sample = probe(", states: 100").read(&world).await.unwrap();
        let why = "of 100 at most: a cut leaves what has reached the disk";
        assert!(sample.observed.contains(why), "{}", sample.observed);
        let violation = sample.violation.unwrap();
        assert!(
            violation.starts_with("1 of 1 states break a promise (all there are"),
            "{violation}"
        );
        world.set().keeper.explored = report();
        let sample = probe(", states: 40").read(&world).await.unwrap();
        assert!(!sample.observed.contains("all there are"), "{}", sample.observed);
    }

    #[tokio::test]
    async fn what_could_not_break_a_promise_proves_nothing() {
        let world = World::default();
        world.set().keeper.explored = ExploreReport { acknowledged: 0, ..report() };
        let sample = probe("").read(&world).await.unwrap();
        assert!(sample.vacuous && !sample.holds(), "{sample:?}");
        world.set().keeper.explored = ExploreReport { wrong: 1, forgotten: 12, ..report() };
        let sample = probe("").read(&world).await.unwrap();
        assert!(sample.vacuous && sample.observed.ends_with("its first 12 events"), "{sample:?}");
    }

    #[test]
    fn static_complaints() {
        assert_eq!(probe("").check(), Vec::<String>::new());
        assert_eq!(probe(", profiles: []").check().len(), 1);
        assert_eq!(probe(", profiles: [drop, data-first]").check().len(), 1);
        assert_eq!(probe(", profiles: [garbage, shorn]").check().len(), 2, "a file says nothing");
        assert_eq!(probe(", states: 0").check().len(), 1);
        for workers in [0, 9] {
            assert_eq!(probe(&format!(", workers: {workers}")).check().len(), 1);
        }
        assert_eq!(probe(", workers: 8").check(), Vec::<String>::new());
        for file in ["", "/data/journal.log", "../x", "a//b"] {
            let file = Some(file.to_owned());
            assert_eq!(Explore { file, ..probe("") }.check().len(), 1);
        }
        let program = "program: { service: db, path: /data, command: [dump] }";
        assert_eq!(probe(&format!(", {program}")).check().len(), 1, "either file or program");
        let printed = |program: &str| Explore { file: None, ..probe(program) };
        let beyond = printed(&format!(", profiles: [garbage, shorn], {program}"));
        assert_eq!(beyond.check(), Vec::<String>::new());
        assert_eq!(Explore { second_cuts: Some(2), ..beyond.clone() }.check().len(), 1);
        assert!(
            beyond.describe().ends_with("refused") && !probe("").describe().ends_with("refused")
        );
        assert_eq!(printed(&format!(", {program}")).check(), Vec::<String>::new());
        assert_eq!(printed(&format!(", {program}, workers: 1")).check(), Vec::<String>::new());
        assert_eq!(printed(&format!(", {program}, workers: 2")).check().len(), 1);
        assert_eq!(
            printed(", program: { service: db, path: /data, command: [] }").check().len(),
            1
        );
        assert_eq!(printed("").check().len(), 1);
    }
}
