//! The table of weaknesses: which bug can be switched on, and which scenario it must fail.
//!
//! Each variant is read at exactly one place, where it takes one behaviour away.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A known bug, brought back by `--weakness NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Acknowledges records that are not on disk yet.
    AckBeforeSync,
    /// `/health` says 200 whatever happens.
    AlwaysHealthy,
    /// Ends with acknowledged records in its own memory.
    DirtyExit,
    /// A refused permission ends the process.
    DeniedIsFatal,
    /// A write that permissions refuse counts as done.
    DropsDenied,
    /// A failed log write ends the process.
    ExitOnLogError,
    /// A short or failed journal write counts as done.
    IgnoresShortWrites,
    /// The journal lives in the container's own layer.
    LayerState,
    /// Nothing is published where hard links are refused.
    LinksOnly,
    /// Waits for its storage for as long as that takes.
    NoDeadline,
    /// The mount's flags are not looked at.
    NoFlagCheck,
    /// A lost volume raises no alarm.
    NoMountCheck,
    /// Old logs are never deleted.
    NoRetention,
    /// Every record is synced by itself.
    SyncsEach,
    /// State is kept on the runtime directory only.
    TmpfsState,
    /// Hard links are assumed to stay links.
    TrustsLinkIdentity,
    /// Writes to wherever the data path points.
    WritesAnywhere,
}

/// One line of the table. `fails`: the scenario, or `none:` and why.
struct Row {
    weakness: Weakness,
    name: &'static str,
    about: &'static str,
    fails: &'static str,
}

const fn row(
    weakness: Weakness,
    name: &'static str,
    about: &'static str,
    fails: &'static str,
) -> Row {
    Row { weakness, name, about, fails }
}

/// Sorted by name.
const TABLE: &[Row] = &[
    row(
        Weakness::AckBeforeSync,
        "ack-before-sync",
        "acknowledges records that are not on disk yet",
        "none: it takes a power cut",
    ),
    row(
        Weakness::AlwaysHealthy,
        "always-healthy",
        "answers 200 on /health whatever happens",
        "shadowed-mount",
    ),
    row(
        Weakness::DeniedIsFatal,
        "denied-is-fatal",
        "exits when permissions refuse a write",
        "uid-mismatch",
    ),
    row(
        Weakness::DirtyExit,
        "dirty-exit",
        "ends with acknowledged records in its own memory",
        "graceful-stop",
    ),
    row(
        Weakness::DropsDenied,
        "drops-denied",
        "takes a write that permissions refuse for done",
        "uid-mismatch",
    ),
    row(
        Weakness::ExitOnLogError,
        "exit-on-log-error",
        "exits when a log line cannot be written",
        "readonly-log-dir",
    ),
    row(
        Weakness::IgnoresShortWrites,
        "ignores-short-writes",
        "takes a short or failed journal write for done",
        "disk-full",
    ),
    row(
        Weakness::LayerState,
        "layer-state",
        "keeps its journal in the container's own layer",
        "volume-outlives-container",
    ),
    row(
        Weakness::LinksOnly,
        "links-only",
        "publishes nothing where hard links are refused",
        "cross-mount-links",
    ),
    row(
        Weakness::NoDeadline,
        "no-deadline",
        "waits for its storage for as long as that takes",
        "volume-stall",
    ),
    row(
        Weakness::NoFlagCheck,
        "no-flag-check",
        "does not look at the flags of its mount",
        "mount-flags",
    ),
    row(
        Weakness::NoMountCheck,
        "no-mount-check",
        "raises no alarm when its volume is lost",
        "lost-mount",
    ),
    row(Weakness::NoRetention, "no-retention", "never deletes an old log file", "inode-exhaustion"),
    row(Weakness::SyncsEach, "syncs-each", "syncs every record by itself", "slow-device"),
    row(
        Weakness::TmpfsState,
        "tmpfs-state",
        "keeps its session on the runtime directory only",
        "tmpfs-state-loss",
    ),
    row(
        Weakness::TrustsLinkIdentity,
        "trusts-link-identity",
        "updates in place and expects hard links to follow",
        "broken-hardlinks",
    ),
    row(
        Weakness::WritesAnywhere,
        "writes-anywhere",
        "writes to wherever the data path points",
        "shadowed-mount",
    ),
];

/// What `--weakness` was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeaknessChoice {
    /// Print the table and end.
    List,
    /// Switch this one on.
    One(Weakness),
}

/// Accepts `list` and the names of the table.
pub(super) fn parser() -> impl TypedValueParser<Value = WeaknessChoice> {
    let names = TABLE.iter().map(|row| PossibleValue::new(row.name).help(row.about));
    let list = PossibleValue::new("list").help("prints this table and ends");
    PossibleValuesParser::new(names.chain([list])).map(|given| {
        TABLE
            .iter()
            .find(|row| row.name == given)
            .map_or(WeaknessChoice::List, |row| WeaknessChoice::One(row.weakness))
    })
}

/// The table as text: name, what goes wrong, which scenario notices.
#[must_use]
pub fn table() -> String {
    let mut out = format!("{:<22}{:<52}{}\n", "WEAKNESS", "WHAT GOES WRONG", "FAILS");
    for Row { name, about, fails, .. } in TABLE {
        out.push_str(&format!("{name:<22}{about:<52}{fails}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_each_row_is_one_short_line() {
        assert!(TABLE.is_sorted_by_key(|row| row.name));
        for row in TABLE {
            assert!(row.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", row.name);
            assert!(row.about.len() < 52 && !row.about.ends_with('.'), "{}", row.about);
        }
        assert_eq!(table().lines().count(), TABLE.len() + 1);
    }
}
