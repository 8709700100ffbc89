//! Records in Redis: an element of a list per record, over a connection that is kept.
//!
//! With `appendfsync always` a reply is sent once the append-only file is flushed; with the other
//! settings a reply promises nothing to the disk (Redis manual, "Persistence").

use std::{fmt, sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError, aio::MultiplexedConnection,
};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::loopback,
    driver::Target,
    kept::Kept,
    way::{Put, add_line},
};
use crate::protocol::RedisLogin;

/// The list.
const LIST: &str = "keelhaul_ledger";
/// Elements that are read at a time.
const AT_ONCE: isize = 1000;

/// One writer's connection.
#[derive(Debug)]
pub(super) struct RedisWay {
    target: Arc<Target>,
    login: RedisLogin,
    kept: Kept<Session>,
}

/// A connection, and what moves its bytes: it ends with it, whoever else has a hand on it.
struct Session {
    connection: MultiplexedConnection,
    _driver: AbortOnDropHandle<()>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl RedisWay {
    pub(super) fn new(target: Arc<Target>, login: &RedisLogin) -> Self {
        Self { target, login: login.clone(), kept: Kept::none() }
    }

    pub(super) async fn put(&mut self, line: &str, within: Duration) -> Put {
        let (generation, mut session) = match timeout(within, self.session()).await {
            Ok(Ok(open)) => open,
            // nothing has left
            Ok(Err(reason)) => return Put::Failed(reason),
            Err(_) => return Put::Failed(format!("no session within {} ms", within.as_millis())),
        };
        let mut command = redis::cmd("RPUSH");
        let pushed = command.arg(LIST).arg(line).query_async::<i64>(&mut session.connection);
        match timeout(within, pushed).await {
            Err(_) => Put::Indeterminate(format!("no answer within {} ms", within.as_millis())),
            Ok(Ok(_)) => {
                self.kept.keep(generation, session);
                Put::Acknowledged
            }
            Ok(Err(error)) if is_refusal(&error) => {
                self.kept.keep(generation, session);
                Put::Failed(error.to_string())
            }
            Ok(Err(error)) => Put::Indeterminate(error.to_string()),
        }
    }

    pub(super) async fn read_back(&mut self) -> Result<Vec<u8>, String> {
        let (_, mut session) = self.session().await?;
        let mut bytes = Vec::new();
        for first in (0_isize..).step_by(AT_ONCE.unsigned_abs()) {
            let mut command = redis::cmd("LRANGE");
            let range = command.arg(LIST).arg(first).arg(first + AT_ONCE - 1);
            let read = range.query_async::<Vec<Vec<u8>>>(&mut session.connection).await;
            let lines = read.map_err(|error| error.to_string())?;
            if lines.is_empty() {
                break;
            }
            for line in lines {
                add_line(&mut bytes, &line)?;
            }
        }
        Ok(bytes)
    }

    /// The session that is kept, unless the container is another one now.
    async fn session(&mut self) -> Result<(u64, Session), String> {
        let generation = self.target.generation();
        match self.kept.take(generation) {
            Some(session) => Ok((generation, session)),
            None => Ok((generation, self.connect().await?)),
        }
    }

    async fn connect(&self) -> Result<Session, String> {
        let stream = loopback::connect(self.target.init().await?, self.login.port).await?;
        let mut info = RedisConnectionInfo::default();
        if let Some(password) = &self.login.password {
            info = info.set_password(password);
        }
        // the ledger has a time of its own for every operation
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (connection, driver) = opened.map_err(|error| error.to_string())?;
        Ok(Session { connection, _driver: AbortOnDropHandle::new(tokio::spawn(driver)) })
    }
}

/// The server says that it did not do this.
fn is_refusal(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}
