//! Colour, or none. Whether there is any is the caller's decision.

use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::verdict::Verdict;

/// How text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// With colours. The caller honours `NO_COLOR` and whether it is a terminal.
    pub colour: bool,
    /// Nothing but failures and the totals.
    pub quiet: bool,
}

impl Look {
    /// A text in a style, or plain.
    pub(super) fn paint(self, style: Style, text: impl fmt::Display) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_string() }
    }

    /// A word in the colour of a verdict, aligned to the right of the first column.
    pub(super) fn word(self, verdict: Verdict, word: &str) -> String {
        let colour = match verdict {
            Verdict::Pass => AnsiColor::Green,
            Verdict::Fail | Verdict::Error => AnsiColor::Red,
            Verdict::Inconclusive | Verdict::Skipped => AnsiColor::Yellow,
        };
        self.paint(colour.on_default().bold(), format!("{word:>12}"))
    }

    /// A text that matters.
    pub(super) fn bold(self, text: impl fmt::Display) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// A text that matters less.
    pub(super) fn dim(self, text: impl fmt::Display) -> String {
        self.paint(Style::new().dimmed(), text)
    }
}
