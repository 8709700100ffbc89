//! The table of weaknesses: which bug can be switched on, and which scenario it must fail.
//!
//! Each variant is read at exactly one place, where it takes one behaviour away.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A known bug, brought back by `--weakness NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Acknowledges records that are not on disk yet.
    AckBeforeSync,
    /// A quota that runs out is only talked about.
    AlarmsOnly,
    /// `/health` says 200 whatever happens.
    AlwaysHealthy,
    /// Ends with acknowledged records in its own memory.
    DirtyExit,
    /// A failed log write ends the process.
    ExitOnLogError,
    /// The cleanup of a full volume starts over at every look.
    FlappingCleanup,
    /// A short or failed journal write counts as done.
    IgnoresShortWrites,
    /// The journal lives in the container's own layer.
    LayerState,
    /// Nothing is published where hard links are refused.
    LinksOnly,
    /// A record waits until the log has its line.
    LogsBlockWrites,
    /// The mount's flags are not looked at.
    NoFlagCheck,
    /// A lost volume raises no alarm.
    NoMountCheck,
    /// The configuration is looked at only when an event says so.
    NoPolling,
    /// The types of directory entries are not asked for.
    NoPreflight,
    /// Old logs are never deleted.
    NoRetention,
    /// Temporary files are never deleted.
    NoTtl,
    /// What cannot be renamed is left as it is.
    RenameOnly,
    /// State is kept on the runtime directory only.
    TmpfsState,
    /// Hard links are assumed to stay links.
    TrustsLinkIdentity,
    /// The configuration's inode is watched, not its name.
    WatchesInode,
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
const TABLE: [Row; 21] = [
    row(
        Weakness::AckBeforeSync,
        "ack-before-sync",
        "acknowledges records that are not on disk yet",
        "none: it takes a power cut",
    ),
    row(
        Weakness::AlarmsOnly,
        "alarms-only",
        "says that its quota runs out, and goes on as before",
        "quota-ladder",
    ),
    row(
        Weakness::AlwaysHealthy,
        "always-healthy",
        "answers 200 on /health whatever happens",
        "shadowed-mount",
    ),
    row(
        Weakness::DirtyExit,
        "dirty-exit",
        "ends with acknowledged records in its own memory",
        "graceful-stop",
    ),
    row(
        Weakness::ExitOnLogError,
        "exit-on-log-error",
        "exits when a log line cannot be written",
        "readonly-log-dir",
    ),
    row(
        Weakness::FlappingCleanup,
        "flapping-cleanup",
        "cleans up again at every look while it is full",
        "overlay-inode-leak",
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
        Weakness::LogsBlockWrites,
        "logs-block-writes",
        "acknowledges a record only when it is logged",
        "log-volume-isolation",
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
    row(
        Weakness::NoPolling,
        "no-polling",
        "looks at its configuration only after an event",
        "inotify-exhaustion",
    ),
    row(
        Weakness::NoPreflight,
        "no-preflight",
        "starts on a filesystem without d_type",
        "d-type-missing",
    ),
    row(Weakness::NoRetention, "no-retention", "never deletes an old log file", "inode-exhaustion"),
    row(Weakness::NoTtl, "no-ttl", "never deletes a temporary file", "storage-leak"),
    row(
        Weakness::RenameOnly,
        "rename-only",
        "leaves a directory that cannot be renamed",
        "copy-up-metadata",
    ),
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
        Weakness::WatchesInode,
        "watches-inode",
        "watches the inode of its configuration only",
        "config-hot-reload",
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
    for Row { name, about, fails, .. } in &TABLE {
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
        for row in &TABLE {
            assert!(row.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", row.name);
            assert!(row.about.len() < 52 && !row.about.ends_with('.'), "{}", row.about);
        }
        assert_eq!(table().lines().count(), TABLE.len() + 1);
    }
}
