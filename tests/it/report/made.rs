//! Runs made by hand: events as the runner emits them, with a few knobs.

use std::{collections::BTreeMap, io::Cursor};

use keelhaul::{
    block::{Kept, Profile},
    faults::{Kind, Scope},
    ledger::LedgerReport,
    probes::Sample,
    protocol::{EntryId, ExploreReport, LoadStats, RollbackReport, Undone, WrongState},
    run::{CaseStart, Event, FORMAT, Origin, Phase, RunRecord, RunStart, Stamped},
    runtime::EngineFacts,
    scenario::Hypothesis,
    verdict::{Ending, FailOn, Verdict},
};

/// Builds the events of a run; each event is 100 ms after the one before.
pub(crate) struct Made {
    pub(crate) events: Vec<Stamped>,
    case: String,
    verdict: Verdict,
}

impl Made {
    pub(crate) fn run(cases: usize) -> Self {
        let engine = EngineFacts {
            address: "unix:///var/run/docker.sock".into(),
            version: "20.10.24".into(),
            api_version: "1.41".into(),
            os: "Debian GNU/Linux 12 (bookworm)".into(),
            kernel: "6.18.44".into(),
            storage_driver: "overlay2".into(),
            data_root: "/var/lib/docker".into(),
            d_type: None,
            cgroup_version: "2".into(),
            security: Vec::new(),
        };
        let start = RunStart {
            format: FORMAT,
            run: "r1".into(),
            version: "0.1.0".into(),
            build: "abc".into(),
            started: "2026-01-02T03:04:05Z".into(),
            seed: 42,
            command: vec!["keelhaul".into(), "run".into()],
            fail_on: FailOn::USUAL.to_vec(),
            engine: Some(engine),
            cases,
            commit: None,
        };
        let mut made = Self { events: Vec::new(), case: String::new(), verdict: Verdict::Pass };
        made.push(Event::RunStarted(Box::new(start)));
        made
    }

    /// A case with a note that came after 28 seconds.
    pub(crate) fn noted() -> RunRecord {
        let mut made = Self::run(1);
        made.case("a", "", 1).case_end(Verdict::Pass, &[]).end(Verdict::Pass);
        let mut record = made.record();
        record.cases[0].notes = vec!["the pager rang".to_owned()];
        record.cases[0].notes_us = vec![record.cases[0].started_us + 28_004_000];
        record
    }

    pub(crate) fn push(&mut self, event: Event) -> &mut Self {
        let at_us = self.events.len() as u64 * 100_000;
        self.events.push(Stamped { at_us, event });
        self
    }

    /// Starts a case; `control` may be empty.
    pub(crate) fn case(&mut self, suite: &str, control: &str, attempt: u32) -> &mut Self {
        let tag = if control.is_empty() { String::new() } else { format!("@{control}") };
        self.case = format!("{suite}{tag}");
        let start = CaseStart {
            case: self.case.clone(),
            suite: suite.into(),
            scenario: suite.split('[').next().unwrap_or_default().into(),
            about: Some("A volume runs out of inodes.".into()),
            file: format!("scenarios/{suite}.yaml"),
            cell: BTreeMap::from([("volume".into(), "ext4".into())]),
            control: (!control.is_empty()).then(|| control.into()),
            fails: Vec::new(),
            controls: None,
            attempt,
            seed: 42,
            fingerprint: Some("f1".into()),
            sets: None,
            rto_us: Some(5_000_000),
            rpo: Some(0),
            again: format!("keelhaul run scenarios/{suite}.yaml --seed 42"),
        };
        self.push(Event::CaseStarted(Box::new(start)));
        let (case, phase) = (self.case.clone(), Phase::SetUp);
        self.push(Event::PhaseStarted { case, phase }).started("agent")
    }

    fn started(&mut self, service: &str) -> &mut Self {
        let (container, image) = ("c0ffee".into(), "sha256:1234".into());
        let (case, service) = (self.case.clone(), service.into());
        self.push(Event::SubjectStarted { case, service, container, image, attached: false })
    }

    /// `--set` gave the case this.
    pub(crate) fn given(&mut self, sets: &[&str]) -> &mut Self {
        let started = self.events.iter_mut().rev().find_map(|stamped| match &mut stamped.event {
            Event::CaseStarted(start) => Some(start),
            _ => None,
        });
        started.expect("a case").sets = Some(sets.iter().map(|&it| it.to_owned()).collect());
        self
    }

    /// The subject's image is this one; none where it is empty.
    pub(crate) fn image(&mut self, id: &str) -> &mut Self {
        if let Some(Stamped { event: Event::SubjectStarted { image, .. }, .. }) =
            self.events.last_mut()
        {
            id.clone_into(image);
        }
        if id.is_empty() {
            self.events.pop();
        }
        self
    }

    pub(crate) fn phase(&mut self, phase: Phase) -> &mut Self {
        let case = self.case.clone();
        self.push(Event::PhaseStarted { case, phase })
    }

    pub(crate) fn injecting(&mut self) -> &mut Self {
        let case = self.case.clone();
        self.push(Event::Injecting {
            case,
            fault: "full".into(),
            name: "inode-exhaustion".into(),
            target: "agent:/data".into(),
            act: "remounts the tmpfs with as many inodes as are used".into(),
            proof: "a create in the target's namespace fails with ENOSPC".into(),
            lasting: Kind::State,
            scope: Scope::Volume,
        })
    }

    /// A fault from injection to its verified effect.
    pub(crate) fn inject(&mut self, proven: bool) -> &mut Self {
        let case = self.case.clone();
        self.injecting().push(Event::Injected {
            case,
            fault: "full".into(),
            proven,
            evidence: "0 of 512 inodes free".into(),
            notes: vec!["2 files stay open".into()],
            took_us: 420,
        })
    }

    pub(crate) fn revert(&mut self, proven: bool) -> &mut Self {
        let (case, by) = (self.case.clone(), Origin::Step);
        self.push(Event::Reverting { case: case.clone(), fault: "full".into(), by });
        let (fault, evidence) = ("full".into(), "500 of 512 inodes free".into());
        self.push(Event::Reverted { case, fault, proven, evidence, by })
    }

    pub(crate) fn load(&mut self, acknowledged: u64, elapsed_us: u64) -> &mut Self {
        let (p50_us, p99_us) = (2_000, 9_000);
        let stats = LoadStats { acknowledged, elapsed_us, p50_us, p99_us, ..LoadStats::default() };
        let (case, workload) = (self.case.clone(), "records".into());
        self.push(Event::LoadSampled { case, workload, stats })
    }

    pub(crate) fn sample(&mut self, assertion: &str, sample: Sample) -> &mut Self {
        let case = self.case.clone();
        self.push(Event::Sampled {
            case,
            assertion: assertion.into(),
            probe: "http agent /health".into(),
            phase: Phase::Steps,
            during: vec!["full".into()],
            result: Ok(sample),
        })
    }

    pub(crate) fn assert(
        &mut self,
        assertion: &str,
        hypothesis: Hypothesis,
        verdict: Option<Verdict>,
        message: &str,
    ) -> &mut Self {
        self.verdict = self.verdict.merge(verdict.unwrap_or_default());
        let case = self.case.clone();
        self.push(Event::Asserted {
            case,
            assertion: assertion.into(),
            hypothesis,
            title: "http agent /health is 200".into(),
            verdict,
            message: message.into(),
            took_us: 1_500_000,
        })
    }

    pub(crate) fn steady(&mut self, verdict: Verdict) -> &mut Self {
        let message = if verdict == Verdict::Pass { "" } else { "never reached" };
        self.assert("steady_state[0]", Hypothesis::SteadyState, Some(verdict), message)
    }

    pub(crate) fn recovered(&mut self, recovery_us: Option<u64>) -> &mut Self {
        let (case, assertion) = (self.case.clone(), "recover".into());
        let (counted_us, objective_us) = (1_500_000, Some(5_000_000));
        self.push(Event::Recovered {
            case,
            assertion,
            counted_us,
            recovery_us,
            objective_us,
            at_first_look: false,
        })
    }

    pub(crate) fn ledger(&mut self, acknowledged: u64, lost: u64) -> &mut Self {
        let report = Box::new(LedgerReport { acknowledged, lost, ..LedgerReport::default() });
        let (case, workload) = (self.case.clone(), "records".into());
        self.push(Event::LedgerJudged { case, workload, report })
    }

    /// One state that a power cut would have left, in which this many are missing.
    pub(crate) fn explored(&mut self, acknowledged: u64, lost: u64) -> &mut Self {
        let first = WrongState {
            cut: 812,
            profile: Profile::Drop,
            acknowledged,
            kept: vec![Kept::Nothing],
            lost_at_first: 1,
            lost: Vec::new(),
            digest: "ab".into(),
            wrong: format!("{lost} of {acknowledged} acknowledged records lost"),
            confirmed: true,
            second: None,
        };
        let report = Box::new(ExploreReport {
            states: 1,
            wrong: 1,
            worst: Some((lost, acknowledged)),
            first: Some(first),
            ..ExploreReport::default()
        });
        let (case, workload) = (self.case.clone(), "records".into());
        self.push(Event::Explored { case, workload, report })
    }

    pub(crate) fn log(&mut self, text: &str) -> &mut Self {
        let (case, service, text) = (self.case.clone(), "agent".into(), text.into());
        self.push(Event::LogCollected { case, service, text, lines_us: Vec::new() })
    }

    /// What a service printed, with when each line was.
    pub(crate) fn printed(&mut self, service: &str, lines: &[(u64, &str)]) -> &mut Self {
        let (case, service) = (self.case.clone(), service.into());
        let text = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        let lines_us = lines.iter().map(|(at_us, _)| *at_us).collect();
        self.push(Event::LogCollected { case, service, text, lines_us })
    }

    pub(crate) fn rolled_back(&mut self, problem: Option<&str>) -> &mut Self {
        let undone = Undone {
            id: EntryId(1),
            what: "tmpfs limits of agent:/data".into(),
            problems: problem.into_iter().map(str::to_owned).collect(),
            pending: Vec::new(),
        };
        let (case, report) = (self.case.clone(), RollbackReport { undone: vec![undone] });
        let recover = problem.map(|_| "keelhaul recover r1".to_owned());
        self.push(Event::RolledBack { case, report, recover })
    }

    pub(crate) fn residue(&mut self, left: &[&str]) -> &mut Self {
        let left = left.iter().map(|&it| it.to_owned()).collect();
        let case = self.case.clone();
        self.push(Event::ResidueChecked { case, left })
    }

    pub(crate) fn case_end(&mut self, verdict: Verdict, reasons: &[&str]) -> &mut Self {
        let reasons = reasons.iter().map(|&it| it.to_owned()).collect();
        let case = self.case.clone();
        self.push(Event::CaseEnded { case, verdict, reasons, tolerated: None })
    }

    pub(crate) fn end(&mut self, verdict: Verdict) -> &mut Self {
        self.push(Event::RunEnded { verdict, ending: Ending::default() })
    }

    /// A case that goes well.
    pub(crate) fn good(&mut self, suite: &str, attempt: u32) -> &mut Self {
        self.case(suite, "", attempt)
            .phase(Phase::SteadyState)
            .steady(Verdict::Pass)
            .phase(Phase::Steps)
            .inject(true)
            .load(10, 1_000_000)
            .revert(true)
            .recovered(Some(1_200_000))
            .assert("recover", Hypothesis::Step, Some(Verdict::Pass), "")
            .ledger(1204, 0)
            .log("started\nready\n")
            .rolled_back(None)
            .residue(&[])
            .case_end(Verdict::Pass, &[])
    }

    /// A case whose recovery never comes.
    pub(crate) fn bad(&mut self, suite: &str, control: &str, attempt: u32) -> &mut Self {
        let down = Sample::outside("status 503, body {\"state\":\"ERROR\"}", "status is not 200");
        self.case(suite, control, attempt)
            .phase(Phase::SteadyState)
            .steady(Verdict::Pass)
            .phase(Phase::Steps)
            .inject(true)
            .sample("recover", down)
            .revert(true)
            .recovered(None)
            .assert("recover", Hypothesis::Step, Some(Verdict::Fail), "not green within 5s")
            .assert("steps[3]", Hypothesis::Step, None, "`recover` broke first")
            .ledger(1204, 7)
            .log("one\ntwo\nENOSPC\n")
            .rolled_back(None)
            .residue(&[])
    }

    /// Every kind of ending in one run.
    pub(crate) fn everything() -> Self {
        let mut made = Self::run(7);
        made.good("inode-exhaustion[volume=ext4]", 1);
        made.bad("inode-exhaustion[volume=ext4]", "no-retention", 1)
            .case_end(Verdict::Pass, &["failed at `recover`, as it must"]);
        made.bad("disk-full", "", 1).case_end(Verdict::Fail, &["`recover`: not green within 5s"]);
        made.bad("flaky", "", 1).case_end(Verdict::Fail, &["`recover`: not green within 5s"]);
        made.good("flaky", 2);
        made.case("unproven", "", 1)
            .steady(Verdict::Pass)
            .inject(false)
            .revert(true)
            .assert("recover", Hypothesis::Step, None, "the effect of `full` was not seen")
            .rolled_back(None)
            .residue(&[])
            .case_end(Verdict::Inconclusive, &["`full`: effect not seen"]);
        made.case("image-gone", "", 1)
            .case_end(Verdict::Error, &["set-up: image `x` is missing\n\nhint: build it"]);
        made.case("no-ext4", "", 1)
            .case_end(Verdict::Skipped, &["loop devices: no /dev/loop-control"]);
        made.case("no-ext4", "too-good", 1)
            .steady(Verdict::Pass)
            .case_end(Verdict::Inconclusive, &["control `too-good` passed: nothing was caught"]);
        made.end(Verdict::Fail);
        made
    }

    /// As if no scenario had a control, and every recovery had been there at the first look.
    pub(crate) fn that_shows_nothing(&mut self) -> &mut Self {
        for stamped in &mut self.events {
            match &mut stamped.event {
                Event::CaseStarted(start) => start.controls = Some(0),
                Event::Recovered { at_first_look, .. } => *at_first_look = true,
                _ => {}
            }
        }
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let line = |event| serde_json::to_string(event).unwrap() + "\n";
        self.events.iter().map(line).collect::<String>().into_bytes()
    }

    /// As read back from its event file.
    pub(crate) fn record(&self) -> RunRecord {
        RunRecord::read(Cursor::new(self.bytes()))
    }
}
