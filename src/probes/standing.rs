//! The service itself on states that a power cut may leave: its container is killed, its disk gets a
//! state, it is started on that, and its records are read back as they went in. Afterwards it runs on what it had.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{ProbeCx, ProbeError, Sample};
use crate::{
    protocol::{Draw, Drawn, EngineOp, Entry, LoadCall, LoadReply, Op, PowerOp},
    units::Duration,
};

/// The most states of each kind: each takes a second or more.
const MOST: u64 = 50;
/// The most that one state takes, start and all.
const EACH: std::time::Duration = std::time::Duration::from_secs(60);
/// The most that its records are waited for: the helper has time for no more.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(60);

/// States that the service itself is started on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Standing {
    /// The service of the workload, which is its only one. Nobody else has the volume, and it writes to no other
    /// one. What it writes to its own layer is not taken back.
    pub(super) service: String,
    /// So many of the states with which nothing is wrong, drawn by chance.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 50))]
    sample: u64,
    /// So many of the wrong ones, the first.
    #[serde(default = "three")]
    #[schemars(range(max = 50))]
    wrong: u64,
    /// So long the service has until its records can be read back, 60 s at most.
    #[serde(default = "twenty_seconds")]
    within: Duration,
}

fn three() -> u64 {
    3
}

fn twenty_seconds() -> Duration {
    Duration::from_secs(20)
}

impl Standing {
    /// How many are drawn.
    pub(super) fn draw(&self) -> Draw {
        Draw { sound: self.sample, wrong: self.wrong }
    }

    /// The most that all of them take.
    pub(super) fn deadline(&self) -> std::time::Duration {
        let states = u32::try_from(self.sample + self.wrong + 1).unwrap_or(u32::MAX);
        EACH.saturating_add(self.within.0).saturating_mul(states)
    }

    /// What is wrong with its parameters.
    pub(super) fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if !(1..=MOST).contains(&self.sample) {
            let sample = self.sample;
            wrong.push(format!("`sample: {sample}` is no sample\n\nhint: write 1 to {MOST}"));
        }
        if self.wrong > MOST {
            let first = self.wrong;
            wrong.push(format!("`wrong: {first}` is too many\n\nhint: write 0 to {MOST}"));
        }
        if self.within.0 > LONGEST {
            let (within, most) = (self.within, LONGEST.as_secs());
            wrong.push(format!("`within: {within}` is too long\n\nhint: write {most}s or less"));
        }
        wrong
    }

    /// Starts the service on each of these states of a disk, and on what it had at last. Where that fails, what
    /// was found before stays found.
    pub(super) async fn stand(
        &self,
        (load, disk): (&str, &str),
        drawn: &[Drawn],
        cx: &dyn ProbeCx,
    ) -> Stood {
        let mut stood = Stood { service: self.service.clone(), ..Stood::default() };
        if drawn.is_empty() {
            return stood;
        }
        for state in drawn {
            match self.in_time(self.on(state, (load, disk), cx)).await {
                Ok(came) => stood.count(state, came),
                Err(error) => {
                    stood.failed = Some(error.to_string());
                    break;
                }
            }
        }
        let back = PowerOp::Unstand { disk: disk.to_owned() };
        if let Err(error) = self.in_time(self.restart_on("what it had", back, load, cx)).await {
            stood.failed.get_or_insert(error.to_string());
        }
        stood
    }

    /// What takes longer is given up, so that the disk gets back what it had before the whole takes too long.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ProbeError>>,
    ) -> Result<T, ProbeError> {
        let late = || ProbeError::Unusable(format!("`{}` took too long", self.service));
        timeout(EACH.saturating_add(self.within.0), work).await.unwrap_or_else(|_| Err(late()))
    }

    /// What the container comes to on one state.
    async fn on(
        &self,
        state: &Drawn,
        (load, disk): (&str, &str),
        cx: &dyn ProbeCx,
    ) -> Result<Came, ProbeError> {
        let Drawn { cut, kept, acknowledged, .. } = state.clone();
        let stand = PowerOp::Stand { disk: disk.to_owned(), cut, kept };
        self.restart_on("a crash state", stand, load, cx).await?;
        let within_ms = u64::try_from(self.within.0.as_millis()).unwrap_or(u64::MAX);
        let judge = LoadCall::JudgeStanding { name: load.to_owned(), acknowledged, within_ms };
        match cx.helper().load(judge).await? {
            LoadReply::Ledger(Ok(report)) if report.is_sound() => Ok(Came::Sound),
            LoadReply::Ledger(Ok(report)) => Ok(Came::Wrong(report.to_string())),
            LoadReply::Ledger(Err(why)) => Ok(Came::Silent(why)),
            other => Err(ProbeError::Unexpected(format!("{other:?}"))),
        }
    }

    /// What it does is undone by nobody: container and disk end with the run.
    async fn restart_on(
        &self,
        what: &str,
        power: PowerOp,
        load: &str,
        cx: &dyn ProbeCx,
    ) -> Result<(), ProbeError> {
        let gone = || ProbeError::Unusable(format!("`{}` has no container", self.service));
        let place = cx.place(&self.service, "/").ok_or_else(gone)?;
        let container = || place.container.clone();
        let entry = Entry {
            what: format!("`{}` on {what}", self.service),
            ops: vec![
                Op::Engine(EngineOp::Stop { container: container(), grace_ms: 0 }),
                Op::Power(power),
                Op::Engine(EngineOp::Start { container: container() }),
            ],
            undo: Vec::new(),
            expires_ms: None,
        };
        cx.helper().apply(entry).await?;
        let retarget = LoadCall::Retarget { name: load.to_owned(), place };
        cx.helper().load(retarget).await?;
        Ok(())
    }
}

/// What the service comes to on one state.
enum Came {
    Sound,
    /// By what it gives back.
    Wrong(String),
    /// It gives nothing back.
    Silent(String),
}

/// What the service came to on the states.
#[derive(Debug, Default)]
pub(super) struct Stood {
    service: String,
    /// States.
    states: u64,
    /// Those of them that were wrong before.
    wrong: u64,
    /// Sound until then, and wrong in the container.
    only_here: Vec<String>,
    /// Wrong until then, and sound in the container.
    only_before: Vec<u64>,
    /// Wrong until then, and nothing was given back in the container: neither the one nor the other.
    silent: u64,
    /// What kept it from being started on all of them, or on what it had.
    failed: Option<String>,
}

impl Stood {
    fn count(&mut self, state: &Drawn, came: Came) {
        self.states += 1;
        self.wrong += u64::from(state.wrong.is_some());
        let why = match (&state.wrong, came) {
            (None, Came::Wrong(why)) => why,
            (None, Came::Silent(why)) => format!("nothing is read back: {why}"),
            (Some(_), Came::Sound) => return self.only_before.push(state.cut),
            (Some(_), Came::Silent(_)) => return self.silent += 1,
            (None, Came::Sound) | (Some(_), Came::Wrong(_)) => return,
        };
        let Drawn { cut, acknowledged, .. } = state;
        self.only_here.push(format!("cut at {cut} with {acknowledged} acknowledged: {why}"));
    }

    /// Adds what it came to, to what was found before. That stays found, whatever failed afterwards.
    pub(super) fn told(&self, sample: Sample) -> Sample {
        let observed = self.observed(&sample.observed);
        let before = sample.violation.clone().filter(|_| !sample.vacuous);
        let found: Vec<String> = before.into_iter().chain(self.otherwise()).collect();
        if found.is_empty() {
            return match self.missing() {
                Some(why) if sample.holds() => {
                    Sample { observed, violation: Some(why), vacuous: true, ..sample }
                }
                _ => Sample { observed, ..sample },
            };
        }
        let violation = found.into_iter().chain(self.broken_off()).collect::<Vec<_>>().join("; ");
        Sample { observed, violation: Some(violation), vacuous: false, ..sample }
    }

    fn observed(&self, before: &str) -> String {
        let Self { service, states, wrong, silent, .. } = self;
        let sound = match states {
            0 => return before.to_owned(),
            states => states - wrong,
        };
        let nothing = match silent {
            0 => String::new(),
            count => format!(", of which {count} gave nothing back"),
        };
        format!(
            "{before}; `{service}` itself was started on {sound} sound states and {wrong} wrong ones{nothing}"
        )
    }

    fn broken_off(&self) -> Option<String> {
        let Self { service, failed, .. } = self;
        failed.as_ref().map(|why| format!("`{service}` could not be started on every state: {why}"))
    }

    /// Why it proves nothing that nothing was found.
    fn missing(&self) -> Option<String> {
        let none = "no state with which nothing is wrong lost a write after an acknowledgement, so that \
                    the service was started on none";
        self.broken_off().or_else(|| (self.states == 0).then(|| none.into()))
    }

    /// The states of which it comes to another verdict.
    fn otherwise(&self) -> Vec<String> {
        let Self { service, states, wrong, only_here, only_before, .. } = self;
        let here = only_here.first().map(|first| {
            let (count, of) = (only_here.len(), states - wrong);
            format!("on {count} of {of} states with which nothing else is wrong `{service}` itself is; {first}")
        });
        let before = only_before.first().map(|cut| {
            let count = only_before.len();
            format!(
                "on {count} of {wrong} wrong states nothing is wrong with `{service}` itself, the first cut at \
                 {cut}: what reads the states does not read them as it does"
            )
        });
        here.into_iter().chain(before).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ledger::LedgerReport, probes::testing::World};

    fn standing() -> Standing {
        serde_saphyr::from_str("service: agent").unwrap()
    }

    fn drawn(wrong: Option<&str>) -> Drawn {
        let wrong = wrong.map(str::to_owned);
        Drawn { cut: 812, kept: Vec::new(), acknowledged: 7, wrong }
    }

    async fn stood(world: &World, drawn: &[Drawn], sample: Sample) -> Sample {
        let stood = standing().stand(("r1-records", "kh-data"), drawn, world).await;
        stood.told(sample)
    }

    #[tokio::test]
    async fn the_service_is_started_on_each_state_and_on_what_it_had_at_last() {
        let world = World::default();
        let sample = stood(&world, &[drawn(None), drawn(None)], Sample::within("ok")).await;
        assert!(sample.holds() && sample.observed.ends_with("2 sound states and 0 wrong ones"));
        let applied: Vec<_> = world.set().applied.iter().flat_map(|it| it.ops.clone()).collect();
        let powers: Vec<_> = applied.iter().filter(|op| matches!(op, Op::Power(_))).collect();
        let disk = || "kh-data".to_owned();
        let stand = Op::Power(PowerOp::Stand { disk: disk(), cut: 812, kept: Vec::new() });
        let back = Op::Power(PowerOp::Unstand { disk: disk() });
        assert_eq!(powers, [&stand, &stand, &back]);
        assert!(matches!(applied[0], Op::Engine(EngineOp::Stop { grace_ms: 0, .. })));
        assert!(matches!(applied[2], Op::Engine(EngineOp::Start { .. })));
    }

    #[tokio::test]
    async fn another_verdict_is_told_whichever_it_is() {
        let world = World::default();
        world.set().ledger = Ok(LedgerReport { acknowledged: 7, lost: 7, ..Default::default() });
        let sample = stood(&world, &[drawn(None)], Sample::within("ok")).await;
        let violation = sample.violation.unwrap();
        assert!(
            violation.contains("`agent` itself is; cut at 812 with 7 acknowledged: 7 of 7"),
            "{violation}"
        );
        let wrong = || Sample::outside("no", "1 of 40 states break a promise");
        let agreed = stood(&world, &[drawn(Some("lost"))], wrong()).await;
        assert_eq!(agreed.violation, wrong().violation);
        world.set().ledger = Err("refused".into());
        let sample = stood(&world, &[drawn(None)], Sample::proves_nothing("", "hung")).await;
        let violation = sample.violation.unwrap();
        assert!(
            !sample.vacuous && violation.ends_with("nothing is read back: refused"),
            "{violation}"
        );
        world.set().ledger = Ok(LedgerReport { acknowledged: 7, ..Default::default() });
        let violation = stood(&world, &[drawn(Some("lost"))], wrong()).await.violation.unwrap();
        assert!(
            violation.contains("promise; on 1 of 1 wrong states nothing is wrong"),
            "{violation}"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_started_takes_nothing_back_and_proves_nothing() {
        let world = World::default();
        world.set().keeper.lost = Some("slow".into());
        let wrong = Sample::outside("no", "1 of 40 states break a promise");
        let sample = stood(&world, &[drawn(Some("lost"))], wrong).await;
        let told = "promise; `agent` could not be started on every state: ";
        assert!(!sample.vacuous && sample.violation.unwrap().contains(told));
        let sample = stood(&world, &[drawn(None)], Sample::within("ok")).await;
        assert!(sample.vacuous && sample.violation.unwrap().starts_with("`agent` could not"));
    }

    #[tokio::test]
    async fn a_wrong_state_that_gives_nothing_back_is_neither_confirmed_nor_denied() {
        let world = World::default();
        world.set().ledger = Err("refused".into());
        let wrong = || Sample::outside("no", "1 of 40 states break a promise");
        let sample = stood(&world, &[drawn(Some("lost"))], wrong()).await;
        assert_eq!(sample.violation, wrong().violation);
        assert!(sample.observed.ends_with("1 wrong ones, of which 1 gave nothing back"));
    }

    #[test]
    fn parameters_have_bounds() {
        let check = |yaml| serde_saphyr::from_str::<Standing>(yaml).unwrap().check().len();
        assert_eq!(check("{ service: agent, within: 60s }"), 0);
        assert_eq!(check("{ service: agent, within: 61s, sample: 0, wrong: 51 }"), 3);
    }

    #[tokio::test]
    async fn without_a_state_to_start_it_on_nothing_is_proven() {
        let world = World::default();
        let sample = stood(&world, &[], Sample::within("ok")).await;
        assert!(sample.vacuous && world.set().applied.is_empty());
    }
}
