//! Records by HTTP: a connection that is kept, opened in the container's network namespace.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::timeout;

use super::{
    super::http::{BODY, Connection, connect, exchange},
    driver::Target,
    kept::Kept,
    way::{LARGEST, Put},
};

/// The most of a refusal's text that is kept.
const REASON: usize = 200;

/// One writer's connection.
#[derive(Debug)]
pub(super) struct HttpWay {
    target: Arc<Target>,
    port: u16,
    path: String,
    kept: Kept<Connection>,
}

impl HttpWay {
    pub(super) fn new(target: Arc<Target>, port: u16, path: &str) -> Self {
        Self { target, port, path: path.trim_end_matches('/').to_owned(), kept: Kept::none() }
    }

    pub(super) async fn put(&mut self, key: &str, line: &str, within: Duration) -> Put {
        let path = format!("{}/{key}", self.path);
        let connected = match timeout(within, self.connection()).await {
            Ok(connected) => connected,
            Err(_) => Err(format!("no connection within {} ms", within.as_millis())),
        };
        let (generation, mut connection) = match connected {
            Ok(open) => open,
            // nothing has left
            Err(reason) => return Put::Failed(reason),
        };
        let body = Bytes::copy_from_slice(line.as_bytes());
        match timeout(within, exchange(&mut connection, "PUT", &path, body, BODY)).await {
            Err(_) => Put::Indeterminate(format!("no reply within {} ms", within.as_millis())),
            Ok(Err(reason)) => Put::Indeterminate(reason),
            Ok(Ok((status, body))) => {
                self.kept.keep(generation, connection);
                if (200..300).contains(&status) {
                    return Put::Acknowledged;
                }
                let text = String::from_utf8_lossy(&body[..body.len().min(REASON)]).into_owned();
                Put::Failed(format!("{status} {}", text.trim()))
            }
        }
    }

    pub(super) async fn read_back(&mut self) -> Result<Vec<u8>, String> {
        let (_, mut connection) = self.connection().await?;
        let nothing = Bytes::new();
        let (status, body) = exchange(&mut connection, "GET", &self.path, nothing, LARGEST).await?;
        if (200..300).contains(&status) {
            return Ok(body.to_vec());
        }
        Err(format!("GET {} answered {status}", self.path))
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
