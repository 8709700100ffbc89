//! The screen as a picture of the state. Pure.
//!
//! Every meaning is in words; colour only repeats it. What containers print never reaches the screen
//! as it is.

mod cells;
mod faults;
mod foot;
mod head;
mod help;
mod offers;
mod paint;
mod places;
mod probes;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::Line,
    widgets::{Block, Paragraph},
};

use super::state::{Mode, SMALLEST, State};
use paint::Paint;

/// Lines of what is to be read whole. On the smallest screen the log leaves room for three and two.
const LONGEST: usize = 3;

/// Draws all of it.
pub fn draw(state: &State, frame: &mut Frame<'_>) {
    let paint = Paint { colour: state.colour };
    let area = frame.area();
    // a terminal that has just been resized is drawn on before anybody says so
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return too_small(state, frame, area);
    }
    let more = area.height - SMALLEST.1;
    let width = usize::from(area.width);
    let says = foot::says(state, paint, width);
    let touches = foot::blast_radius(state, paint, width, LONGEST + 2 - says.len().max(2));
    let length = |lines: usize| Constraint::Length(u16::try_from(lines).unwrap_or_default());
    let rows = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(7 + more / 4),
        Constraint::Length(7 + more / 2),
        length(touches.len()),
        Constraint::Min(0),
        length(says.len() + foot::height(state, width)),
    ])
    .split(area);
    head::draw(state, paint, frame, rows[0]);
    let [left, right] = halves(rows[1]);
    places::draw(state, paint, frame, left);
    probes::draw(state, paint, frame, right);
    let [left, right] = halves(rows[2]);
    offers::draw(state, paint, frame, left);
    faults::draw(state, paint, frame, right);
    frame.render_widget(Paragraph::new(touches), rows[3]);
    foot::log(state, paint, frame, rows[4]);
    foot::keys(state, says, frame, rows[5]);
    if state.mode == Mode::Help {
        help::draw(frame, area);
    }
}

fn halves(row: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Percentage(38), Constraint::Min(0)]).areas(row)
}

/// Says so, and what goes on behind it.
fn too_small(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let (columns, rows) = SMALLEST;
    let lines = vec![
        Line::from(format!("{}x{} is too small", area.width, area.height)),
        Line::from(format!("make it {columns}x{rows} or larger")),
        Line::from(format!("IN FORCE: {}", state.in_force.len())),
        Line::from("the run goes on; Ctrl-X or S: STOP"),
        Line::from("Ctrl-C: roll back and leave"),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

/// A frame with a title; what is in focus has a mark before it.
fn pane(title: &str, focused: bool, paint: Paint) -> Block<'static> {
    let title = if focused { format!("» {title}") } else { title.to_owned() };
    let style = if focused { paint.strong() } else { paint.plain() };
    Block::bordered().title(format!(" {title} ")).border_style(style)
}

/// The part of a list that is shown, so that the chosen line is among it.
fn shown(length: usize, chosen: usize, height: usize) -> std::ops::Range<usize> {
    let start = (chosen + 1).saturating_sub(height).min(length.saturating_sub(height));
    start..length.min(start + height)
}

/// A text in lines, cut between words, or within one that is longer than a line. What does not fit into
/// so many is cut off, with a sign that it was.
fn wrap(text: &str, columns: usize, most: usize) -> Vec<String> {
    let (mut lines, mut rest) = (Vec::new(), text.trim());
    while lines.len() + 1 < most && cells::width(rest) > columns {
        let end = cells::split_some(rest, columns).0.len();
        let space = rest[..end].rfind(' ').filter(|_| !rest[end..].starts_with(' '));
        let (line, more) = rest.split_at(space.unwrap_or(end));
        lines.push(line.trim_end().to_owned());
        rest = more.trim_start();
    }
    lines.push(fit(rest, columns));
    lines
}

/// A text cut to columns, with a sign that it was.
fn fit(text: &str, columns: usize) -> String {
    if cells::width(text) <= columns {
        return text.to_owned();
    }
    let (cut, _) = cells::split(text, columns.saturating_sub(1));
    format!("{cut}…")
}

/// The same, filled up to its columns.
fn column(text: &str, columns: usize) -> String {
    let text = fit(text, columns);
    let room = columns.saturating_sub(cells::width(&text));
    text + &" ".repeat(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_words_and_no_more_than_fits_is_shown() {
        assert_eq!(wrap("", 5, 3), [""]);
        assert_eq!(wrap("one two three", 7, 3), ["one two", "three"]);
        assert_eq!(wrap("one twoo three", 7, 3), ["one", "twoo", "three"]);
        assert_eq!(wrap("onetwothree", 7, 3), ["onetwot", "hree"]);
        assert_eq!(wrap("one two three four", 5, 2), ["one", "two …"]);
        assert_eq!(wrap("日本語 日本語日本", 7, 3), ["日本語", "日本語", "日本"]);
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(column("日本語", 4), "日… ");
    }
}
