//! What the probes read, as a table: the drawing's strokes, each with what was read last and the range
//! of its numbers, for paper and for those who have no pointer.

use maud::{Markup, html};

use super::{
    quantity::range,
    series::{Lane, Run},
};
use crate::{
    probes::Unit,
    report::text::{count, span},
    run::CaseRecord,
};

/// Every probe with its readings; those in a row that say the same are one line.
pub(super) fn readings(case: &CaseRecord, lanes: &[Lane]) -> Markup {
    html! {
        @if !lanes.is_empty() {
            details .readings {
                summary { "What the probes read: " (count(case.samples.len(), "reading")) " by " (count(lanes.len(), "probe")) }
                div .scroll { table {
                    thead { tr { th { "when" } th { "readings" } th { "says" } th { "number" } th { "observed last" } } }
                    @for lane in lanes { tbody {
                        tr { th colspan="5" scope="rowgroup" { span .id { (lane.id) } " " (lane.probe) } }
                        @for run in &lane.runs { (line(case, run, lane.unit)) }
                    } }
                } }
            }
        }
    }
}

fn line(case: &CaseRecord, run: &Run, unit: Option<Unit>) -> Markup {
    let after = |at_us: u64| span(at_us.saturating_sub(case.started_us));
    let numbers = run.numbers.map(|(least, most)| range(least, most, unit));
    html! {
        tr {
            td .when { "+" (after(run.from_us)) @if run.readings > 1 { " to +" (after(run.until_us)) } }
            td { (run.readings) }
            td { span .(run.says.class()) { (run.said()) } }
            td { (numbers.unwrap_or_default()) }
            td { (run.observed) }
        }
    }
}
