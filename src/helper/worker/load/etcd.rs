//! Records in etcd: a key per record, through its own JSON gateway, over a connection that is kept.
//!
//! A put is answered once its entry of the log is on the disks of a quorum (etcd manual, "KV API
//! guarantees": durability). An error that says that it was not taken is one of the request or of
//! the store's room; all others leave it open.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    super::http::{Connection, connect, exchange},
    driver::Target,
    kept::Kept,
    way::{Put, add_line},
};

/// What every key begins with.
const PREFIX: &str = "keelhaul_ledger/";
/// The first key that does not.
const AFTER: &str = "keelhaul_ledger0";
/// Keys that are read at a time: none holds more than 1.5 MiB (`--max-request-bytes`).
const AT_ONCE: usize = 32;
/// The request cannot be, and there is no room: of these it is sure that nothing was done
/// (gRPC's `INVALID_ARGUMENT` and `RESOURCE_EXHAUSTED`, as the gateway says them).
const REFUSALS: [u16; 2] = [400, 429];

/// One writer's connection.
#[derive(Debug)]
pub(super) struct EtcdWay {
    target: Arc<Target>,
    port: u16,
    kept: Kept<Connection>,
}

/// A part of the keys.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Page {
    kvs: Vec<Pair>,
}

/// What a key holds, in base64, and the revision of the store that made it (64 bits are text in JSON).
#[derive(Deserialize)]
struct Pair {
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
                    _ if REFUSALS.contains(&status) => Put::Failed(said(status, &answer)),
                    _ => Put::Indeterminate(said(status, &answer)),
                }
            }
        }
    }

    /// In the order in which they were made.
    pub(super) async fn read_back(&mut self) -> Result<Vec<u8>, String> {
        let (_, mut connection) = self.connection().await?;
        let (mut bytes, mut from) = (Vec::new(), 0_u64);
        loop {
            let range = json!({
                "key": BASE64.encode(PREFIX),
                "range_end": BASE64.encode(AFTER),
                "sort_target": "CREATE",
                "sort_order": "ASCEND",
                "min_create_revision": from.to_string(),
                "limit": AT_ONCE.to_string(),
            });
            let (status, answer) = asked(&mut connection, "range", &range).await?;
            if status != 200 {
                return Err(said(status, &answer));
            }
            let page: Page = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
            let Some(last) = page.kvs.last() else { return Ok(bytes) };
            let made: u64 = last.create_revision.parse().map_err(|_| "no revision".to_owned())?;
            from = made.saturating_add(1);
            for pair in &page.kvs {
                let value = BASE64.decode(&pair.value);
                add_line(&mut bytes, &value.map_err(|error| format!("no base64: {error}"))?)?;
            }
        }
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
    exchange(connection, "POST", &format!("/v3/kv/{what}"), Bytes::from(body.to_string())).await
}

/// What etcd says of itself, or else its status.
fn said(status: u16, answer: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(answer).unwrap_or_default();
    said["error"].as_str().map_or_else(|| format!("status {status}"), str::to_owned)
}
