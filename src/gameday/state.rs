//! What the console knows: the record of the run, and what is chosen and typed on the screen.
//!
//! `update` takes it one input further and says what is to be done. Pure: no clock, no terminal;
//! time comes in like everything else.

use std::collections::{BTreeMap, VecDeque};

use super::{
    call::{Against, Call, Checker},
    draft::Draft,
    journal,
    keys::{self, Key},
    line::Line,
    offer::{Offer, Place, places},
    script::{Script, Session},
};
use crate::{
    run::{CaseRecord, Event, FaultRecord, Redactor, RunRecord, Stamped},
    runtime,
    scenario::Scenario,
};

/// Lines of the log that are kept to look at; the event file has them all.
const LOGGED: usize = 500;

/// The least that everything fits on.
pub const SMALLEST: (u16, u16) = (80, 24);

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A key.
    Key(Key),
    /// An event of the run.
    Event(Box<Stamped>),
    /// The subjects are up: what can be done to each place.
    Opened(Vec<Vec<Offer>>),
    /// Services, and what the engine says of their containers.
    Subjects(Vec<(String, runtime::State, runtime::Health)>),
    /// Faults in force, and when the keeper reverts each, in microseconds since the start.
    InForce(Vec<(String, Option<u64>)>),
    /// Microseconds since the start.
    Clock(u64),
    /// Columns and rows.
    Size(u16, u16),
    /// What became of a command: none for what the events tell.
    Done(Result<Option<String>, String>),
    /// What became of an injection, once its events are there; in the order of the calls.
    Called(Result<(), String>),
    /// What became of STOP.
    Stopped(Result<String, String>),
    /// The case ends whatever is on the screen, and why.
    Ended(String),
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Inject.
    Inject(Box<Call>),
    /// Revert this fault.
    Revert(String),
    /// Revert everything that is in force.
    Stop,
    /// Write this down.
    Note(String),
    /// Write a scenario, once it was checked.
    Save {
        /// The file; it must not be there yet.
        path: String,
        /// Its text.
        text: String,
    },
    /// Roll back, judge, and leave the console.
    End,
    /// The same as `SIGINT`.
    Interrupt,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// When, in microseconds since the start.
    pub at_us: u64,
    /// What.
    pub text: String,
    /// It is a note, and to be read whole.
    pub noted: bool,
}

/// Which list the arrow keys move in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Focus {
    /// Subjects and their mounts.
    Places,
    /// The catalogue.
    Offers,
    /// Faults of this run.
    Faults,
}

/// What keys mean just now.
#[derive(Debug, Clone, PartialEq)]
pub enum Mode {
    /// Each is a command.
    Watch,
    /// The name of a fault is typed; the first that has it is chosen, or else none. What was chosen
    /// before comes back with Escape.
    Find(Line, Option<usize>),
    /// A fault is typed.
    Form(Line),
    /// It reaches beyond its volume: `y` is the first key, Enter the second.
    Confirm(Box<Call>, bool),
    /// A note is typed.
    Note(Line),
    /// A file name is typed.
    Save(Line),
    /// The keys are explained.
    Help,
    /// Faults are in force, and the console is to be left.
    Quit,
}

impl Mode {
    /// The line in which characters are typed, where keys are no commands.
    #[must_use]
    pub fn typed(&self) -> Option<&Line> {
        match self {
            Self::Find(line, _) | Self::Form(line) | Self::Note(line) | Self::Save(line) => {
                Some(line)
            }
            Self::Watch | Self::Confirm(..) | Self::Help | Self::Quit => None,
        }
    }
}

/// The console.
pub struct State {
    /// The scenario whose set-up it is.
    pub scenario: Scenario,
    /// The probes of its steady state, as the record calls them.
    pub probes: Vec<String>,
    /// Its file.
    pub file: String,
    draft: Draft,
    checker: Checker,
    redactor: Redactor,
    /// The run so far.
    pub record: RunRecord,
    /// Time, in microseconds since the start.
    pub now_us: u64,
    /// Columns and rows.
    pub size: (u16, u16),
    /// With colours; every meaning is in words too.
    pub colour: bool,
    /// Containers by service.
    pub subjects: BTreeMap<String, (runtime::State, runtime::Health)>,
    /// Faults in force, and when the keeper reverts each.
    pub in_force: Vec<(String, Option<u64>)>,
    /// What was typed, by fault id.
    pub calls: BTreeMap<String, Call>,
    /// Called for, and not yet answered.
    pub pending: VecDeque<Call>,
    notes: Vec<(u64, String)>,
    /// The newest lines of the log.
    pub log: VecDeque<Logged>,
    /// The list that the arrow keys move in.
    pub focus: Focus,
    /// Where faults can be aimed at.
    pub places: Vec<Place>,
    /// What can be done to each; empty until the subjects are up.
    pub offers: Vec<Vec<Offer>>,
    /// The chosen place.
    pub place: usize,
    /// The chosen offer; none when none is called what is looked for.
    pub offer: Option<usize>,
    /// The chosen fault of this run.
    pub fault: usize,
    /// What keys mean.
    pub mode: Mode,
    /// The fault that was being typed when STOP closed its line, and where: `i` begins with it.
    pub(super) kept: Option<(usize, Option<usize>, Line)>,
    /// What is to be read at once: good or bad.
    pub said: Option<Result<String, String>>,
    /// The first of two spaces was typed.
    pub half_stop: bool,
    /// Everything is being reverted: nothing is injected meanwhile.
    pub stopping: bool,
    /// It was left, or the case ended by itself.
    pub ending: Option<String>,
}

impl State {
    /// A console before its subjects are set up.
    #[must_use]
    pub fn new(
        (scenario, redactor): (Scenario, &Redactor),
        file: String,
        draft: Draft,
        checker: Checker,
    ) -> Self {
        let probes = scenario.steady_state.iter().map(|item| item.probe.describe());
        Self {
            places: places(&scenario),
            probes: probes.map(|title| redactor.text(title)).collect(),
            scenario,
            file,
            draft,
            checker,
            redactor: redactor.clone(),
            record: RunRecord::default(),
            now_us: 0,
            size: SMALLEST,
            colour: true,
            subjects: BTreeMap::new(),
            in_force: Vec::new(),
            calls: BTreeMap::new(),
            pending: VecDeque::new(),
            notes: Vec::new(),
            log: VecDeque::new(),
            focus: Focus::Places,
            offers: Vec::new(),
            place: 0,
            offer: Some(0),
            fault: 0,
            mode: Mode::Watch,
            kept: None,
            said: None,
            half_stop: false,
            stopping: false,
            ending: None,
        }
    }

    /// Takes in what happened; what is to be done about it.
    pub fn update(&mut self, input: Input) -> Vec<Command> {
        match input {
            Input::Key(key) => return keys::press(self, key),
            Input::Event(stamped) => self.event(&stamped),
            Input::Opened(offers) => self.offers = offers,
            Input::Subjects(all) => {
                self.subjects =
                    all.into_iter().map(|(name, state, health)| (name, (state, health))).collect();
            }
            Input::InForce(all) => {
                // looked at before the last of them was seen to be gone
                let seen = |fault: &FaultRecord| {
                    fault.reverted.as_ref().is_some_and(|(_, gone, ..)| *gone)
                };
                let gone =
                    |id: &str| self.faults().iter().any(|fault| fault.id == id && seen(fault));
                self.in_force = all.into_iter().filter(|(id, _)| !gone(id)).collect();
            }
            Input::Clock(now) => self.now_us = self.now_us.max(now),
            Input::Size(columns, rows) => self.size = (columns, rows),
            Input::Done(Ok(None)) => {}
            Input::Done(Ok(Some(text))) => self.said = Some(Ok(text)),
            Input::Done(Err(text)) => self.said = Some(Err(text)),
            Input::Called(result) => {
                self.pending.pop_front();
                self.said = result.err().map(Err).or(self.said.take());
            }
            Input::Stopped(result) => {
                self.stopping = false;
                self.said = Some(result);
            }
            Input::Ended(why) => self.ending = Some(why),
        }
        Vec::new()
    }

    fn event(&mut self, stamped: &Stamped) {
        if let Some(text) = journal::line(&stamped.event, self.case()) {
            let noted = matches!(stamped.event, Event::Noted { .. });
            self.log.push_back(Logged { at_us: stamped.at_us, text, noted });
            if self.log.len() > LOGGED {
                self.log.pop_front();
            }
        }
        self.record.apply(stamped);
        self.now_us = self.now_us.max(stamped.at_us);
        self.follow(&stamped.event);
    }

    /// What is in force is known from the events before anybody has looked for deadlines.
    fn follow(&mut self, event: &Event) {
        match event {
            Event::Injecting { fault, .. } => {
                // the newest is what the user looks at next
                self.fault = self.faults().len().saturating_sub(1);
                if let Some(call) = self.pending.front() {
                    self.calls.insert(fault.clone(), Call { id: fault.clone(), ..call.clone() });
                }
            }
            Event::Injected { fault, proven: true, .. } => {
                let lasts = self.calls.get(fault).is_some_and(|call| call.lasts.is_some());
                if lasts && self.deadline(fault).is_none() {
                    self.in_force.push((fault.clone(), None));
                }
            }
            // what was not seen to be gone counts as in force until the case says otherwise
            Event::Reverted { fault, proven: true, .. } => {
                self.in_force.retain(|(id, _)| id != fault);
            }
            _ => {}
        }
    }

    /// The record of the case, once it began.
    #[must_use]
    pub fn case(&self) -> Option<&CaseRecord> {
        self.record.cases.last()
    }

    /// Faults of this run, in order of injection.
    #[must_use]
    pub fn faults(&self) -> &[FaultRecord] {
        self.case().map(|case| case.faults.as_slice()).unwrap_or_default()
    }

    /// The fault that is chosen.
    #[must_use]
    pub fn chosen_fault(&self) -> Option<&FaultRecord> {
        self.faults().get(self.fault)
    }

    /// The offer that is chosen.
    #[must_use]
    pub fn chosen_offer(&self) -> Option<&Offer> {
        self.offers_here().get(self.offer?)
    }

    /// What can be done to the chosen place.
    #[must_use]
    pub fn offers_here(&self) -> &[Offer] {
        self.offers.get(self.place).map(Vec::as_slice).unwrap_or_default()
    }

    /// When the keeper reverts a fault that is in force; outer none when it is not.
    #[must_use]
    pub fn deadline(&self, fault: &str) -> Option<Option<u64>> {
        self.in_force.iter().find(|(id, _)| id == fault).map(|(_, at)| *at)
    }

    /// The screen shows less than everything.
    #[must_use]
    pub fn too_small(&self) -> bool {
        self.size.0 < SMALLEST.0 || self.size.1 < SMALLEST.1
    }

    /// Writes down what was noted, and when.
    pub(super) fn noted(&mut self, text: &str) {
        self.notes.push((self.now_us, text.to_owned()));
    }

    /// What was done so far, as steps.
    pub(super) fn script(&self, closed: bool) -> Script {
        let Some(case) = self.case() else { return Script::default() };
        let (calls, notes) = (&self.calls, self.notes.as_slice());
        Session { case, calls, notes, steady: &self.probes, now_us: self.now_us }.script(closed)
    }

    /// Reads a typed fault.
    pub(super) fn read(&self, line: &str) -> Result<Call, String> {
        let steps = self.script(false).steps;
        let (draft, file, checker) = (&self.draft, self.file.as_str(), &self.checker);
        let steady = !self.probes.is_empty();
        Against { draft, file, steps: &steps, checker, steady }.call(line, "typed")
    }

    /// A text as the reports show it. Events come so already; what the case answers, what may be
    /// touched and what `check` says does not.
    #[must_use]
    pub fn redacted(&self, text: &str) -> String {
        self.redactor.text(text.to_owned())
    }

    pub(super) fn draft(&self) -> &Draft {
        &self.draft
    }

    pub(super) fn checker(&self) -> &Checker {
        &self.checker
    }
}
