//! The keys, explained, over everything else.

use ratatui::{
    Frame,
    layout::{Constraint, Flex, Layout, Rect},
    text::Line,
    widgets::{Block, Clear, Paragraph},
};

const HELP: [&str; 19] = [
    "Tab, Shift-Tab   subjects, their faults, the faults of this run",
    "up, down         choose; the blast radius is that of what is chosen",
    "/                find a fault by name",
    "i, Enter         type the chosen fault, then Enter: inject it",
    "                 beyond its volume it asks for y and Enter",
    "r                revert the chosen fault, or the last one",
    "Ctrl-X           STOP: revert everything, now, whatever is typed",
    "S, space space   the same, where no line is open",
    "n                a note, with its time, into the reports",
    "w                save what was done as a scenario",
    "q                roll back, verify, write the reports, leave",
    "Ctrl-C           the same at once, as an interrupted run",
    "",
    "Every fault has a time after which the keeper reverts it:",
    "`for: 60s` unless you type another. It does not need this",
    "terminal, and neither does the rollback: when it dies,",
    "everything is reverted and the reports are written.",
    "ok holds · NOT does not · ??? could not be read",
    "any key: back",
];

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect) {
    let height = u16::try_from(HELP.len() + 2).unwrap_or(area.height);
    let [row] = Layout::vertical([Constraint::Length(height)]).flex(Flex::Center).areas(area);
    let [middle] = Layout::horizontal([Constraint::Length(70)]).flex(Flex::Center).areas(row);
    frame.render_widget(Clear, middle);
    let lines: Vec<Line<'_>> = HELP.iter().map(|text| Line::from(*text)).collect();
    let block = Block::bordered().title(" Help ");
    frame.render_widget(Paragraph::new(lines).block(block), middle);
}
