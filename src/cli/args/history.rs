//! `history` and its verbs.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::units::Duration;

const EXAMPLES: &str = "\
Examples:
  keelhaul history                               every run so far, scenario by scenario
  keelhaul history --scenario disk-full --last 20
  keelhaul history --since 7d --format json
  keelhaul history --format html >history.html   the same as a page, with the trends drawn
  keelhaul history compare k7f3a9 latest         what changed between two runs
  keelhaul history add artifacts/k7f3a9          a run of another machine

The history is `history.sqlite` in the directory of the reports. It keeps the newest 2,000 runs and \
100,000 cases. `run --no-history` leaves a run out.";

/// `history`
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct HistoryArgs {
    #[command(subcommand)]
    pub(in crate::cli) verb: Option<HistoryVerb>,

    #[command(flatten)]
    pub(in crate::cli) show: HistoryShow,

    /// Directory of the reports.
    #[arg(long, global = true, default_value = "reports", value_name = "DIR")]
    pub(in crate::cli) out: PathBuf,

    /// What goes to stdout.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(in crate::cli) format: HistoryFormat,
}

/// Which runs are shown, and how.
#[derive(Debug, Args)]
pub(in crate::cli) struct HistoryShow {
    /// Only this scenario.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) scenario: Option<String>,

    /// Only the newest N runs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) last: Option<u32>,

    /// Only runs since a day or time (`2026-11-02`, `2026-11-02T08:00:00Z`; days are UTC) or this far back (`7d`, `12h`).
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub(in crate::cli) since: Option<Since>,

    /// A trend is the last N runs against the N before; fewer where there are not so many.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..))]
    pub(in crate::cli) trend: u16,
}

/// What is done with the history.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HistoryVerb {
    /// Add recorded runs, each once.
    Add(HistoryAdd),
    /// Set two runs side by side.
    Compare(HistoryCompare),
}

/// `history add`
#[derive(Debug, Args)]
pub(in crate::cli) struct HistoryAdd {
    /// Directories of runs, or their ids under `--out`.
    #[arg(required = true, value_name = "RUN")]
    pub(in crate::cli) runs: Vec<String>,
}

/// `history compare`
#[derive(Debug, Args)]
pub(in crate::cli) struct HistoryCompare {
    /// The earlier run: its id, the beginning of it, or `latest`.
    #[arg(value_name = "A")]
    pub(in crate::cli) first: String,

    /// The later run.
    #[arg(value_name = "B")]
    pub(in crate::cli) second: String,

    /// Recovery times count that changed by more than this many percent, and 20 ms.
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(..=10_000))]
    pub(in crate::cli) more_than: u16,
}

/// Formats of the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum HistoryFormat {
    /// For a terminal.
    #[default]
    Human,
    /// One object.
    Json,
    /// A page that needs no network.
    Html,
}

/// From when on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Since {
    /// A point in time, in microseconds since 1970 UTC.
    At(i64),
    /// So far back from now.
    Back(Duration),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Since::At(at.as_microsecond()));
    }
    let day = text.parse::<jiff::civil::Date>().ok();
    let day = day.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    if let Some(day) = day {
        return Ok(Since::At(day.timestamp().as_microsecond()));
    }
    text.parse().map(Since::Back).map_err(|_| {
        "neither a time nor a span\n\nhint: write `2026-11-02`, `2026-11-02T08:00:00Z` or `7d`"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_a_time_and_a_span_are_told_apart() {
        let day = since("1970-01-02").unwrap();
        assert_eq!(day, Since::At(86_400_000_000));
        assert_eq!(since("1970-01-02T01:00:00+01:00").unwrap(), day);
        assert_eq!(since("2h").unwrap(), Since::Back(Duration::from_secs(7200)));
        assert!(since("yesterday").unwrap_err().contains("hint: write `2026-11-02`"));
    }
}
