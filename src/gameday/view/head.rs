//! The first two lines: which run, how it goes, what is in force.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Paint, column, fit};
use crate::{
    gameday::{script::clock, state::State},
    report::{points::phase_word, text::one_line, totals::ack_rates},
    verdict::Verdict,
};

const TITLE: &str = "keelhaul gameday ";
/// The one key that does the same wherever one is.
const STOP: &str = "Ctrl-X: STOP";
const SO_FAR: &str = " · so far: ";

pub(super) fn draw(state: &State, paint: Paint, frame: &mut Frame<'_>, area: Rect) {
    let run = state.record.start.as_ref().map_or("…", |start| start.run.as_str());
    let case = state.case();
    let phase = case.and_then(|case| case.phases.last());
    let phase = phase.map_or("starting", |(_, phase)| phase_word(*phase));
    let verdict = so_far(state);
    let word = match verdict {
        Verdict::Pass => paint.good(),
        Verdict::Fail | Verdict::Error => paint.bad(),
        Verdict::Inconclusive | Verdict::Skipped => paint.doubtful(),
    };
    let parts = format!("{} · {run} · {phase} · {}", state.scenario.name, clock(state.now_us));
    let why = why(state, verdict);
    let around = TITLE.len() + SO_FAR.chars().count() + verdict.word().len() + why.chars().count();
    let first = Line::from(vec![
        Span::styled(TITLE, paint.strong()),
        Span::raw(fit(&parts, usize::from(area.width).saturating_sub(around))),
        Span::raw(SO_FAR),
        Span::styled(verdict.word(), word),
        Span::raw(why),
    ]);
    frame.render_widget(
        Paragraph::new(vec![first, second(state, paint, usize::from(area.width))]),
        area,
    );
}

fn second(state: &State, paint: Paint, width: usize) -> Line<'static> {
    let number = state.in_force.len();
    let style = if number == 0 { paint.good() } else { paint.alarm() };
    let first = format!(" IN FORCE: {number} ");
    let room = width.saturating_sub(first.chars().count() + STOP.len());
    let rest = column(&more(state), room.saturating_sub(1)) + " ";
    Line::from(vec![
        Span::styled(first, style),
        Span::raw(rest),
        Span::styled(STOP, if number == 0 { paint.faint() } else { paint.strong() }),
    ])
}

/// When the next fault ends by itself, and what is acknowledged meanwhile.
fn more(state: &State) -> String {
    let mut text = String::new();
    // what was not reverted in its time is not in force by its time either
    let ends = state.in_force.iter().filter_map(|(id, at)| Some(((*at)?, id)));
    let soonest = ends.filter(|(at, _)| *at > state.now_us).min();
    if let Some((at, id)) = soonest {
        let left = clock(at.saturating_sub(state.now_us));
        text += &format!(" {id} reverts itself in {left}");
    }
    for (workload, rate) in state.case().map(ack_rates).unwrap_or_default() {
        text += &format!("  {workload} {rate:.0} acks/s");
    }
    text
}

/// The heaviest of what was judged.
fn so_far(state: &State) -> Verdict {
    let Some(case) = state.case() else { return Verdict::Pass };
    if let Some((verdict, _)) = case.verdict {
        return verdict;
    }
    let judged = case.assertions.iter().filter_map(|one| one.verdict);
    judged.fold(Verdict::Pass, Verdict::merge)
}

/// Characters of what it is of: the line has more to say.
const OF: usize = 24;

/// What it is of, where it is no pass: that stays to the end, whatever is done later.
fn why(state: &State, verdict: Verdict) -> String {
    let all = state.case().map(|case| case.assertions.as_slice()).unwrap_or_default();
    let found = all.iter().find(|one| one.verdict == Some(verdict) && verdict != Verdict::Pass);
    found.map_or_else(String::new, |one| format!(": {}", fit(&one_line(&one.id, 100), OF)))
}
