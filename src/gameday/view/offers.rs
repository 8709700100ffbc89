//! The catalogue at the chosen place.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Paint, fit, pane, shown};
use crate::gameday::state::{Focus, State};

pub(super) fn draw(state: &State, paint: Paint, frame: &mut Frame<'_>, area: Rect) {
    let title = match state.places.get(state.place) {
        Some(place) => match &place.mount {
            Some(mount) => format!("Faults for {}:{mount}", place.service),
            None => format!("Faults for {}", place.service),
        },
        None => "Faults".to_owned(),
    };
    let block = pane(&title, state.focus == Focus::Offers, paint);
    let inside = block.inner(area);
    let offers = state.offers_here();
    let range = shown(offers.len(), state.offer, usize::from(inside.height));
    let mut lines: Vec<Line<'_>> = range
        .map(|index| {
            let offer = &offers[index];
            let mark = if index == state.offer { "> " } else { "  " };
            let (text, style) = match &offer.why_not {
                None => (offer.name.to_owned(), paint.plain()),
                Some(why) => {
                    let why = state.redacted(why);
                    (format!("{} – not here: {why}", offer.name), paint.faint())
                }
            };
            let text = fit(&text, usize::from(inside.width).saturating_sub(2));
            Line::from(vec![Span::raw(mark), Span::styled(text, style)])
        })
        .collect();
    if offers.is_empty() {
        lines.push(Line::from("once the subjects are up"));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
