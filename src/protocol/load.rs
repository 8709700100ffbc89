//! Load on a subject, and the ledger of what it was promised.

use serde::{Deserialize, Serialize};

use super::{Artifact, ExploreReport, ExploreSpec, Histogram, LoggedDisk, Place};
use crate::ledger::LedgerReport;

/// What the worker is asked to do with a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LoadCall {
    /// Start it. → `Nothing`
    Start {
        /// Its name, unique in the run.
        name: String,
        /// What it does.
        load: LoadSpec,
    },
    /// Its container has another id or pid now. → `Nothing`
    Retarget {
        /// Its name.
        name: String,
        /// The container as it is now.
        place: Place,
    },
    /// How is it going? → `Stats`
    Stats {
        /// Its name.
        name: String,
    },
    /// Stop it and wait for operations in flight. → `Stats`
    Stop {
        /// Its name.
        name: String,
    },
    /// Stop it, read everything back at another place, and judge. → `Ledger`
    JudgeAt {
        /// Its name.
        name: String,
        /// Where the records must have arrived.
        place: Place,
        /// Milliseconds that they get to arrive, once the load has stopped.
        within_ms: u64,
    },
    /// Stop it, read everything back through the same way, and judge. → `Ledger`
    Judge {
        /// Its name.
        name: String,
    },
    /// Read everything back through the same way, as the service gives it back that was started on a state
    /// of the past, and judge that. → `Ledger`
    JudgeStanding {
        /// Its name.
        name: String,
        /// Records acknowledged by then.
        acknowledged: u64,
        /// Milliseconds until it must give something back.
        within_ms: u64,
    },
    /// Stop it, and begin to look at what cuts of the disk that it marks would have left. → `Nothing`
    Explore {
        /// Its name.
        name: String,
        /// What is looked at.
        explore: ExploreSpec,
    },
    /// Begin to look at what cuts of a disk would have left of which there is a log. → `Nothing`
    ExploreLog {
        /// Its name.
        name: String,
        /// The disk.
        logged: Box<LoggedDisk>,
    },
    /// What was found so far. → `Explored`
    Explored {
        /// Its name.
        name: String,
    },
    /// A piece of what is kept of a wrong state. → `Piece`
    Piece {
        /// Its name.
        name: String,
        /// Of which file.
        artifact: Artifact,
        /// Where the piece begins.
        from: u64,
    },
}

/// The worker's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LoadReply {
    /// Done.
    Nothing,
    /// How it is going.
    Stats(LoadStats),
    /// What the ledger came to, or why it could not be read back.
    Ledger(Result<Box<LedgerReport>, String>),
    /// What was found so far in states that a cut would have left.
    Explored(Box<ExploreReport>),
    /// Bytes of a file, in base64; none at its end.
    Piece(String),
}

/// What a load does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSpec {
    /// The run; part of every record.
    pub run: String,
    /// The subject.
    pub place: Place,
    /// How records get in and out.
    pub via: Via,
    /// Operations per second, over all writers.
    pub rate: f64,
    /// Writers side by side.
    pub writers: u32,
    /// Payload bytes per record.
    pub length: u32,
    /// Milliseconds until an operation is indeterminate.
    pub timeout_ms: u64,
    /// Seed of the payloads.
    pub seed: u64,
    /// The disk that is to remember what happens to it, and when each acknowledgement came.
    #[serde(default)]
    pub marks: Option<String>,
}

/// How records get in and out of a subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Via {
    /// `PUT {path}/{key}` acknowledges with 2xx; `GET {path}` returns every record, a line each.
    Http {
        /// TCP port on the container's loopback.
        port: u16,
        /// Path prefix.
        path: String,
    },
    /// Append a line to a file and fdatasync it, in the container's mount namespace.
    File {
        /// Absolute path in the container.
        path: String,
    },
    /// A program in the container that speaks the line protocol on its standard streams.
    Command {
        /// Program and arguments.
        command: Vec<String>,
    },
    /// A row of a table per record; the return of its `INSERT` acknowledges.
    Postgres(PostgresLogin),
    /// An element of a list per record; the reply to its `RPUSH` acknowledges.
    Redis(RedisLogin),
    /// A key per record; the answer to its put acknowledges.
    Etcd {
        /// TCP port on the container's loopback.
        port: u16,
    },
}

/// How to get into PostgreSQL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresLogin {
    /// TCP port on the container's loopback.
    pub port: u16,
    /// Role.
    pub user: String,
    /// Database.
    pub database: String,
    /// Where it asks for one.
    pub password: Option<String>,
}

/// How to get into Redis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisLogin {
    /// TCP port on the container's loopback.
    pub port: u16,
    /// Where it asks for one.
    pub password: Option<String>,
}

/// How a load is going.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadStats {
    /// Microseconds since the load started.
    pub elapsed_us: u64,
    /// Operations begun.
    pub attempted: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Bytes of the records that were acknowledged, as they are written.
    #[serde(default)]
    pub bytes: u64,
    /// Refused.
    pub failed: u64,
    /// Neither, before the timeout.
    pub indeterminate: u64,
    /// Refused or neither before the first acknowledgement: the subject was still coming up.
    #[serde(default)]
    pub early: u64,
    /// Microseconds, median of acknowledged operations.
    pub p50_us: u64,
    /// Microseconds, 99th percentile of acknowledged operations.
    pub p99_us: u64,
    /// Microseconds of every acknowledged operation; left out of what is recorded of a run.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub latencies: Histogram,
    /// The last refusal.
    pub last_error: Option<String>,
}

impl LoadStats {
    /// Acknowledged records per second since an earlier look, or since the load started; none where
    /// no time has passed.
    #[must_use]
    pub fn acked_per_second(&self, since: Option<&Self>) -> Option<f64> {
        let (acks, elapsed) = since.map_or((0, 0), |it| (it.acknowledged, it.elapsed_us));
        let micros = self.elapsed_us.saturating_sub(elapsed);
        let acks = self.acknowledged.saturating_sub(acks);
        (micros > 0).then(|| acks as f64 * 1e6 / micros as f64)
    }
}
