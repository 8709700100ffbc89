//! The weaknesses: which bug can be switched on, and which scenario it must fail.
//!
//! Each variant is read at exactly one place, where it takes one behaviour away.

mod table;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use table::{Row, TABLE};

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
    /// What the journal is to hold is noted before it holds it.
    MarksFirst,
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
