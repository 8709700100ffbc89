//! Progress while a run goes on: bars on a terminal, lines elsewhere.
//!
//! A terminal that goes away ends the progress, never the run.

use std::{collections::HashMap, io::Write, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{
    Look,
    line::{because, finished, running},
};
use crate::{
    report::text::one_line,
    run::{CaseRecord, Event, RunRecord, Stamped},
    verdict::Verdict,
};

/// Bars at a time; more cases than this side by side are only counted.
const BARS: usize = 16;
/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Where progress is shown.
pub enum Progress {
    /// Nowhere.
    Quiet,
    /// A line for each finished case, and one for what broke in it.
    Plain(Box<dyn Write + Send>),
    /// A line that changes for each running case.
    Bars(ProgressDrawTarget),
}

/// Shows a run as it goes on.
pub struct Live {
    look: Look,
    sink: Sink,
}

enum Sink {
    Quiet,
    Plain(Box<dyn Write + Send>),
    Bars(Bars),
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    cases: HashMap<String, ProgressBar>,
}

impl Live {
    /// Shows nothing before the first event.
    #[must_use]
    pub fn new(progress: Progress, look: Look) -> Self {
        let sink = match progress {
            Progress::Quiet => Sink::Quiet,
            Progress::Plain(out) => Sink::Plain(out),
            Progress::Bars(target) => Sink::Bars(Bars::new(target)),
        };
        Self { look, sink }
    }

    /// Takes in an event; `record` already has it.
    pub fn apply(&mut self, stamped: &Stamped, record: &RunRecord) {
        match &stamped.event {
            Event::Noted { case: None, text } => {
                self.print(&[format!("{:>12} {}", "note", one_line(text, 1000))]);
            }
            Event::Attention { case, text } => {
                let line =
                    format!("{:>12} {}: {}", "note", one_line(case, 300), one_line(text, 1000));
                self.print(&[line]);
            }
            Event::RunEnded { .. } => self.finish(),
            event => {
                let newest = event
                    .case()
                    .and_then(|id| record.cases.iter().rev().find(|case| case.start.case == id));
                if let Some(case) = newest {
                    self.case(event, case, record);
                }
            }
        }
    }

    /// Takes the progress off the screen. Further events bring it back.
    pub fn finish(&mut self) {
        if let Sink::Bars(bars) = &mut self.sink {
            for (_, bar) in bars.cases.drain() {
                bar.finish_and_clear();
            }
            bars.total.finish_and_clear();
        }
    }

    fn case(&mut self, event: &Event, case: &CaseRecord, record: &RunRecord) {
        if let Sink::Bars(bars) = &mut self.sink {
            bars.update(event, case, record);
        }
        if matches!(event, Event::CaseEnded { .. }) {
            let flaky = case.start.attempt > 1;
            let broke = case.verdict() > Verdict::Skipped;
            let mut lines = vec![finished(case, flaky, self.look)];
            if broke {
                lines.push(because(case, self.look));
            }
            self.print(&lines);
        }
    }

    fn print(&mut self, lines: &[String]) {
        match &mut self.sink {
            Sink::Quiet => {}
            Sink::Plain(out) => {
                let whole = lines.join("\n") + "\n";
                let written = out.write_all(whole.as_bytes()).and_then(|()| out.flush());
                if written.is_err() {
                    self.sink = Sink::Quiet;
                }
            }
            Sink::Bars(bars) => {
                // a terminal that is gone is no reason to end a run
                let _ = bars.all.println(lines.join("\n"));
            }
        }
    }
}

impl Bars {
    fn new(target: ProgressDrawTarget) -> Self {
        let all = MultiProgress::with_draw_target(target);
        let total = all.add(ProgressBar::new(0));
        total.set_style(style("{msg:>12} [{elapsed:>8}] {pos} of {len} cases"));
        total.set_message("Running");
        Self { all, total, cases: HashMap::new() }
    }

    fn update(&mut self, event: &Event, case: &CaseRecord, record: &RunRecord) {
        let id = case.start.case.as_str();
        match event {
            Event::CaseEnded { .. } => {
                if let Some(bar) = self.cases.remove(id) {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
                let planned = record.start.as_ref().map_or(0, |start| start.cases);
                // a retry is one more than was planned
                let ended = record.cases.iter().filter(|case| case.verdict.is_some()).count();
                self.total.set_length(planned.max(record.cases.len()) as u64);
                self.total.set_position(ended as u64);
                return;
            }
            Event::CaseStarted(_) if self.cases.len() < BARS => {
                let bar = self.all.add(ProgressBar::new_spinner());
                bar.set_style(style("{spinner:>12} [{elapsed:>8}] {wide_msg}"));
                bar.enable_steady_tick(TICK);
                self.cases.insert(id.to_owned(), bar);
                let planned = record.start.as_ref().map_or(0, |start| start.cases);
                self.total.set_length(planned.max(record.cases.len()) as u64);
                // its clock goes on between the ends of cases
                self.total.enable_steady_tick(TICK);
            }
            _ => {}
        }
        if let Some(bar) = self.cases.get(id) {
            bar.set_message(running(case));
        }
    }
}

/// A template that is a literal here; a wrong one falls back to the plain default.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
