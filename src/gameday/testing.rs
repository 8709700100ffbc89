//! A scenario and a session on it, for the tests of the console.

use std::{path::Path, sync::Arc};

use ratatui::{Terminal, backend::TestBackend};

use super::{
    Call, Checker, Command, Draft, Input, Key, State, call::Against, draw, offers, places,
    state::Focus,
};
use crate::{
    faults::FaultSpec,
    probes::Sample,
    protocol::LoadStats,
    run::{CaseStart, Event, FORMAT, Origin, Phase, Redactor, RunStart, Stamped},
    runtime,
    scenario::load_all,
};

/// A service with two volumes, a load and a steady state.
pub(super) const SOURCE: &str = "\
keelhaul: 1
name: logs
about: The log directory breaks.
volumes:
  data: { ext4: { size: 64MiB } }
  logs: { docker: {} }
services:
  agent:
    image: keelhaul/specimen
    mounts: { /data: data, /logs: logs }
workloads:
  records: { ledger: { via: { http: { service: agent } }, rate: 100/s } }
objectives: { rto: 5s, rpo: 0 }
steady_state:
  - http: { service: agent, path: /health, status: 200 }
  - ledger: { workload: records, acked_per_second: { min: 20 } }
steps:
  - inject: { read-only: { target: agent:/logs } }
    as: original
  - revert: original
  - recover
verify:
  - ledger: { workload: records, lost: 0, corrupt: 0 }
";

/// Reads a text as `check` does.
pub(super) fn checker() -> Checker {
    Arc::new(|file: &Path, text: &str| {
        let files = [(file.to_owned(), Ok(text.as_bytes().to_vec()))];
        let loaded = load_all(&files, &Default::default(), &Default::default())?;
        Ok(loaded[0].cells[0].scenario.clone())
    })
}

/// A fault that is called for.
pub(super) fn pause() -> Call {
    let draft = Draft::of(SOURCE, &[], &Default::default()).unwrap();
    let checker = checker();
    let against =
        Against { draft: &draft, file: "a.yaml", steps: &[], checker: &checker, steady: true };
    against.call("inject: { pause: { target: agent } }", "typed").unwrap()
}

/// A session that tests drive: what the case would say goes in, what the console wants comes out.
pub(super) struct Driven {
    pub(super) state: State,
    pub(super) wanted: Vec<Command>,
}

pub(super) const SECOND: u64 = 1_000_000;

const CASE: &str = "logs";

impl Driven {
    /// Its subjects are up, and their steady state holds.
    pub(super) fn up() -> Self {
        Self::hiding(&Redactor::default())
    }

    /// The same, with secrets.
    pub(super) fn hiding(redactor: &Redactor) -> Self {
        Self::on(SOURCE, redactor)
    }

    /// The same on another scenario that has a service `agent`.
    pub(super) fn on(source: &str, redactor: &Redactor) -> Self {
        let checker = checker();
        let scenario = checker(Path::new("a.yaml"), source).unwrap();
        let draft = Draft::of(source, &[], &Default::default()).unwrap();
        let why_not =
            |fault: &FaultSpec| (fault.name() == "stall").then(|| "no freezer here".to_owned());
        let offers = places(&scenario).iter().map(|at| offers(at, &scenario, &why_not)).collect();
        let state = State::new((scenario, redactor), "scenarios/logs.yaml".into(), draft, checker);
        let mut driven = Self { state, wanted: Vec::new() };
        driven.event(0, Event::RunStarted(Box::new(run())));
        driven.event(0, Event::CaseStarted(Box::new(case())));
        driven.event(1, Event::PhaseStarted { case: CASE.into(), phase: Phase::Steps });
        driven.input(Input::Opened(offers));
        let subject = ("agent".to_owned(), runtime::State::Running, runtime::Health::Healthy);
        driven.input(Input::Subjects(vec![subject]));
        driven
    }

    pub(super) fn input(&mut self, input: Input) {
        self.wanted.extend(self.state.update(input));
    }

    pub(super) fn event(&mut self, at_us: u64, event: Event) {
        self.input(Input::Event(Box::new(Stamped { at_us, event })));
    }

    pub(super) fn keys(&mut self, keys: &[Key]) -> &mut Self {
        keys.iter().for_each(|key| self.input(Input::Key(*key)));
        self
    }

    pub(super) fn type_in(&mut self, text: &str) -> &mut Self {
        text.chars().for_each(|c| self.input(Input::Key(Key::Char(c))));
        self
    }

    /// As on a machine that can do everything: what `check` refuses is offered last, the image has no
    /// health check, and the load goes on.
    pub(super) fn in_full(mut self) -> Self {
        let mut all = self.state.offers.clone();
        for here in &mut all {
            for offer in here.iter_mut() {
                offer.why_not = self.state.read(&offer.line.replace("<file>", "file")).err();
            }
            here.sort_by_key(|offer| (offer.why_not.is_some(), offer.name));
        }
        self.input(Input::Opened(all));
        let subject = ("agent".to_owned(), runtime::State::Running, runtime::Health::None);
        self.input(Input::Subjects(vec![subject]));
        for second in [1, 2] {
            let stats = LoadStats {
                elapsed_us: second * SECOND,
                acknowledged: second * 50,
                ..LoadStats::default()
            };
            let (case, workload) = (CASE.to_owned(), "records".to_owned());
            self.event(second, Event::LoadSampled { case, workload, stats });
        }
        self
    }

    /// Chooses a place and a fault, and opens its form.
    pub(super) fn choose(&mut self, place: usize, fault: &str) -> &mut Self {
        self.state.focus = Focus::Places;
        self.state.place = place;
        self.state.offer = self.state.offers_here().iter().position(|one| one.name == fault);
        assert!(self.state.offer.is_some(), "{fault}");
        self.keys(&[Key::Char('i')])
    }

    /// What the case says when it has injected what is wanted.
    pub(super) fn injected(&mut self, at: u64, id: &str) {
        self.injected_as(at, id, true);
    }

    /// The same, whether or not its effect was seen.
    pub(super) fn injected_as(&mut self, at: u64, id: &str, proven: bool) {
        let Some(Command::Inject(call)) = self.wanted.pop() else { panic!("{:?}", self.wanted) };
        let (case, fault) = (CASE.to_owned(), id.to_owned());
        self.event(
            at,
            Event::Injecting {
                case: case.clone(),
                fault: fault.clone(),
                name: call.fault.name().into(),
                target: call.fault.target().to_string(),
                act: call.fault.describe().act,
                proof: call.fault.describe().proof,
                lasting: call.fault.kind(),
                scope: call.fault.scope(),
            },
        );
        let (evidence, notes) = ("creating a file: EROFS; the mount is ro".to_owned(), Vec::new());
        self.event(at + 1, Event::Injected { case, fault, proven, evidence, notes, took_us: 900 });
        if let Some(lasts) = call.lasts {
            let end = at + u64::try_from(lasts.0.as_micros()).unwrap();
            let mut all = self.state.in_force.clone();
            all.retain(|(known, _)| known != id);
            all.push((id.to_owned(), Some(end)));
            self.input(Input::InForce(all));
        }
        self.input(Input::Called(Ok(())));
    }

    /// What the case says when a fault was reverted.
    pub(super) fn reverted(&mut self, at: u64, id: &str, by: Origin) {
        let (case, fault) = (CASE.to_owned(), id.to_owned());
        self.event(at, Event::Reverting { case: case.clone(), fault: fault.clone(), by });
        let evidence = "a write succeeds".to_owned();
        self.event(at + 1, Event::Reverted { case, fault, proven: true, evidence, by });
        let mut all = self.state.in_force.clone();
        all.retain(|(one, _)| one != id);
        self.input(Input::InForce(all));
    }

    /// A reading of the first probe of the steady state.
    pub(super) fn health(&mut self, at: u64, holds: bool, during: &[&str]) {
        let probe = self.state.scenario.steady_state[0].probe.describe();
        let sample = if holds {
            Sample::within("status 200")
        } else {
            Sample::outside("status 503", "the status is 503, not 200")
        };
        self.event(
            at,
            Event::Sampled {
                case: CASE.into(),
                assertion: "steady_state[0]".into(),
                probe,
                phase: Phase::Steps,
                during: during.iter().map(ToString::to_string).collect(),
                result: Ok(sample),
            },
        );
    }

    /// What is saved; it passes `check`.
    pub(super) fn saved(&mut self) -> String {
        self.wanted.clear();
        self.keys(&[Key::Char('w'), Key::Enter]);
        match self.wanted.pop() {
            Some(Command::Save { text, .. }) => text,
            other => panic!("{other:?}\n{}", self.screen(80, 24)),
        }
    }

    /// The screen of this size, as text.
    pub(super) fn screen(&mut self, columns: u16, rows: u16) -> String {
        self.input(Input::Size(columns, rows));
        self.drawn(columns, rows)
    }

    /// The same before the console knows of the size.
    pub(super) fn drawn(&self, columns: u16, rows: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        terminal.draw(|frame| draw(&self.state, frame)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let line = |row: u16| {
            let cells = (0..columns).map(|column| buffer[(column, row)].symbol());
            cells.collect::<String>().trim_end().to_owned()
        };
        (0..rows).map(line).collect::<Vec<_>>().join("\n")
    }
}

fn run() -> RunStart {
    RunStart {
        format: FORMAT,
        run: "k7f3a9".into(),
        version: "0.1.0".into(),
        build: String::new(),
        started: String::new(),
        seed: 1,
        command: Vec::new(),
        fail_on: Vec::new(),
        engine: None,
        cases: 1,
        commit: None,
    }
}

fn case() -> CaseStart {
    CaseStart {
        case: CASE.into(),
        suite: CASE.into(),
        scenario: CASE.into(),
        about: None,
        file: "scenarios/logs.yaml".into(),
        cell: Default::default(),
        control: None,
        fails: Vec::new(),
        controls: None,
        attempt: 1,
        seed: 1,
        fingerprint: None,
        sets: None,
        rto_us: None,
        rpo: None,
        again: String::new(),
    }
}
