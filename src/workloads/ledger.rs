//! `ledger`: writes checksummed records to a subject and remembers what was acknowledged.
//!
//! What an acknowledgement is depends on the way in; each way reads everything back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    protocol::{LoadSpec, Place, PostgresLogin, RedisLogin, Via},
    units::{Duration, Rate},
};

/// Checksummed records, with every intent and acknowledgement kept outside the faulted volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// How records get in and out.
    via: LedgerVia,
    /// Operations per second, over all writers.
    #[serde(default = "default_rate")]
    rate: Rate,
    /// Writers side by side.
    #[serde(default = "default_writers")]
    #[schemars(range(min = 1, max = 64))]
    writers: u32,
    /// Payload bytes per record.
    #[serde(default = "default_length")]
    #[schemars(range(min = 1, max = 1_048_576))]
    length: u32,
    /// After this long an operation is indeterminate.
    #[serde(default = "default_timeout")]
    timeout: Duration,
}

/// How records get in and out of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LedgerVia {
    /// `PUT {path}/{key}` with the record as body acknowledges with 2xx; `GET {path}` returns every
    /// record, a line each.
    Http {
        /// The service.
        service: String,
        /// TCP port on the container's loopback.
        #[serde(default = "default_port")]
        port: u16,
        /// Path prefix.
        #[serde(default = "default_path")]
        path: String,
    },
    /// Append a line to a file and fdatasync it; the return of fdatasync acknowledges.
    File {
        /// The service whose mount namespace is used.
        service: String,
        /// Absolute path in the container.
        path: String,
    },
    /// A program in the container that speaks the line protocol: `PUT key record` is answered by
    /// `ACK key` or `ERR key reason`; `READ` by every record, a line each, then `END`.
    Command {
        /// The service.
        service: String,
        /// Program and arguments, run without a shell.
        command: Vec<String>,
    },
    /// A row of the table `keelhaul_ledger` per record; the return of its `INSERT` acknowledges.
    Postgres {
        /// The service.
        service: String,
        /// TCP port on the container's loopback.
        #[serde(default = "default_postgres_port")]
        port: u16,
        /// Role; it must be allowed to make a table.
        #[serde(default = "default_postgres")]
        user: String,
        /// Database.
        #[serde(default = "default_postgres")]
        database: String,
        /// Where it asks for one.
        password: Option<String>,
    },
    /// An element of the list `keelhaul_ledger` per record; the reply to its `RPUSH` acknowledges.
    Redis {
        /// The service.
        service: String,
        /// TCP port on the container's loopback.
        #[serde(default = "default_redis_port")]
        port: u16,
        /// Where it asks for one.
        password: Option<String>,
    },
    /// A key below `keelhaul_ledger/` per record, by the JSON gateway of the v3 API; the answer to its
    /// put acknowledges.
    Etcd {
        /// The service.
        service: String,
        /// TCP port on the container's loopback.
        #[serde(default = "default_etcd_port")]
        port: u16,
    },
}

fn default_etcd_port() -> u16 {
    2379
}

fn default_rate() -> Rate {
    Rate(100.0)
}

fn default_writers() -> u32 {
    4
}

fn default_length() -> u32 {
    64
}

fn default_timeout() -> Duration {
    Duration::from_secs(1)
}

fn default_port() -> u16 {
    8080
}

fn default_postgres_port() -> u16 {
    5432
}

fn default_postgres() -> String {
    "postgres".into()
}

fn default_redis_port() -> u16 {
    6379
}

fn default_path() -> String {
    "/records".into()
}

impl Ledger {
    /// The service it loads.
    #[must_use]
    pub fn service(&self) -> &str {
        match &self.via {
            LedgerVia::Http { service, .. }
            | LedgerVia::File { service, .. }
            | LedgerVia::Command { service, .. }
            | LedgerVia::Postgres { service, .. }
            | LedgerVia::Redis { service, .. }
            | LedgerVia::Etcd { service, .. } => service,
        }
    }

    /// Operations per second, over all writers.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate.0
    }

    /// After this long an operation is indeterminate.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What is wrong with its parameters; each one sentence, with a hint. Pure.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        let mut wrong = self.via.check();
        if self.timeout.0.is_zero() {
            wrong.push("nothing is acknowledged in no time\n\nhint: write `timeout: 1s`".into());
        }
        wrong
    }

    /// What the worker is to do.
    #[must_use]
    pub fn load(&self, run: &str, place: Place, seed: u64) -> LoadSpec {
        LoadSpec {
            run: run.to_owned(),
            place,
            via: self.via.protocol(),
            rate: self.rate.0,
            writers: self.writers,
            length: self.length,
            timeout_ms: u64::try_from(self.timeout.0.as_millis()).unwrap_or(u64::MAX),
            seed,
            marks: None,
        }
    }
}

impl LedgerVia {
    fn check(&self) -> Vec<String> {
        let (port, path, empty) = match self {
            Self::Http { port, path, .. } => (Some((*port, default_port())), Some(path), false),
            Self::File { path, .. } => (None, Some(path), false),
            Self::Command { command, .. } => (None, None, command.is_empty()),
            Self::Postgres { port, .. } => (Some((*port, default_postgres_port())), None, false),
            Self::Redis { port, .. } => (Some((*port, default_redis_port())), None, false),
            Self::Etcd { port, .. } => (Some((*port, default_etcd_port())), None, false),
        };
        let mut wrong = Vec::new();
        if let Some((0, usual)) = port {
            wrong.push(format!("there is no port 0\n\nhint: write `port: {usual}`"));
        }
        if let Some(path) = path.filter(|path| !path.starts_with('/')) {
            wrong.push(format!("`{path}` is no absolute path\n\nhint: start it with `/`"));
        }
        if empty {
            wrong.push("there is no program to run\n\nhint: write `command: [/bin/load]`".into());
        }
        wrong
    }

    fn protocol(&self) -> Via {
        match self.clone() {
            Self::Http { port, path, .. } => Via::Http { port, path },
            Self::File { path, .. } => Via::File { path },
            Self::Command { command, .. } => Via::Command { command },
            Self::Postgres { port, user, database, password, .. } => {
                Via::Postgres(PostgresLogin { port, user, database, password })
            }
            Self::Redis { port, password, .. } => Via::Redis(RedisLogin { port, password }),
            Self::Etcd { port, .. } => Via::Etcd { port },
        }
    }
}
