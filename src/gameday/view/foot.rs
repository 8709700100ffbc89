//! The lower part: what the chosen fault touches, the log, and what keys do just now.

use ratatui::{
    Frame,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use super::{LONGEST, Paint, cells, fit, wrap};
use crate::{
    faults::Scope,
    gameday::{
        line,
        offer::HOLE,
        script::clock,
        state::{Focus, Mode, State},
    },
    plan::text::blast_radius as touches,
};

const KEYS: &str =
    "Tab lists  / find  i inject  r revert  S STOP  n note  w save as  ? help  q quit";

/// What the chosen fault may touch: before it is injected, and while it is in force.
pub(super) fn blast_radius(
    state: &State,
    paint: Paint,
    width: usize,
    most: usize,
) -> Vec<Line<'static>> {
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
    let first = Line::from(vec![
        Span::styled("Blast radius ", paint.strong()),
        Span::raw(fit(&state.redacted(&reach), width.saturating_sub(13))),
    ]);
    let more = wrap(&state.redacted(&does), width, most).into_iter().map(Line::from);
    std::iter::once(first).chain(more).collect()
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
    let mut lines: Vec<Line<'_>> = Vec::new();
    for logged in state.log.iter().rev().take(height) {
        let text = format!("{} {}", clock(logged.at_us), logged.text);
        // what somebody typed is not cut
        let rows = if logged.noted { height.max(1) } else { 1 };
        lines.extend(wrap(&text, width, rows).into_iter().rev().map(Line::from));
    }
    lines.truncate(height);
    lines.reverse();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// What is to be read at once.
pub(super) fn says(state: &State, paint: Paint, width: usize) -> Vec<Line<'static>> {
    let (text, style) = above(state, paint);
    let lines = wrap(&state.redacted(&text), width, LONGEST).into_iter();
    lines.map(|line| Line::from(Span::styled(line, style))).collect()
}

fn above(state: &State, paint: Paint) -> (String, Style) {
    let said = match &state.said {
        Some(Ok(text)) => Some((text.clone(), paint.strong())),
        Some(Err(text)) => Some((text.clone(), paint.bad())),
        None => None,
    };
    let hint = match (&state.ending, &state.mode) {
        (Some(why), _) => return (why.clone(), paint.strong()),
        (None, Mode::Confirm(call, _)) => {
            let (name, touched) = (call.fault.name(), touches(&call.fault, &state.scenario));
            return (format!("{name} reaches beyond its volume: {touched}"), paint.alarm());
        }
        (None, Mode::Quit) => {
            let number = state.in_force.len();
            return (format!("{number} in force: leaving reverts everything"), paint.alarm());
        }
        (None, Mode::Form(line)) if line.text().contains(HOLE) => {
            "type the file, in place of `<file>`   Enter: inject   Esc: back"
        }
        (None, Mode::Form(_)) => "Enter: inject   Esc: back   Ctrl-U: clear   `for:` is its time",
        (None, Mode::Find(..)) => "a fault by name: Enter: open it   Esc: back",
        (None, Mode::Note(_)) => "note, with its time: Enter   Esc: back",
        (None, Mode::Save(_)) => "save as a scenario: Enter   Esc: back",
        (None, Mode::Watch | Mode::Help) => "",
    };
    said.unwrap_or((hint.to_owned(), paint.strong()))
}

/// Rows of a line that is typed. On the smallest screen the log makes way for the second and third.
const TYPED: usize = 3;
/// What stands before what is typed.
const PROMPT: usize = 2;

/// Rows that the keys, or the line that is typed, take at this width.
pub(super) fn height(state: &State, width: usize) -> usize {
    let rows = |line: &line::Line| cells::rows(&line.text(), room(width)).len();
    state.mode.typed().map_or(1, |line| rows(line).min(TYPED))
}

fn room(width: usize) -> usize {
    width.saturating_sub(PROMPT).max(1)
}

/// What keys do just now, under what is to be read.
pub(super) fn keys(state: &State, says: Vec<Line<'_>>, frame: &mut Frame<'_>, area: Rect) {
    let below = match (&state.ending, &state.mode) {
        (Some(_), _) => "please wait: the reports are being written",
        (None, Mode::Confirm(_, true)) => "Enter: inject   any other key: back",
        (None, Mode::Confirm(_, false)) => "y, then Enter: inject   any other key: back",
        (None, Mode::Quit) => "y: leave   any other key: stay",
        (None, Mode::Watch | Mode::Help) => KEYS,
        (None, Mode::Form(_) | Mode::Find(..) | Mode::Note(_) | Mode::Save(_)) => "",
    };
    let mut lines = says;
    lines.push(Line::from(below));
    frame.render_widget(Paragraph::new(lines), area);
    if let Some(line) = state.mode.typed().filter(|_| state.ending.is_none()) {
        let height = u16::try_from(height(state, usize::from(area.width))).unwrap_or(1);
        let y = area.bottom().saturating_sub(height);
        typed(line, frame, Rect { y, height, ..area });
    }
}

/// The line that is typed, over as many rows as there are; of more than those, the one with the cursor
/// and those before it.
fn typed(line: &line::Line, frame: &mut Frame<'_>, area: Rect) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    let text = line.text();
    let rows = cells::rows(&text, room(width));
    let (row, column) = cells::cursor(&rows, line.cursor());
    let skip = (row + 1).saturating_sub(height);
    let shown = rows.iter().enumerate().skip(skip).take(height).map(|(index, row)| {
        let mark = match (index, index == skip) {
            (0, _) => "> ",
            (_, true) => "… ",
            _ => "  ",
        };
        Line::from(format!("{mark}{row}"))
    });
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), area);
    let place = |cells: usize| u16::try_from(cells).unwrap_or_default();
    frame.set_cursor_position(Position::new(
        area.x + place(PROMPT + column),
        area.y + place(row - skip),
    ));
}
