//! Subjects and their mounts.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Paint, fit, pane, shown};
use crate::{
    gameday::{
        offer::Place,
        state::{Focus, State},
    },
    runtime::{self, Health},
};

pub(super) fn draw(state: &State, paint: Paint, frame: &mut Frame<'_>, area: Rect) {
    let focused = state.focus == Focus::Places;
    let block = pane("Subjects", focused, paint);
    let inside = block.inner(area);
    let range = shown(state.places.len(), state.place, usize::from(inside.height));
    let lines: Vec<Line<'_>> = range
        .map(|index| {
            let place = &state.places[index];
            let mark = if index == state.place { "> " } else { "  " };
            let (text, style) = words(state, place, paint);
            let text = fit(&text, usize::from(inside.width).saturating_sub(2));
            Line::from(vec![Span::raw(mark), Span::styled(text, style)])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn words(state: &State, place: &Place, paint: Paint) -> (String, ratatui::style::Style) {
    let service = &place.service;
    if let Some(mount) = &place.mount {
        let volume = state.scenario.services.get(service).and_then(|it| it.mounts.get(mount));
        let name = volume.map_or("", |mount| mount.volume.as_str());
        let kind = state.scenario.volumes.get(name).map_or("", |volume| volume.name());
        return (format!("  {mount}  {name} ({kind})"), paint.plain());
    }
    match state.subjects.get(service) {
        None => (format!("{service}  …"), paint.faint()),
        Some((runtime::State::Running, health)) => match health {
            Health::None => (format!("{service}  running"), paint.good()),
            Health::Healthy => (format!("{service}  running, healthy"), paint.good()),
            Health::Starting => (format!("{service}  running, starting"), paint.doubtful()),
            Health::Unhealthy => (format!("{service}  running, UNHEALTHY"), paint.bad()),
        },
        Some((other, _)) => (format!("{service}  {}", word(*other)), paint.bad()),
    }
}

fn word(state: runtime::State) -> &'static str {
    match state {
        runtime::State::Created => "CREATED",
        runtime::State::Running => "running",
        runtime::State::Paused => "PAUSED",
        runtime::State::Restarting => "RESTARTING",
        runtime::State::Removing => "REMOVING",
        runtime::State::Exited => "EXITED",
        runtime::State::Dead => "DEAD",
    }
}
