//! One line for each weakness: its name, what goes wrong with it, and the scenario that notices.

use super::Weakness;

/// One line of the table. `fails`: the scenario, or `none:` and why.
pub(super) struct Row {
    pub(super) weakness: Weakness,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) fails: &'static str,
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
pub(super) const TABLE: &[Row] = &[
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
        Weakness::MarksFirst,
        "marks-first",
        "notes records as durable before they are",
        "power-cut-two-disks",
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
