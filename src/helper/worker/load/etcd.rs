//! Records in etcd: a key per record, through its own JSON gateway, over a connection that is kept.
//!
//! A put is answered once its entry of the log is on the disks of a quorum (etcd manual, "KV API
//! guarantees": durability). An error leaves open whether it was, unless the request itself was wrong.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    super::http::{BODY, Connection, connect, exchange},
    driver::Target,
    kept::Kept,
    way::{LARGEST, Put, add_line, too_large},
};

/// What every key begins with.
const PREFIX: &str = "keelhaul_ledger/";
/// The first key that does not.
const AFTER: &str = "keelhaul_ledger0";
/// Keys that are read at a time: none holds more than 1.5 MiB (`--max-request-bytes`).
const AT_ONCE: usize = 32;
/// The request cannot be (gRPC's `INVALID_ARGUMENT`, as the gateway says it). Of no other error it is
/// sure that nothing was done: where there is no room, etcd applies the put before it says so
/// (`quotaApplierV3.Put`).
const REFUSED: u16 = 400;

/// One writer's connection.
#[derive(Debug)]
pub(super) struct EtcdWay {
    target: Arc<Target>,
    port: u16,
    kept: Kept<Connection>,
}

/// A part of the keys, as of one revision.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    header: Header,
    kvs: Vec<Pair>,
}

/// 64 bits are text in JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Header {
    revision: String,
}

/// A key and what it holds, in base64, and the revision of the store that made it.
#[derive(Deserialize)]
struct Pair {
    key: String,
    create_revision: String,
    value: String,
}

impl EtcdWay {
    pub(super) fn new(target: Arc<Target>, port: u16) -> Self {
        Self { target, port, kept: Kept::none() }
    }

    pub(super) async fn put(&mut self, key: &str, line: &str, within: Duration) -> Put {
        let (generation, mut connection) = match timeout(within, self.connection()).await {
            Ok(Ok(open)) => open,
            // nothing has left
            Ok(Err(reason)) => return Put::Failed(reason),
            Err(_) => {
                return Put::Failed(format!("no connection within {} ms", within.as_millis()));
            }
        };
        let key = BASE64.encode(format!("{PREFIX}{key}"));
        let body = json!({ "key": key, "value": BASE64.encode(line) });
        match timeout(within, asked(&mut connection, "put", &body)).await {
            Err(_) => Put::Indeterminate(format!("no answer within {} ms", within.as_millis())),
            Ok(Err(reason)) => Put::Indeterminate(reason),
            Ok(Ok((status, answer))) => {
                self.kept.keep(generation, connection);
                match status {
                    200 => Put::Acknowledged,
                    REFUSED => Put::Failed(said(status, &answer)),
                    _ => Put::Indeterminate(said(status, &answer)),
                }
            }
        }
    }

    /// In the order in which they were made. Asked for in that order, etcd would read all keys for
    /// every part of them.
    pub(super) async fn read_back(&mut self) -> Result<Vec<u8>, String> {
        let (_, mut connection) = self.connection().await?;
        let (mut from, mut revision) = (PREFIX.as_bytes().to_vec(), "0".to_owned());
        let (mut all, mut length) = (Vec::new(), 0);
        loop {
            let page = part(&mut connection, &from, &revision).await?;
            let Some(last) = page.kvs.last() else { break };
            revision = page.header.revision;
            from = decoded(&last.key)?;
            // the least key after it
            from.push(0);
            for pair in &page.kvs {
                let made = pair.create_revision.parse::<u64>();
                let value = decoded(&pair.value)?;
                length += value.len();
                all.push((made.map_err(|_| "a key without a revision".to_owned())?, value));
            }
            if length > LARGEST {
                return Err(too_large());
            }
        }
        all.sort_unstable();
        let mut bytes = Vec::new();
        all.iter().try_for_each(|(_, value)| add_line(&mut bytes, value))?;
        Ok(bytes)
    }

    /// The connection that is kept, unless the container is another one now.
    async fn connection(&mut self) -> Result<(u64, Connection), String> {
        let generation = self.target.generation();
        match self.kept.take(generation) {
            Some(connection) if !connection.is_closed() => Ok((generation, connection)),
            _ => Ok((generation, connect(self.target.init().await?, self.port).await?)),
        }
    }
}

async fn asked(
    connection: &mut Connection,
    what: &str,
    body: &Value,
) -> Result<(u16, Bytes), String> {
    let (path, body) = (format!("/v3/kv/{what}"), Bytes::from(body.to_string()));
    exchange(connection, "POST", &path, body, BODY).await
}

/// The next keys from one on, as of a revision; 0 for the newest.
async fn part(connection: &mut Connection, from: &[u8], revision: &str) -> Result<Page, String> {
    let range = json!({
        "key": BASE64.encode(from),
        "range_end": BASE64.encode(AFTER),
        "revision": revision,
        "limit": AT_ONCE.to_string(),
    });
    let (status, answer) = asked(connection, "range", &range).await?;
    if status != 200 {
        return Err(said(status, &answer));
    }
    serde_json::from_slice(&answer).map_err(|error| error.to_string())
}

fn decoded(text: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(text).map_err(|error| format!("no base64: {error}"))
}

/// What etcd says of itself, or else its status.
fn said(status: u16, answer: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(answer).unwrap_or_default();
    said["error"].as_str().map_or_else(|| format!("status {status}"), str::to_owned)
}
