//! The lower part: what the chosen fault touches, the log, and what keys do just now.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use super::{Paint, fit};
use crate::{
    faults::Scope,
    gameday::{
        call::Call,
        line,
        script::clock,
        state::{Focus, Mode, State},
    },
    plan::text::blast_radius as touches,
};

const KEYS: &str =
    "Tab lists  / find  i inject  r revert  S STOP  n note  w save as  ? help  q quit";

/// What the chosen fault may touch: before it is injected, and while it is in force.
pub(super) fn blast_radius(state: &State, paint: Paint, frame: &mut Frame<'_>, area: Rect) {
    let width = usize::from(area.width);
    let (reach, does) = match (state.focus, state.chosen_fault(), state.chosen_offer()) {
        (Focus::Faults, Some(fault), _) => {
            let call = state.calls.get(&fault.id);
            let touches = call.map(|call| touches(&call.fault, &state.scenario));
            let touches = touches.unwrap_or_else(|| fault.target.clone());
            (format!("{}: {touches}", scope(fault.scope)), fault.act.clone())
        }
        (_, _, Some(offer)) => match &offer.why_not {
            Some(why) => {
                (format!("{}: {}", scope(offer.scope), offer.touches), format!("not here: {why}"))
            }
            None => (format!("{}: {}", scope(offer.scope), offer.touches), offer.act.clone()),
        },
        _ => ("nothing is chosen".to_owned(), String::new()),
    };
    let lines = vec![
        Line::from(vec![
            Span::styled("Blast radius ", paint.strong()),
            Span::raw(fit(&state.redacted(&reach), width.saturating_sub(13))),
        ]),
        Line::from(Span::raw(fit(&state.redacted(&does), width))),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Container => "container",
        Scope::Volume => "volume",
        Scope::Superblock => "every user of the filesystem",
        Scope::Host => "THE HOST",
    }
}

/// The newest events.
pub(super) fn log(state: &State, paint: Paint, frame: &mut Frame<'_>, area: Rect) {
    let block = Block::new().borders(Borders::TOP).title(" Log ").border_style(paint.faint());
    let inside = block.inner(area);
    let (height, width) = (usize::from(inside.height), usize::from(inside.width));
    let first = state.log.len().saturating_sub(height);
    let lines: Vec<Line<'_>> = state
        .log
        .iter()
        .skip(first)
        .map(|(at, text)| Line::from(fit(&format!("{} {text}", clock(*at)), width)))
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// What is to be read at once, and what keys do.
pub(super) fn keys(state: &State, paint: Paint, frame: &mut Frame<'_>, area: Rect) {
    let said = match &state.said {
        Some(Ok(text)) => Some((text.clone(), paint.strong())),
        Some(Err(text)) => Some((text.clone(), paint.bad())),
        None => None,
    };
    let told = |text: &str| (text.to_owned(), paint.strong());
    let (above, below) = match (&state.ending, &state.mode) {
        (Some(why), _) => (told(why), Line::from("please wait: the reports are being written")),
        (None, Mode::Form(_)) => {
            let hint = told("Enter: inject   Esc: back   Ctrl-U: clear   `for:` is its time");
            (said.unwrap_or(hint), Line::default())
        }
        (None, Mode::Find(_)) => {
            (told("a fault by name: Enter: type it   Esc: back"), Line::default())
        }
        (None, Mode::Note(_)) => (told("note, with its time: Enter   Esc: back"), Line::default()),
        (None, Mode::Save(_)) => {
            let hint = told("save as a scenario: Enter   Esc: back");
            (said.unwrap_or(hint), Line::default())
        }
        (None, Mode::Confirm(call, sure)) => confirm(state, call, *sure, paint),
        (None, Mode::Quit) => {
            let text = format!("{} in force: leaving reverts everything", state.in_force.len());
            ((text, paint.alarm()), Line::from("y: leave   any other key: stay"))
        }
        (None, Mode::Watch | Mode::Help) => (said.unwrap_or_default(), Line::from(KEYS)),
    };
    let width = usize::from(area.width);
    let above = Line::from(Span::styled(fit(&state.redacted(&above.0), width), above.1));
    frame.render_widget(Paragraph::new(vec![above, below]), area);
    if let Mode::Form(line) | Mode::Find(line) | Mode::Note(line) | Mode::Save(line) = &state.mode {
        let row = Rect { y: area.y + 1, height: 1, ..area };
        typed(line, frame, row);
    }
}

fn confirm(
    state: &State,
    call: &Call,
    sure: bool,
    paint: Paint,
) -> ((String, Style), Line<'static>) {
    let touched = touches(&call.fault, &state.scenario);
    let text = format!("{} reaches beyond its volume: {touched}", call.fault.name());
    let keys = if sure {
        "Enter: inject   any other key: back"
    } else {
        "y, then Enter: inject   any other key: back"
    };
    ((text, paint.alarm()), Line::from(keys))
}

/// The line that is typed, moved so that its cursor is seen.
fn typed(line: &line::Line, frame: &mut Frame<'_>, row: Rect) {
    let room = usize::from(row.width).saturating_sub(3);
    let skip = line.cursor().saturating_sub(room);
    let text: String = line.text().chars().skip(skip).take(room + 1).collect();
    frame.render_widget(Paragraph::new(format!("> {text}")), row);
    let column = u16::try_from(line.cursor() - skip).unwrap_or_default();
    frame.set_cursor_position(Position::new(row.x + 2 + column, row.y));
}
