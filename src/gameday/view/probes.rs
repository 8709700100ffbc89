//! The steady state, probe by probe: whether it holds, what was read last, and how it went.

use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{Paint, column, fit, pane};
use crate::{gameday::state::State, report::text::one_line, run::SamplePoint};

/// Readings in a line.
const HISTORY: usize = 16;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn draw(state: &State, paint: Paint, frame: &mut Frame<'_>, area: Rect) {
    let block = pane("Steady state", false, paint);
    let inside = block.inner(area);
    let probes = &state.probes;
    let two = probes.len() * 2 <= usize::from(inside.height);
    let mut lines = Vec::new();
    for probe in probes.iter().take(usize::from(inside.height)) {
        lines.extend(of(state, probe, two, usize::from(inside.width), paint));
    }
    if probes.is_empty() {
        lines.push(Line::from("no probe: the scenario has no `steady_state`"));
    }
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn of(state: &State, probe: &str, two: bool, width: usize, paint: Paint) -> Vec<Line<'static>> {
    let samples = state.case().map(|case| case.samples.as_slice()).unwrap_or_default();
    let mut last: Vec<&SamplePoint> =
        samples.iter().rev().filter(|sample| sample.probe == probe).take(HISTORY).collect();
    last.reverse();
    let (mark, style, seen) = match last.last().map(|sample| &sample.result) {
        None => (" … ", paint.faint(), String::new()),
        Some(Err(why)) => ("???", paint.doubtful(), why.clone()),
        Some(Ok(sample)) => match &sample.violation {
            None => ("ok ", paint.good(), sample.observed.clone()),
            Some(why) => ("NOT", paint.bad(), why.clone()),
        },
    };
    let room = width.saturating_sub(4 + HISTORY + 1);
    let first = Line::from(vec![
        Span::styled(format!("{mark} "), style),
        Span::raw(column(probe, room) + " "),
        Span::raw(spark(&last)),
    ]);
    let second = Line::from(Span::styled(
        format!("    {}", fit(&one_line(&seen, 300), width.saturating_sub(4))),
        paint.faint(),
    ));
    if two { vec![first, second] } else { vec![first] }
}

/// Numbers as bars; without numbers, high for what held. A dot is a reading that was not had.
fn spark(samples: &[&SamplePoint]) -> String {
    let number = |sample: &&SamplePoint| sample.result.as_ref().ok().and_then(|it| it.number);
    let most = samples.iter().filter_map(number).fold(0.0, f64::max);
    let bar = |sample: &&SamplePoint| match (&sample.result, number(sample)) {
        (Err(_), _) => '·',
        (Ok(_), Some(value)) if most > 0.0 => BARS[level(value / most)],
        (Ok(_), Some(_)) => BARS[0],
        (Ok(sample), None) => BARS[if sample.holds() { 6 } else { 0 }],
    };
    samples.iter().map(bar).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the share is clamped to 0..=7")]
fn level(share: f64) -> usize {
    (share * 7.0).round().clamp(0.0, 7.0) as usize
}
