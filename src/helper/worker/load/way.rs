//! How records get in and out: dispatch, and what an attempt can come to.

use std::{sync::Arc, time::Duration};

use super::{
    command::CommandWay, driver::Target, etcd::EtcdWay, file::FileWay, http::HttpWay,
    postgres::PostgresWay, redis::RedisWay,
};
use crate::protocol::Via;

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Put {
    /// The subject promised to keep it.
    Acknowledged,
    /// The subject refused it, or it never left.
    Failed(String),
    /// It may be there or not.
    Indeterminate(String),
}

/// One writer's way.
#[derive(Debug)]
pub(super) enum Way {
    Http(HttpWay),
    File(FileWay),
    Command(CommandWay),
    Postgres(PostgresWay),
    Redis(RedisWay),
    Etcd(EtcdWay),
}

/// Bytes that are read back at most. What is larger is not judged: a part of it would look like loss.
pub(super) const LARGEST: usize = 1 << 30;

/// One record more of what is read back.
pub(super) fn add_line(bytes: &mut Vec<u8>, line: &[u8]) -> Result<(), String> {
    if bytes.len() + line.len() > LARGEST {
        return Err(too_large());
    }
    bytes.extend_from_slice(line);
    bytes.push(b'\n');
    Ok(())
}

pub(super) fn too_large() -> String {
    format!("it gives back more than the {} MiB that are judged", LARGEST >> 20)
}

impl Way {
    pub(super) fn new(via: &Via, target: Arc<Target>) -> Self {
        match via {
            Via::Http { port, path } => Self::Http(HttpWay::new(target, *port, path)),
            Via::File { path } => Self::File(FileWay::new(target, path)),
            Via::Command { command } => Self::Command(CommandWay::new(target, command)),
            Via::Postgres(login) => Self::Postgres(PostgresWay::new(target, login)),
            Via::Redis(login) => Self::Redis(RedisWay::new(target, login)),
            Via::Etcd { port } => Self::Etcd(EtcdWay::new(target, *port)),
        }
    }

    /// Puts one record, within a time.
    pub(super) async fn put(&mut self, key: &str, line: &str, within: Duration) -> Put {
        match self {
            Self::Http(way) => way.put(key, line, within).await,
            Self::File(way) => way.put(line, within).await,
            Self::Command(way) => way.put(key, line, within).await,
            Self::Postgres(way) => way.put(key, line, within).await,
            Self::Redis(way) => way.put(line, within).await,
            Self::Etcd(way) => way.put(key, line, within).await,
        }
    }

    /// Everything that is there, as the subject gives it back.
    pub(super) async fn read_back(&mut self) -> Result<Vec<u8>, String> {
        match self {
            Self::Http(way) => way.read_back().await,
            Self::File(way) => way.read_back().await,
            Self::Command(way) => way.read_back().await,
            Self::Postgres(way) => way.read_back().await,
            Self::Redis(way) => way.read_back().await,
            Self::Etcd(way) => way.read_back().await,
        }
    }
}
