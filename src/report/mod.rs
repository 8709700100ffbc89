//! Reports: one file per format, each a pure function of the run record.
//!
//! The terminal also follows events as they come; nothing here has a clock or asks the engine.
//!
//! ```
//! use keelhaul::{report::html, run::RunRecord, verdict::Verdict};
//!
//! let events = std::fs::File::open("reports/sample/events.jsonl")?;
//! let record = RunRecord::read(std::io::BufReader::new(events));
//! assert_eq!(record.verdict(), Verdict::Pass);
//! let mut page = Vec::new();
//! html::write(&record, &mut page)?;
//! assert!(String::from_utf8(page)?.contains("readonly-log-dir"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod detail;
mod exit;
pub mod html;
pub mod json;
pub mod junit;
mod logs;
pub mod markdown;
pub mod openmetrics;
pub(crate) mod points;
mod suites;
pub mod terminal;
pub(crate) mod text;
pub(crate) mod totals;
mod trouble;
mod write;

pub(crate) use exit::exit_code;
pub use logs::write_logs;
pub(crate) use suites::{Case, cases, outcomes};
pub(crate) use trouble::{never_started, run_trouble};
pub use write::{ReportError, render, render_all};

/// What a run can be shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
    /// For CI.
    Junit,
    /// For a CI job's page.
    Markdown,
    /// For people who want to see what happened.
    Html,
    /// For dashboards.
    Openmetrics,
}

/// A row for each format: its name, what it is, its file under the run's directory.
const TABLE: [(Format, &str, &str, Option<&str>); 6] = [
    (Format::Human, "human", "a screen for people", None),
    (
        Format::Json,
        "json",
        "events as lines while it runs, one document in a file",
        Some("report.json"),
    ),
    (Format::Junit, "junit", "JUnit XML for CI", Some("junit.xml")),
    (Format::Markdown, "markdown", "a page for a CI job's summary", Some("summary.md")),
    (Format::Html, "html", "a page with a timeline of every case", Some("report.html")),
    (
        Format::Openmetrics,
        "openmetrics",
        "numbers for a push gateway or a collector of text files",
        Some("metrics.prom"),
    ),
];

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] =
        [Self::Human, Self::Json, Self::Junit, Self::Markdown, Self::Html, Self::Openmetrics];

    fn row(self) -> &'static (Self, &'static str, &'static str, Option<&'static str>) {
        &TABLE[self as usize]
    }

    /// The word on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn doc(self) -> &'static str {
        self.row().2
    }

    /// Its file under the run's directory; none when it has none.
    #[must_use]
    pub fn file(self) -> Option<&'static str> {
        self.row().3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        assert!(Format::ALL.iter().zip(TABLE).all(|(format, row)| *format == row.0));
        assert!(Format::ALL.iter().all(|format| format.row().0 == *format));
    }
}
