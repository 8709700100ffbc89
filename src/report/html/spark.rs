//! A small drawing of the recovery times of the last runs, this one the last.

use maud::{Markup, html};

use super::scale::round;
use crate::{
    report::text::{LINE, one_line, span},
    run::{CaseRecord, Earlier},
};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 24.0;
/// Room for the stroke and the dots.
const EDGE: f64 = 3.0;
/// Runs in a drawing, and drawings of a case.
const RUNS: usize = 20;
/// See [`RUNS`].
const SERIES: usize = 8;

/// A measured recovery: what it is called, and the time; none when it never came.
type Value = (String, Option<u64>);

/// The drawings of a case; nothing where no earlier run has measured the same.
pub(super) fn sparks(case: &CaseRecord) -> Markup {
    html! {
        @for (assertion, earlier) in case.remembered.iter().take(SERIES) {
            @if let Some(values) = values(case, assertion, earlier) {
                (drawing(assertion, &values, limit(case, assertion)))
            }
        }
    }
}

fn values(case: &CaseRecord, assertion: &str, earlier: &[Earlier]) -> Option<Vec<Value>> {
    let now = case.recoveries.iter().rev().find(|one| one.assertion == assertion)?;
    let skip = earlier.len().saturating_sub(RUNS - 1);
    let mut values: Vec<Value> = earlier
        .iter()
        .skip(skip)
        .map(|one| (format!("{} ({})", one.run, one.started), one.recovery_us))
        .collect();
    values.push(("this run".into(), now.recovery_us));
    (values.len() > 1).then_some(values)
}

fn limit(case: &CaseRecord, assertion: &str) -> Option<u64> {
    case.recoveries.iter().rev().find(|one| one.assertion == assertion)?.objective_us
}

fn drawing(assertion: &str, values: &[Value], limit: Option<u64>) -> Markup {
    let longest = values.iter().filter_map(|(_, time)| *time).max().unwrap_or(0);
    // a limit far above would make every line flat
    let limit = limit.filter(|limit| *limit <= longest.saturating_mul(3));
    let top = longest.max(limit.unwrap_or(0)).max(1);
    let x = |at: usize| EDGE + at as f64 / (values.len() - 1) as f64 * (WIDTH - 2.0 * EDGE);
    let y = |time: u64| HEIGHT - EDGE - time as f64 / top as f64 * (HEIGHT - 2.0 * EDGE);
    let line: Vec<String> = values
        .iter()
        .enumerate()
        .filter_map(|(at, (_, time))| Some(format!("{},{}", round(x(at)), round(y((*time)?)))))
        .collect();
    let label = format!("{assertion}: {} runs, this one the last", values.len());
    html! {
        svg .spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(one_line(&label, LINE)) {
            title { (one_line(&label, LINE)) }
            @if let Some(limit) = limit {
                line .objective x1="0" x2=(WIDTH) y1=(round(y(limit))) y2=(round(y(limit))) {}
            }
            polyline .trend points=(line.join(" ")) {}
            @for (at, (name, time)) in values.iter().enumerate() {
                @let said = format!("{name}: {}", time.map_or_else(|| "never".into(), span));
                circle .never[time.is_none()] .came[time.is_some()] cx=(round(x(at))) cy=(round(time.map_or(EDGE, y))) r="2" {
                    title { (one_line(&said, LINE)) }
                }
            }
        }
    }
}
