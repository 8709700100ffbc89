//! The drawing of a case: phases, faults, readings, load and recovery over one axis of time.

use maud::{Markup, html};

use super::{
    moments::Moment,
    scale::{LEFT, RIGHT, Scale, round},
    series::{Lane, Run, lanes, loads},
};
use crate::{
    faults::Kind,
    report::{
        points::phase_word,
        text::{one_line, span},
    },
    run::{CaseRecord, FaultRecord, RecoveryRecord},
};

/// Height of a lane, and of one with a line in it.
const LOW: f64 = 20.0;
/// See [`LOW`].
const HIGH: f64 = 46.0;
/// Lanes of readings; the page says how many there were.
const LANES: usize = 40;
/// Characters of a name beside its lane; the rest shows under the pointer.
const NAME: usize = 36;

/// A line of a lane: its class, what it shows, its points.
type Line<'a> = (&'a str, &'a str, &'a [(u64, f64)]);

/// Lanes from top to bottom.
struct Drawing {
    scale: Scale,
    end_us: u64,
    y: f64,
    lanes: Vec<Markup>,
}

/// Bytes that one stroke takes, about.
const STROKE: usize = 250;

/// The drawing of a case that ended then, with these moments, in about `room` bytes.
pub(super) fn timeline(case: &CaseRecord, moments: &[Moment], end_us: u64, room: usize) -> Markup {
    let scale = Scale::new(case.started_us, end_us);
    let mut drawing = Drawing { scale, end_us, y: 24.0, lanes: Vec::new() };
    drawing.phases(case);
    case.faults.iter().for_each(|fault| drawing.fault(fault));
    let marked: Vec<&Moment> = moments.iter().filter(|one| one.mark.is_some()).collect();
    drawing.marks(&marked);
    for load in loads(case) {
        drawing.lines(&format!("{}: acknowledged/s", load.name), &[("load", "", &load.rates)]);
        let latency = [("median", "p50", &load.p50[..]), ("load", "p99", &load.p99)];
        drawing.lines(&format!("{}: p50, p99 ms", load.name), &latency);
    }
    let all = lanes(case, room / STROKE);
    all.iter().take(LANES).for_each(|lane| drawing.readings(lane));
    let bottom = round(drawing.y + 4.0);
    html! {
        svg viewBox={ "0 0 1000 " (bottom) } role="img"
            aria-label={ "timeline of " (one_line(&case.start.case, 300)) } {
            @for (x, name) in scale.ticks() {
                line .grid x1=(x) x2=(x) y1="18" y2=(bottom) {}
                text .dim x=(x) y="12" text-anchor="middle" { (name) }
            }
            @for recovery in &case.recoveries { (recovered(scale, recovery, bottom)) }
            @for (mark, x) in marked.iter().filter_map(|one| Some((one.mark.as_ref()?, scale.x(one.at_us)))) {
                line .mark .(mark.class) x1=(x) x2=(x) y1="18" y2=(bottom) {}
            }
            @for lane in &drawing.lanes { (lane) }
        }
        @if all.len() > LANES { p .dim { "… and " (all.len() - LANES) " more probes" } }
    }
}

/// The time a recovery took, and where its objective ends.
fn recovered(scale: Scale, recovery: &RecoveryRecord, bottom: f64) -> Markup {
    let from = scale.x(recovery.from_us);
    let until = recovery.recovery_us.map(|took| scale.x(recovery.from_us + took));
    let how =
        if recovery.at_first_look { "steady at the first look, after" } else { "recovered in" };
    let objective = recovery.objective_us.map(|time| scale.x(recovery.from_us + time));
    html! {
        @if let (Some(until), Some(took)) = (until, recovery.recovery_us) {
            rect .recovered x=(from) y="18" width=(round((until - from).max(1.5))) height=(round(bottom - 18.0)) {
                title { (one_line(&recovery.assertion, 100)) ": " (how) " " (span(took)) }
            }
        }
        @if let (Some(x), Some(time)) = (objective, recovery.objective_us) {
            line .objective x1=(x) x2=(x) y1="18" y2=(bottom) { title { "objective: " (span(time)) } }
        }
    }
}

impl Drawing {
    fn lane(&mut self, name: &str, height: f64, inside: &Markup) {
        let middle = round(self.y + height / 2.0 + 4.0);
        let short: String = name.chars().take(NAME).collect();
        let cut = short.len() < name.len();
        self.lanes.push(html! {
            text x=(LEFT - 8.0) y=(middle) text-anchor="end" {
                title { (name) }
                (short) @if cut { "…" }
            }
            (inside)
        });
        self.y += height;
    }

    fn phases(&mut self, case: &CaseRecord) {
        let until = |index: usize| case.phases.get(index + 1).map_or(self.end_us, |(at, _)| *at);
        let bands = html! {
            @for (index, (from, phase)) in case.phases.iter().enumerate() {
                @let (x, end) = (self.scale.x(*from), self.scale.x(until(index)));
                rect .band[index % 2 == 0] x=(x) y=(self.y) width=(round(end - x)) height=(LOW) fill="none" {
                    title { (phase_word(*phase)) ", " (span(until(index).saturating_sub(*from))) }
                }
                @if end - x > 70.0 { text .dim x=(x + 4.0) y=(self.y + 14.0) { (phase_word(*phase)) } }
            }
        };
        self.lane("phases", LOW, &bands);
    }

    /// From the order to inject it until it was seen gone; an event has no length.
    fn fault(&mut self, fault: &FaultRecord) {
        let until = match &fault.reverted {
            Some((at, ..)) => *at,
            None if fault.lasting == Kind::Event => {
                fault.injected.as_ref().map_or(fault.injecting_us, |(at, ..)| *at)
            }
            None => self.end_us,
        };
        let (x, end) = (self.scale.x(fault.injecting_us), self.scale.x(until));
        let proven = matches!(fault.injected, Some((_, true, _)));
        let class = if proven { "fault" } else { "unproven" };
        let seen = if proven { "proven" } else { "not proven" };
        let bar = html! {
            rect .(class) x=(x) y=(self.y + 4.0) width=(round((end - x).max(4.0))) height=(LOW - 8.0) rx="2" {
                title { (one_line(&fault.act, 300)) " (" (seen) ")" }
            }
        };
        let name = one_line(&format!("{} ({})", fault.id, fault.name), 300);
        self.lane(&name, LOW, &bar);
    }

    fn readings(&mut self, lane: &Lane) {
        if lane.numbers.len() > 2 {
            self.lines(&lane.name, &[("number", "", &lane.numbers)]);
            self.y -= 6.0;
        }
        let y = round(self.y + LOW / 2.0);
        let runs = html! { @for run in &lane.runs { (self.run(run, y)) } };
        let name = if lane.numbers.len() > 2 { "" } else { lane.name.as_str() };
        self.lane(name, LOW, &runs);
    }

    fn run(&self, run: &Run, y: f64) -> Markup {
        let (from, until) = (self.scale.x(run.from_us), self.scale.x(run.until_us));
        let (after, until_us) = (self.scale.since(run.from_us), self.scale.since(run.until_us));
        html! {
            line .run .(run.says.class()) x1=(from) x2=(round(until.max(from + 0.1))) y1=(y) y2=(y) {
                title { (run.readings) " × " (run.says.word()) ", +" (span(after)) " to +" (span(until_us)) ": " (run.observed) }
            }
        }
    }

    /// Who noticed and when, and when all was well again, in words.
    fn marks(&mut self, marked: &[&Moment]) {
        if marked.is_empty() {
            return;
        }
        let middle = self.y + LOW / 2.0;
        let inside = html! {
            @for (mark, at_us, text) in marked.iter().filter_map(|one| Some((one.mark.as_ref()?, one.at_us, &one.text))) {
                @let x = self.scale.x(at_us);
                @let (anchor, beside) = if mark.to_the_left(x) { ("end", x - 7.0) } else { ("start", x + 7.0) };
                circle .mark .(mark.class) cx=(x) cy=(middle) r="4" { title { (one_line(text, 300)) } }
                text x=(round(beside)) y=(middle + 4.0) text-anchor=(anchor) { (mark.said) }
            }
        };
        self.lane("noticed, recovered", LOW, &inside);
    }

    /// Lines from zero to the greatest value of all, which stands at the right. Each has a class, what
    /// it shows, and its points.
    fn lines(&mut self, name: &str, lines: &[Line<'_>]) {
        let values = lines.iter().flat_map(|(.., points)| points.iter().map(|(_, value)| *value));
        let most = values.fold(0.0, f64::max);
        if most <= 0.0 {
            return;
        }
        let (base, room) = (self.y + HIGH - 6.0, HIGH - 12.0);
        let place = |(at, value): &(u64, f64)| {
            format!("{},{}", self.scale.x(*at), round(base - value.max(0.0) / most * room))
        };
        let path = |points: &[(u64, f64)]| points.iter().map(place).collect::<Vec<_>>().join(" ");
        let inside = html! {
            @for (class, what, points) in lines {
                @let top = round(points.iter().map(|(_, value)| *value).fold(0.0, f64::max));
                polyline .(class) points=(path(points)) {
                    title { (name) @if !what.is_empty() { ", " (what) } ", at most " (top) }
                }
            }
            text .dim x=(RIGHT + 8.0) y=(round(base - room + 4.0)) text-anchor="end" { (round(most)) }
        };
        self.lane(name, HIGH, &inside);
    }
}
