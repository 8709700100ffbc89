//! The table of weaknesses: which bug can be switched on, and which scenario it must fail.
//!
//! Each variant is read at exactly one place, where it takes one behaviour away.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A known bug, brought back by `--weakness NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Restores whatever the newest archive holds.
    AcceptsCorruption,
    /// Acknowledges records that are not on disk yet.
    AckBeforeSync,
    /// A quota that runs out is only talked about.
    AlarmsOnly,
    /// `/health` says 200 whatever happens.
    AlwaysHealthy,
    /// A mirror takes a copy for good that is younger than its source.
    ComparesByDate,
    /// A backup holds the data and nothing else.
    DataOnly,
    /// Old archives go, the last good one too.
    DeletesByAge,
    /// A refused permission ends the process.
    DeniedIsFatal,
    /// Ends with acknowledged records in its own memory.
    DirtyExit,
    /// A write that permissions refuse counts as done.
    DropsDenied,
    /// Records are not kept for a controller that is out of reach.
    DropsOffline,
    /// A failed log write ends the process.
    ExitOnLogError,
    /// A job that failed ends with 0 all the same.
    ExitsZero,
    /// The cleanup of a full volume starts over at every look.
    FlappingCleanup,
    /// A freeze has no limit.
    FreezesForEver,
    /// A short or failed journal write counts as done.
    IgnoresShortWrites,
    /// SIGTERM is not listened to.
    IgnoresStop,
    /// A file whose handle went stale is not opened again.
    KeepsHandle,
    /// The journal lives in the container's own layer.
    LayerState,
    /// Records are taken after the end of the term.
    LeadsForEver,
    /// A leader whose storage is slow goes on leading.
    LeadsHoweverSlow,
    /// Nothing is published where hard links are refused.
    LinksOnly,
    /// A record waits until the log has its line.
    LogsBlockWrites,
    /// A mirror follows a source that was emptied.
    MirrorsBlindly,
    /// An agent that misses its beats is not marked.
    NeverMarked,
    /// What a torn write has left in the journal is taken for a record.
    NoChecksum,
    /// Waits for its storage for as long as that takes.
    NoDeadline,
    /// Work of an earlier term is taken.
    NoFencing,
    /// The mount's flags are not looked at.
    NoFlagCheck,
    /// A backup is taken while the service writes.
    NoFreeze,
    /// A backup does not ask whether the service is well.
    NoGate,
    /// A filesystem that fills up raises no alarm.
    NoHeadroomAlarm,
    /// A snapshot is taken while the service writes.
    NoHold,
    /// A log that others append to is written without a lock.
    NoLock,
    /// A lost volume raises no alarm.
    NoMountCheck,
    /// The configuration is looked at only when an event says so.
    NoPolling,
    /// The types of directory entries are not asked for.
    NoPreflight,
    /// An index that went cold warms up one look-up at a time.
    NoRemedy,
    /// Old logs are never deleted.
    NoRetention,
    /// A controller that is not ready at the start ends the process.
    NoRetry,
    /// Temporary files are never deleted.
    NoTtl,
    /// What is dated in the future is not taken yet.
    OrdersByWallClock,
    /// State of a newer format is read as if it were ours.
    ReadsAnything,
    /// What cannot be renamed is left as it is.
    RenameOnly,
    /// A failed sync is tried again, and what the second says counts.
    RetriesSync,
    /// Backup jobs write to one name and do not wait.
    SharedTargetName,
    /// Every record is synced by itself.
    SyncsEach,
    /// State is kept on the runtime directory only.
    TmpfsState,
    /// Hard links are assumed to stay links.
    TrustsLinkIdentity,
    /// A journal that was removed is written to all the same.
    TrustsOpenFile,
    /// Records wait for the storage, however many there are.
    UnboundedQueue,
    /// The configuration's inode is watched, not its name.
    WatchesInode,
    /// Writes to wherever the data path points.
    WritesAnywhere,
    /// An archive has its name before it is whole.
    WritesInPlace,
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
        Weakness::AcceptsCorruption,
        "accepts-corruption",
        "restores what it has not checked",
        "restore-drill",
    ),
    row(
        Weakness::AckBeforeSync,
        "ack-before-sync",
        "acknowledges records that are not on disk yet",
        "power-cut-file",
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
        Weakness::ComparesByDate,
        "compares-by-date",
        "takes a copy for good that is younger",
        "backup-mirror-drift",
    ),
    row(
        Weakness::DataOnly,
        "data-only",
        "backs up neither configuration nor key",
        "backup-incomplete",
    ),
    row(
        Weakness::DeletesByAge,
        "deletes-by-age",
        "deletes old backups, the last good one too",
        "backup-retention",
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
        Weakness::DropsOffline,
        "drops-offline",
        "drops records while its controller is out of reach",
        "network-outage-resume",
    ),
    row(
        Weakness::ExitOnLogError,
        "exit-on-log-error",
        "exits when a log line cannot be written",
        "readonly-log-dir",
    ),
    row(Weakness::ExitsZero, "exits-zero", "reports every backup as done", "backup-permission"),
    row(
        Weakness::FlappingCleanup,
        "flapping-cleanup",
        "cleans up again at every look while it is full",
        "overlay-inode-leak",
    ),
    row(
        Weakness::FreezesForEver,
        "freezes-for-ever",
        "stays frozen when whoever froze it is gone",
        "backup-freeze-stuck",
    ),
    row(
        Weakness::IgnoresShortWrites,
        "ignores-short-writes",
        "takes a short or failed journal write for done",
        "disk-full",
    ),
    row(Weakness::IgnoresStop, "ignores-stop", "does not end when it is asked to", "graceful-stop"),
    row(
        Weakness::KeepsHandle,
        "keeps-handle",
        "goes on with a handle that its server forgot",
        "stale-handle",
    ),
    row(
        Weakness::LayerState,
        "layer-state",
        "keeps its journal in the container's own layer",
        "volume-outlives-container",
    ),
    row(
        Weakness::LeadsForEver,
        "leads-for-ever",
        "takes records when its term is over",
        "failover-frozen",
    ),
    row(
        Weakness::LeadsHoweverSlow,
        "leads-however-slow",
        "keeps the work however slow its storage is",
        "io-latency-slo",
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
        Weakness::MirrorsBlindly,
        "mirrors-blindly",
        "empties a mirror when its source is lost",
        "backup-mirror-drift",
    ),
    row(
        Weakness::NeverMarked,
        "never-marked",
        "never marks an agent that misses its beats",
        "heartbeat-offline",
    ),
    row(
        Weakness::NoChecksum,
        "no-checksum",
        "takes what a torn write has left for a record",
        "torn-write",
    ),
    row(
        Weakness::NoDeadline,
        "no-deadline",
        "waits for its storage for as long as that takes",
        "volume-stall",
    ),
    row(
        Weakness::NoFencing,
        "no-fencing",
        "takes the work of a leader whose term is over",
        "leader-election",
    ),
    row(
        Weakness::NoFlagCheck,
        "no-flag-check",
        "does not look at the flags of its mount",
        "mount-flags",
    ),
    row(
        Weakness::NoFreeze,
        "no-freeze",
        "copies while the service writes",
        "backup-hot-inconsistent",
    ),
    row(Weakness::NoGate, "no-gate", "backs up a service that is not healthy", "backup-unhealthy"),
    row(
        Weakness::NoHeadroomAlarm,
        "no-headroom-alarm",
        "raises no alarm while a filesystem fills up",
        "upperdir-inodes",
    ),
    row(Weakness::NoHold, "no-hold", "lets a snapshot be taken while it writes", "snapshot-race"),
    row(
        Weakness::NoLock,
        "no-lock",
        "appends to a shared log without a lock",
        "shared-volume-writers",
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
    row(Weakness::NoRemedy, "no-remedy", "leaves an index cold", "page-cache-pollution"),
    row(Weakness::NoRetention, "no-retention", "never deletes an old log file", "inode-exhaustion"),
    row(
        Weakness::NoRetry,
        "no-retry",
        "exits when its controller is not ready at the start",
        "dependency-not-ready",
    ),
    row(Weakness::NoTtl, "no-ttl", "never deletes a temporary file", "storage-leak"),
    row(
        Weakness::OrdersByWallClock,
        "orders-by-wall-clock",
        "refuses records that are dated in its future",
        "clock-skew",
    ),
    row(
        Weakness::ReadsAnything,
        "reads-anything",
        "reads state of a newer format as if it were its own",
        "version-skew",
    ),
    row(
        Weakness::RenameOnly,
        "rename-only",
        "leaves a directory that cannot be renamed",
        "copy-up-metadata",
    ),
    row(
        Weakness::RetriesSync,
        "retries-sync",
        "takes the second word of a sync that failed",
        "io-errors",
    ),
    row(
        Weakness::SharedTargetName,
        "shared-target-name",
        "backup jobs write to one name, unlocked",
        "backup-concurrent",
    ),
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
        Weakness::TrustsOpenFile,
        "trusts-open-file",
        "goes on writing to a journal that was removed",
        "removed-journal",
    ),
    row(
        Weakness::UnboundedQueue,
        "unbounded-queue",
        "lets any number of records wait for its storage",
        "io-starvation",
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
    row(
        Weakness::WritesInPlace,
        "writes-in-place",
        "writes an archive under its last name",
        "backup-disk-full",
    ),
];

/// What `--weakness` was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeaknessChoice {
    /// Print the table and end.
    List,
    /// None: what a scenario says for the service as it should be.
    None,
    /// Switch this one on.
    One(Weakness),
}

/// Accepts the names of the table, `list` and `none`.
pub(super) fn parser() -> impl TypedValueParser<Value = WeaknessChoice> {
    let names = TABLE.iter().map(|row| PossibleValue::new(row.name).help(row.about));
    let list = PossibleValue::new("list").help("prints this table and ends");
    let none = PossibleValue::new("none").help("switches nothing on");
    PossibleValuesParser::new(names.chain([list, none])).map(|given| {
        let row = TABLE.iter().find(|row| row.name == given);
        match row {
            Some(row) => WeaknessChoice::One(row.weakness),
            None if given == "none" => WeaknessChoice::None,
            None => WeaknessChoice::List,
        }
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

/// What a weakness is, with an example; none when there is no such weakness.
#[must_use]
pub fn explanation(name: &str) -> Option<String> {
    let Row { about, fails, .. } = TABLE.iter().find(|row| row.name == name)?;
    Some(format!(
        "{name} (weakness of the built-in subject `keelhaul/specimen`)\n\n{about}.\n\n\
         Example\n  services: {{ agent: {{ args: [--weakness, {name}] }} }}\n\nNoticed by\n  {fails}\n"
    ))
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
