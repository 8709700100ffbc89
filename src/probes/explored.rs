//! What `explore` came to, in words.

use super::{Sample, Unit};
use crate::protocol::{ExploreReport, KeptFile};

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The most states.
    pub states: u64,
    /// The filesystem's own check.
    pub fsck: bool,
    /// A second cut.
    pub second: bool,
}

impl Asked {
    /// Why what nothing was wrong with proves less than was asked for.
    fn missing(self, report: &ExploreReport) -> Option<String> {
        if report.wrong > 0 {
            return None;
        }
        let reasons = [
            (self.fsck && report.checked == 0, "no state came to the filesystem's own check"),
            (
                self.second && report.second == 0,
                "no state of a second cut was looked at: no recovery has written anything, or no time was \
                 left for it",
            ),
        ];
        reasons.into_iter().find(|(missing, _)| *missing).map(|(_, why)| why.to_owned())
    }
}

fn observed(report: &ExploreReport, most: u64) -> String {
    let forgotten = match report.forgotten {
        0 => String::new(),
        count => format!("; the disk remembers nothing of its first {count} events"),
    };
    let refused = match report.refused {
        0 => String::new(),
        count => format!(", {count} of them refused, as they are beyond what a disk may do"),
    };
    let second = match report.second {
        0 => String::new(),
        count => format!(", {count} more of a second cut"),
    };
    let checked = match report.checked {
        0 => String::new(),
        count => format!(", {count} filesystems checked"),
    };
    format!(
        "{} states of {} planned{}, {} of them alike{refused}{second}{checked}, at {} of {} moments ({} in every way), by {} \
         profiles; {} writes that a cut may lose, {} records acknowledged, {} different recoveries; \
         {} states a second by {}{forgotten}",
        report.states,
        report.planned,
        few(report, most),
        report.alike,
        report.points,
        report.all_points,
        report.exhaustive,
        report.profiles.len(),
        report.volatile,
        report.acknowledged,
        report.recovered,
        report.per_second(),
        workers(report.workers)
    )
}

fn workers(count: u64) -> String {
    format!("{count} worker{}", if count == 1 { "" } else { "s" })
}

/// Why there are fewer states than there might be.
fn few(report: &ExploreReport, most: u64) -> String {
    if report.planned == 0 || report.planned >= most {
        return String::new();
    }
    // of a moment with much that was volatile only some are drawn
    let which = if report.exhaustive == report.all_points { "all there are, " } else { "" };
    format!(
        " ({which}of {most} at most: a cut leaves what has reached the disk, and what is not synced is \
         in memory)"
    )
}

/// Where the first wrong state is now.
fn kept(report: &ExploreReport) -> String {
    let state = match &report.state {
        Some(KeptFile::Written { path }) => format!("; `keelhaul replay {path}` judges it again"),
        Some(KeptFile::Missing { why }) => format!("; it is not kept: {why}"),
        Some(KeptFile::Held { .. }) | None => String::new(),
    };
    match &report.log_writes {
        Some(KeptFile::Written { path }) => format!(
            "{state}; what came to it is in `{path}`, of which `keelhaul explore` looks at more"
        ),
        Some(KeptFile::Missing { why }) => format!("{state}; what came to it is not kept: {why}"),
        Some(KeptFile::Held { .. }) | None => state,
    }
}

/// What a report comes to.
#[must_use]
pub fn judge(report: &ExploreReport, asked: Asked) -> Sample {
    let most = asked.states;
    let observed = observed(report, most);
    let number = report.wrong as f64;
    if let Some(why) = report.vacuous().or_else(|| asked.missing(report)) {
        return Sample::proves_nothing(observed, why).number(number, Unit::WrongStates);
    }
    let observed = match &report.log_writes {
        Some(KeptFile::Written { path }) if report.wrong == 0 => match &report.state {
            Some(KeptFile::Missing { why }) => {
                format!(
                    "{observed}; its log is in `{path}`, and what was promised is not kept: {why}"
                )
            }
            _ => format!("{observed}; `keelhaul explore {path}` looks at more of them"),
        },
        Some(KeptFile::Missing { why }) if report.wrong == 0 => {
            format!("{observed}; its log is not kept: {why}")
        }
        _ => observed,
    };
    let violation = (report.wrong > 0).then(|| {
        let unmountable = match report.unmountable {
            0 => String::new(),
            count => format!(" ({count} cannot be mounted)"),
        };
        let first = report.first.as_ref().map(|first| format!("; {first}")).unwrap_or_default();
        format!(
            "{} of {} states break a promise{}{unmountable}{first}{}",
            report.wrong,
            report.states,
            few(report, most),
            kept(report)
        )
    });
    Sample::judged(observed, violation).number(number, Unit::WrongStates)
}
