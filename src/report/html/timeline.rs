//! The drawing of a case: phases, faults, readings, load and recovery over one axis of time.
//!
//! Places across are in percent and places down in pixels, so that it is as wide as the page and its
//! text as large as the page's, on a phone as on paper. Each lane has its name above it.

use maud::{Markup, html};

use super::{
    moments::Moment,
    quantity::{quantity, range},
    scale::{Scale, round},
    series::{Lane, Load, Run, Says, gap_us, loads},
};
use crate::{
    faults::Kind,
    probes::Unit,
    report::{
        points::phase_word,
        text::{one_line, span},
        totals::struck_nothing,
    },
    run::{CaseRecord, FaultRecord, RecoveryRecord},
};

/// Where the first lane begins: above it are the ticks' names.
const TOP: f64 = 20.0;
/// Height of a lane's name.
const NAME: f64 = 18.0;
/// Height of a bar or a stroke with its room.
const BAR: f64 = 14.0;
/// Height of a lane with a line in it.
const LINE: f64 = 36.0;
/// Lanes of readings; the page says how many there were.
const LANES: usize = 40;
/// Room that a mark's words take beside it, in percent of what a phone shows.
const WORDS: f64 = 50.0;
/// A phase narrower than this percentage has no name in it.
const NARROW: f64 = 3.0;

/// A line of a lane: its class, what it shows, in what unit, its points.
type Line<'a> = (&'a str, &'a str, Option<Unit>, &'a [(u64, f64)]);

/// Lanes from top to bottom.
struct Drawing {
    scale: Scale,
    end_us: u64,
    y: f64,
    lanes: Vec<Markup>,
}

/// The drawing of a case that ended then, with these moments and readings.
pub(super) fn timeline(
    case: &CaseRecord,
    moments: &[Moment],
    readings: &[Lane],
    end_us: u64,
) -> Markup {
    let scale = Scale::new(case.started_us, end_us);
    let mut drawing = Drawing { scale, end_us, y: TOP, lanes: Vec::new() };
    drawing.phases(case);
    case.faults.iter().for_each(|fault| drawing.fault(fault));
    let marked: Vec<&Moment> = moments.iter().filter(|one| one.mark.is_some()).collect();
    drawing.marks(&marked);
    loads(case).iter().for_each(|load| drawing.load(load));
    readings.iter().take(LANES).for_each(|lane| drawing.readings(lane));
    let bottom = round(drawing.y + 4.0);
    html! {
        div .drawn {
            svg .timeline width="100%" height=(bottom) role="img"
                aria-label={ "timeline of " (one_line(&case.start.case, 300)) } {
                @for (x, name) in scale.ticks() {
                    @let anchor = if x < 5.0 { "start" } else if x > 93.0 { "end" } else { "middle" };
                    line .grid x1=(percent(x)) x2=(percent(x)) y1=(TOP - 2.0) y2=(bottom) {}
                    text .dim x=(percent(x)) y="12" text-anchor=(anchor) { (name) }
                }
                @for recovery in &case.recoveries { (recovered(scale, recovery, bottom)) }
                @for (mark, x) in marked.iter().filter_map(|one| Some((one.mark.as_ref()?, scale.x(one.at_us)))) {
                    line .mark .(mark.class) x1=(percent(x)) x2=(percent(x)) y1=(TOP) y2=(bottom) {}
                }
                @for lane in &drawing.lanes { (lane) }
            }
        }
        @if readings.len() > LANES { p .dim { "… and " (readings.len() - LANES) " more probes" } }
        (legend(case, &marked, readings, scale))
    }
}

fn percent(x: f64) -> String {
    format!("{}%", round(x))
}

/// What the colours say, of those that are there.
fn legend(case: &CaseRecord, moments: &[&Moment], readings: &[Lane], scale: Scale) -> Markup {
    let marked = |class: &str| {
        moments.iter().filter_map(|one| one.mark.as_ref()).any(|one| one.class == class)
    };
    let says = |says: Says| readings.iter().flat_map(|lane| &lane.runs).any(|run| run.says == says);
    let over = case.recoveries.iter().any(|one| over_us(one, scale).is_some());
    let shown = [
        ("ok", "holds", says(Says::Holds)),
        ("bad", "violated", says(Says::Violated)),
        ("unread", "unreadable", says(Says::Unread)),
        ("mixed", "not told apart: too many changes", says(Says::Mixed)),
        ("number", "number read", readings.iter().any(|lane| lane.range().is_some())),
        ("fault", "fault in force", !case.faults.is_empty()),
        ("noticed", "first noticed", marked("noticed")),
        ("back", "recovered", marked("back")),
        ("note", "noted", marked("note")),
        ("objective", "end of the time allowed", over),
    ];
    html! {
        p .legend { @for (class, name, is) in shown { @if is { span .(class) { (name) } } } }
    }
}

/// When the time that a recovery is allowed is over, if the case went on until then.
fn over_us(recovery: &RecoveryRecord, scale: Scale) -> Option<u64> {
    let over_us = recovery.from_us.saturating_add(recovery.objective_us?);
    scale.has(over_us).then_some(over_us)
}

/// The time a recovery took, and where its objective ends if the case went on until then. Of what was
/// never seen to be out nothing was measured.
fn recovered(scale: Scale, recovery: &RecoveryRecord, bottom: f64) -> Markup {
    let from = scale.x(recovery.from_us);
    let measured = recovery.recovery_us.filter(|_| !recovery.at_first_look);
    let over = over_us(recovery, scale).zip(recovery.objective_us);
    html! {
        @if let Some(took) = measured {
            @let until = scale.x(recovery.from_us + took);
            rect .recovered x=(percent(from)) y=(TOP) width=(percent((until - from).max(0.1))) height=(round(bottom - TOP)) {
                title { (one_line(&recovery.assertion, 100)) ": recovered in " (span(took)) }
            }
        }
        @if let Some((over_us, time)) = over {
            @let x = percent(scale.x(over_us));
            line .objective x1=(x) x2=(x) y1=(TOP) y2=(bottom) { title { "objective: " (span(time)) } }
        }
    }
}

impl Drawing {
    /// What a lane is called, with more of it, and at the right what it came to.
    fn name(&mut self, id: &str, more: &str, value: &str) {
        self.lanes.push(html! {
            foreignObject x="0" y=(round(self.y)) width="100%" height=(NAME) {
                div .lane title=(id) {
                    span .what { b { (id) } @if !more.is_empty() { " " span title=(more) { (more) } } }
                    @if !value.is_empty() { span .value title=(value) { (value) } }
                }
            }
        });
        self.y += NAME;
    }

    fn push(&mut self, height: f64, inside: Markup) {
        self.lanes.push(inside);
        self.y += height;
    }

    fn phases(&mut self, case: &CaseRecord) {
        let until = |index: usize| case.phases.get(index + 1).map_or(self.end_us, |(at, _)| *at);
        let bands = html! {
            @for (index, (from, phase)) in case.phases.iter().enumerate() {
                @let (x, end) = (self.scale.x(*from), self.scale.x(until(index)));
                @let name = phase_word(*phase);
                foreignObject x=(percent(x)) y=(self.y) width=(percent((end - x).max(0.1))) height=(NAME) {
                    div .phase .odd[index % 2 == 1] title={ (name) ", " (span(until(index).saturating_sub(*from))) } {
                        @if end - x > NARROW { (name) }
                    }
                }
            }
        };
        self.push(NAME + 4.0, bands);
    }

    /// From the order to inject until it was seen gone; an event has no length.
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
        let seen = match proven {
            true if struck_nothing(fault) => "struck nothing",
            true => "proven",
            false => "not proven",
        };
        let lasted = span(until.saturating_sub(fault.injecting_us));
        let value = match fault.lasting {
            Kind::Event => seen.to_owned(),
            _ => format!("{seen}, {lasted}"),
        };
        let target = format!("{} on {}", fault.name, fault.target);
        self.name(&one_line(&fault.id, 100), &one_line(&target, 200), &value);
        let bar = html! {
            rect .(class) x=(percent(x)) y=(round(self.y)) width=(percent((end - x).max(0.4))) height=(BAR - 4.0) rx="2" {
                title { (one_line(&fault.act, 300)) " (" (seen) ")" }
            }
        };
        self.push(BAR, bar);
    }

    fn load(&mut self, load: &Load) {
        let of = |points: &[(u64, f64)]| points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        let most = of(&load.rates);
        if most > 0.0 {
            let unit = Some(Unit::RecordsPerSecond);
            let value = format!("up to {}", quantity(most, unit));
            self.name(&load.name, "acknowledged per second", &value);
            self.lines(&[("load", "acknowledged", unit, &load.rates)]);
        }
        let (median, tail) = (of(&load.p50), of(&load.p99));
        if tail > 0.0 {
            let unit = Some(Unit::Milliseconds);
            let value = format!("up to {} and {}", quantity(median, unit), quantity(tail, unit));
            let what = "latency so far: median (dotted), 99 of 100";
            self.name(&load.name, what, &value);
            self.lines(&[("median", "p50", unit, &load.p50), ("load", "p99", unit, &load.p99)]);
        }
    }

    fn readings(&mut self, lane: &Lane) {
        let last = lane.runs.last().map_or("", |run| run.observed.as_str());
        let read = lane.range().map(|(least, most)| range(least, most, lane.unit));
        let value =
            read.as_ref().map_or_else(|| last.to_owned(), |read| format!("{read}; last {last}"));
        self.name(&lane.id, &lane.probe, &value);
        if read.is_some() {
            self.lines(&[("number", "read", lane.unit, &lane.numbers)]);
        }
        let y = round(self.y + BAR / 2.0 - 3.0);
        let runs = html! { @for run in &lane.runs { (self.run(run, y)) } };
        self.push(BAR, runs);
    }

    fn run(&self, run: &Run, y: f64) -> Markup {
        let (from, until) = (self.scale.x(run.from_us), self.scale.x(run.until_us));
        let (after, until_us) = (self.scale.since(run.from_us), self.scale.since(run.until_us));
        html! {
            line .run .(run.says.class()) x1=(percent(from)) x2=(percent(until.max(from + 0.02))) y1=(y) y2=(y) {
                title { (run.readings) " × " (run.said()) ", +" (span(after)) " to +" (span(until_us)) ": " (run.observed) }
            }
        }
    }

    /// Who noticed and when, and when all was well again, in words that do not lie on each other.
    fn marks(&mut self, marked: &[&Moment]) {
        if marked.is_empty() {
            return;
        }
        let mut rows: Vec<Vec<(f64, f64)>> = Vec::new();
        let inside = html! {
            @for (mark, at_us, text) in marked.iter().filter_map(|one| Some((one.mark.as_ref()?, one.at_us, &one.text))) {
                @let x = self.scale.x(at_us);
                @let (anchor, beside, taken) = if x > WORDS { ("end", -8, (x - WORDS, x)) } else { ("start", 8, (x, x + WORDS)) };
                @let y = self.y + row(&mut rows, taken) as f64 * NAME + NAME / 2.0;
                circle .mark .(mark.class) cx=(percent(x)) cy=(y) r="4" { title { (one_line(text, 300)) } }
                text x=(percent(x)) dx=(beside) y=(y + 4.0) text-anchor=(anchor) { (mark.said) }
            }
        };
        self.push(rows.len() as f64 * NAME + 2.0, inside);
    }

    /// Lines from zero to the greatest value of all. Each has a class, what it shows, and its points.
    fn lines(&mut self, lines: &[Line<'_>]) {
        let values = lines.iter().flat_map(|(.., points)| points.iter().map(|(_, value)| *value));
        let most = values.fold(f64::MIN_POSITIVE, f64::max);
        let room = LINE - 6.0;
        let place = |(at, value): &(u64, f64)| {
            format!("{},{}", self.scale.x(*at), round(room - value.max(0.0) / most * room + 2.0))
        };
        let path = |points: &[(u64, f64)]| {
            let gap_us = gap_us(points.iter().map(|(at, _)| *at));
            let parts = points.chunk_by(|one, next| next.0.saturating_sub(one.0) <= gap_us);
            // a part of one point is a dot
            let part = |part: &[(u64, f64)]| {
                format!("M{}h0", part.iter().map(place).collect::<Vec<_>>().join(" "))
            };
            parts.map(part).collect::<String>()
        };
        let inside = html! {
            svg y=(round(self.y)) width="100%" height=(LINE) viewBox={ "0 0 100 " (LINE) } preserveAspectRatio="none" {
                @for (class, what, unit, points) in lines {
                    @let top = points.iter().map(|(_, value)| *value).fold(0.0, f64::max);
                    path .(class) d=(path(points)) { title { (what) ", at most " (quantity(top, *unit)) } }
                }
            }
        };
        self.push(LINE, inside);
    }
}

/// The first row in which this stretch is free; it is taken then.
fn row(rows: &mut Vec<Vec<(f64, f64)>>, (from, until): (f64, f64)) -> usize {
    let free =
        |row: &Vec<(f64, f64)>| row.iter().all(|(left, right)| until <= *left || *right <= from);
    let index = rows.iter().position(free).unwrap_or(rows.len());
    if index == rows.len() {
        rows.push(Vec::new());
    }
    rows[index].push((from, until));
    index
}
