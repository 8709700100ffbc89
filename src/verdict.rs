//! What a run, a case or an assertion came to, and the exit code that says so.
//!
//! Pure data: no clock, no I/O.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The judgement of an assertion, a case or a run.
///
/// Ordered by weight: merging keeps the heaviest.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    Default,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// What was promised was seen.
    #[default]
    Pass,
    /// This host lacks a capability; nothing was tried.
    Skipped,
    /// Nothing was proven: an effect could not be verified, a control did not fail, load was too low.
    Inconclusive,
    /// The harness could not do its work.
    Error,
    /// The hypothesis broke.
    Fail,
}

impl Verdict {
    /// The heavier of two verdicts: fail > error > inconclusive > skipped > pass.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }

    /// The word used in every report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skipped => "skipped",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
            Self::Fail => "fail",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// The documented exit codes of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// Everything passed, or was skipped with its reason.
    Pass = 0,
    /// A hypothesis failed.
    Fail = 1,
    /// Bad scenario or command line; nothing was touched.
    Usage = 2,
    /// The harness could not do its work.
    Error = 3,
    /// Rollback is incomplete; the `recover` command was printed.
    RollbackIncomplete = 4,
    /// Nothing was proven.
    Inconclusive = 5,
    /// Interrupted, after a clean rollback.
    Interrupted = 130,
}

/// A verdict that makes the exit code non-zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum FailOn {
    /// A hypothesis broke.
    Fail,
    /// The harness could not do its work.
    Error,
    /// Nothing was proven.
    Inconclusive,
    /// A case passed only on a retry.
    Flaky,
}

impl FailOn {
    /// What counts unless something else is asked for.
    pub const USUAL: [Self; 3] = [Self::Fail, Self::Error, Self::Inconclusive];

    /// Whether a verdict counts under these.
    #[must_use]
    pub fn counts(these: &[Self], verdict: Verdict) -> bool {
        match verdict {
            Verdict::Fail => these.contains(&Self::Fail),
            Verdict::Error => these.contains(&Self::Error),
            Verdict::Inconclusive => these.contains(&Self::Inconclusive),
            Verdict::Pass | Verdict::Skipped => true,
        }
    }
}

/// What decides the exit code of a run, apart from its verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Some undo is still pending.
    pub rollback_incomplete: bool,
    /// The user interrupted the run.
    pub interrupted: bool,
}

impl ExitCode {
    /// Precedence 4 > 130 > 1 > 3 > 5 > 0.
    #[must_use]
    pub fn of(verdict: Verdict, ending: Ending) -> Self {
        if ending.rollback_incomplete {
            return Self::RollbackIncomplete;
        }
        if ending.interrupted {
            return Self::Interrupted;
        }
        match verdict {
            Verdict::Fail => Self::Fail,
            Verdict::Error => Self::Error,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::Skipped | Verdict::Pass => Self::Pass,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_keeps_the_heaviest() {
        assert_eq!(Verdict::Pass.merge(Verdict::Skipped), Verdict::Skipped);
        assert_eq!(Verdict::Inconclusive.merge(Verdict::Error), Verdict::Error);
        assert_eq!(Verdict::Fail.merge(Verdict::Error), Verdict::Fail);
    }

    #[test]
    fn exit_code_precedence() {
        let pending = Ending { rollback_incomplete: true, interrupted: true };
        assert_eq!(ExitCode::of(Verdict::Fail, pending), ExitCode::RollbackIncomplete);
        let interrupted = Ending { interrupted: true, ..Ending::default() };
        assert_eq!(ExitCode::of(Verdict::Fail, interrupted), ExitCode::Interrupted);
        assert_eq!(ExitCode::of(Verdict::Skipped, Ending::default()), ExitCode::Pass);
    }
}
