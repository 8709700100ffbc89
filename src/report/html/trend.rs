//! Recovery times over the last runs: a small drawing of each, and how this run stands beside them.

use maud::{Markup, html};

use super::scale::round;
use crate::{
    report::text::{LINE, count, one_line, span},
    run::{CaseRecord, Earlier, RecoveryRecord, percentile},
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
pub(crate) type Value = (String, Option<u64>);

/// The drawings of a case; nothing where no earlier run has measured the same.
pub(super) fn sparks(case: &CaseRecord) -> Markup {
    html! { @for (now, earlier) in measured(case) { (drawn(now, earlier)) } }
}

/// How this run stands beside the earlier ones, recovery by recovery.
pub(super) fn trends(case: &CaseRecord) -> Markup {
    let all: Vec<_> = measured(case).collect();
    html! {
        @if !all.is_empty() {
            h3 { "Recovery times over the last runs" }
            div .scroll { table {
                thead { tr {
                    th { "recovery" } th { "this run" } th { "earlier runs" } th { "half of them within" }
                    th { "95 of 100 within" } th { "against half of them" } th { "oldest to this run" }
                } }
                tbody { @for (now, earlier) in all { (beside(now, earlier)) } }
            } }
        }
    }
}

fn beside(now: &RecoveryRecord, earlier: &[Earlier]) -> Markup {
    let came: Vec<u64> = earlier.iter().filter_map(|one| one.recovery_us).collect();
    let (p50, p95) = (percentile(&came, 50), percentile(&came, 95));
    let time = |micros: Option<u64>| micros.map_or_else(|| "never".to_owned(), span);
    let never = earlier.len() - came.len();
    let change = now.recovery_us.zip(p50).map(|(now, before)| change(before, now));
    html! {
        tr {
            td { span .id { (one_line(&now.assertion, 100)) } }
            td { (time(now.recovery_us)) @if let Some(limit) = now.objective_us { " of " (span(limit)) } }
            td { (earlier.len()) @if never > 0 { ", never in " (never) } }
            td { (time(p50)) }
            td { (time(p95)) }
            td { @if let Some(percent) = change { (percent) } }
            td { (drawn(now, earlier)) }
        }
    }
}

/// A difference below this is the clock's, whatever it is in percent, in microseconds.
pub(crate) const NOISE_US: u64 = 20_000;

/// `+120 %`; above zero is slower.
fn change(before: u64, now: u64) -> String {
    if before.abs_diff(now) < NOISE_US {
        return format!("within {}", span(NOISE_US));
    }
    let percent = (now as f64 - before as f64) / before.max(1) as f64 * 100.0;
    format!("{percent:+.0} %")
}

/// Recoveries that earlier runs have measured too.
fn measured(case: &CaseRecord) -> impl Iterator<Item = (&RecoveryRecord, &[Earlier])> {
    case.remembered.iter().take(SERIES).filter_map(|(assertion, earlier)| {
        let now = case.recoveries.iter().rev().find(|one| one.assertion == *assertion)?;
        let skip = earlier.len().saturating_sub(RUNS - 1);
        Some((now, &earlier[skip..])).filter(|(_, earlier)| !earlier.is_empty())
    })
}

fn drawn(now: &RecoveryRecord, earlier: &[Earlier]) -> Markup {
    let named = |one: &Earlier| (format!("{} ({})", one.run, one.started), one.recovery_us);
    let mut values: Vec<Value> = earlier.iter().map(named).collect();
    values.push(("this run".into(), now.recovery_us));
    let label = format!("{}: {}, this one the last", now.assertion, count(values.len(), "run"));
    drawing(&label, &values, now.objective_us)
}

/// Values in the order of time, at least two, with what is allowed.
pub(crate) fn drawing(label: &str, values: &[Value], limit: Option<u64>) -> Markup {
    let longest = values.iter().filter_map(|(_, time)| *time).max().unwrap_or(0);
    // a limit far above would make every line flat
    let limit = limit.filter(|limit| *limit <= longest.saturating_mul(3));
    let top = longest.max(limit.unwrap_or(0)).max(1);
    let last = values.len().saturating_sub(1).max(1);
    let x = |at: usize| EDGE + at as f64 / last as f64 * (WIDTH - 2.0 * EDGE);
    let y = |time: u64| HEIGHT - EDGE - time as f64 / top as f64 * (HEIGHT - 2.0 * EDGE);
    let line: Vec<String> = values
        .iter()
        .enumerate()
        .filter_map(|(at, (_, time))| Some(format!("{},{}", round(x(at)), round(y((*time)?)))))
        .collect();
    html! {
        svg .spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(one_line(label, LINE)) {
            title { (one_line(label, LINE)) }
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

#[cfg(test)]
mod tests {
    use super::change;

    #[test]
    fn what_the_clock_may_have_done_is_no_change() {
        assert_eq!(change(10, 14), "within 20ms", "40 % of nothing");
        assert_eq!(change(100_000, 140_000), "+40 %");
        assert_eq!(change(140_000, 70_000), "-50 %");
    }
}
