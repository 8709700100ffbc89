//! The faults of this run: in force, with what proves it and when the keeper ends it, or over.

use ratatui::{
    Frame,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Paint, column, fit, pane, shown};
use crate::{
    faults::Kind,
    gameday::{
        script::clock,
        state::{Focus, State},
    },
    report::{text::one_line, totals::struck_nothing},
    run::{FaultRecord, Origin},
};

pub(super) fn draw(state: &State, paint: Paint, frame: &mut Frame<'_>, area: Rect) {
    let block = pane("In force, and over", state.focus == Focus::Faults, paint);
    let inside = block.inner(area);
    let (faults, width) = (state.faults(), usize::from(inside.width));
    let range = shown(faults.len(), state.fault, usize::from(inside.height) / 2);
    let mut lines = Vec::new();
    for index in range {
        let fault = &faults[index];
        let mark = if index == state.fault { "> " } else { "  " };
        let (word, style, seen) = words(state, fault, paint);
        let room = width.saturating_sub(3 + word.chars().count());
        let text = column(&format!("{} {}", fault.id, fault.target), room) + " ";
        lines.push(Line::from(vec![Span::raw(mark), Span::raw(text), Span::styled(word, style)]));
        let seen = fit(&one_line(&seen, 300), width.saturating_sub(4));
        lines.push(Line::from(Span::styled(format!("    {seen}"), paint.faint())));
    }
    if faults.is_empty() {
        lines.push(Line::from("nothing was injected yet"));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn words(state: &State, fault: &FaultRecord, paint: Paint) -> (String, Style, String) {
    if let Some((_, gone, evidence, by)) = &fault.reverted {
        let who = match by {
            Origin::Step => "reverted",
            Origin::Rollback => "rolled back",
            Origin::Expiry => "its time was up",
        };
        return match gone {
            true if struck_nothing(fault) => {
                (format!("{who}, struck nothing"), paint.doubtful(), evidence.clone())
            }
            true => (who.to_owned(), paint.good(), evidence.clone()),
            false => (format!("{who}, NOT GONE"), paint.bad(), evidence.clone()),
        };
    }
    let (word, style) = match (&fault.injected, fault.reverting_us) {
        (_, Some(_)) => ("reverting".to_owned(), paint.doubtful()),
        (None, None) => ("injecting".to_owned(), paint.doubtful()),
        (Some((_, false, _)), None) => ("NOT PROVEN".to_owned(), paint.bad()),
        (Some(_), None) if fault.lasting == Kind::Event => ("happened".to_owned(), paint.plain()),
        (Some(_), None) => match state.deadline(&fault.id) {
            Some(Some(at)) => {
                (format!("IN FORCE {} left", clock(at.saturating_sub(state.now_us))), paint.alarm())
            }
            _ => ("IN FORCE".to_owned(), paint.alarm()),
        },
    };
    let seen = fault.injected.as_ref().map_or(&fault.act, |(_, _, evidence)| evidence);
    let seen = fault.notes.iter().chain([seen]).map(String::as_str).collect::<Vec<_>>();
    (word, style, seen.join("; "))
}
