//! Units of the numbers that probes read. Reports write them; tolerances have units of their own.

use serde::{Deserialize, Serialize};

/// What a number counts or measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    /// Records per second.
    RecordsPerSecond,
    /// Of a hundred.
    Percent,
    /// How many times as much.
    Times,
    /// Backups.
    Archives,
    /// Files and directories.
    Entries,
    /// Free inodes.
    Inodes,
    /// Lines of a log.
    Lines,
    /// Records of a log.
    Records,
    /// Acknowledged records that are gone.
    LostRecords,
    /// States after a power cut that break a promise.
    WrongStates,
}

impl Unit {
    /// As it is written behind one, and behind any other number.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Milliseconds => ("ms", "ms"),
            Self::Seconds => ("s", "s"),
            Self::Bytes => ("B", "B"),
            Self::BytesPerSecond => ("B/s", "B/s"),
            Self::RecordsPerSecond => ("record/s", "records/s"),
            Self::Percent => ("%", "%"),
            Self::Times => ("×", "×"),
            Self::Archives => ("archive", "archives"),
            Self::Entries => ("entry", "entries"),
            Self::Inodes => ("inode", "inodes"),
            Self::Lines => ("line", "lines"),
            Self::Records => ("record", "records"),
            Self::LostRecords => ("record lost", "records lost"),
            Self::WrongStates => ("wrong state", "wrong states"),
        }
    }

    /// What a metric's name says of its unit
    /// (<https://prometheus.io/docs/practices/naming/#base-units>).
    pub(super) fn of_metric(name: &str) -> Option<Self> {
        let name = name.strip_suffix("_total").unwrap_or(name);
        match name.rsplit('_').next()? {
            "seconds" => Some(Self::Seconds),
            "bytes" => Some(Self::Bytes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_says_its_unit_by_its_name_or_has_none() {
        let cases = [
            ("process_resident_memory_bytes", Some(Unit::Bytes)),
            ("sync_seconds", Some(Unit::Seconds)),
            ("written_bytes_total", Some(Unit::Bytes)),
            ("specimen_heartbeats_total", None),
            ("megabytes", None),
            ("", None),
        ];
        for (name, unit) in cases {
            assert_eq!(Unit::of_metric(name), unit, "{name}");
        }
    }
}
