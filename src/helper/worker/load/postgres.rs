//! Records in PostgreSQL: a row per record, over a connection that is kept.
//!
//! The return of an `INSERT` outside a transaction is the server's word that the row is committed,
//! and with `synchronous_commit` (its default) that the log of it is flushed
//! (PostgreSQL manual, "Reliability and the Write-Ahead Log").

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;
use tokio::time::timeout;
use tokio_postgres::{Client, Error, NoTls, Statement, error::SqlState, types::ToSql};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::loopback,
    driver::Target,
    kept::Kept,
    way::{Put, add_line},
};
use crate::protocol::PostgresLogin;

/// The order of rows is the order of insertion: a sequence never goes back, not even in recovery.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS keelhaul_ledger \
                     (n bigserial PRIMARY KEY, key text NOT NULL, record text NOT NULL)";
const INSERT: &str = "INSERT INTO keelhaul_ledger (key, record) VALUES ($1, $2)";
const SELECT: &str = "SELECT record FROM keelhaul_ledger ORDER BY n";

/// One writer's connection.
#[derive(Debug)]
pub(super) struct PostgresWay {
    target: Arc<Target>,
    login: PostgresLogin,
    kept: Kept<Session>,
}

/// A connection, with what it has prepared.
struct Session {
    client: Client,
    insert: Statement,
    /// Moves its bytes. It ends with it: left alone it would wait for an answer for as long as a disk
    /// hangs, one more for each record.
    _driver: Driver,
}

type Driver = AbortOnDropHandle<()>;

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

impl PostgresWay {
    pub(super) fn new(target: Arc<Target>, login: &PostgresLogin) -> Self {
        Self { target, login: login.clone(), kept: Kept::none() }
    }

    pub(super) async fn put(&mut self, key: &str, line: &str, within: Duration) -> Put {
        let (generation, session) = match timeout(within, self.session()).await {
            Ok(Ok(open)) => open,
            // nothing has left
            Ok(Err(reason)) => return Put::Failed(reason),
            Err(_) => return Put::Failed(format!("no session within {} ms", within.as_millis())),
        };
        let row: [&(dyn ToSql + Sync); 2] = [&key, &line];
        let inserted = session.client.execute(&session.insert, &row);
        match timeout(within, inserted).await {
            Err(_) => Put::Indeterminate(format!("no answer within {} ms", within.as_millis())),
            Ok(Ok(_)) => {
                self.kept.keep(generation, session);
                Put::Acknowledged
            }
            Ok(Err(error)) if is_refusal(&error) => {
                self.kept.keep(generation, session);
                Put::Failed(text(&error))
            }
            Ok(Err(error)) => Put::Indeterminate(text(&error)),
        }
    }

    pub(super) async fn read_back(&mut self) -> Result<Vec<u8>, String> {
        let (client, _driver) = self.connect().await?;
        let mut bytes = Vec::new();
        let rows = match client.query_raw(SELECT, [0_i64; 0]).await {
            Ok(rows) => rows,
            // the table went with all that was in it
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => return Ok(bytes),
            Err(error) => return Err(text(&error)),
        };
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await.map_err(|error| text(&error))? {
            let record: &str = row.try_get(0).map_err(|error| text(&error))?;
            add_line(&mut bytes, record.as_bytes())?;
        }
        Ok(bytes)
    }

    /// The session that is kept, unless the container is another one now.
    async fn session(&mut self) -> Result<(u64, Session), String> {
        let generation = self.target.generation();
        match self.kept.take(generation) {
            Some(session) if !session.client.is_closed() => Ok((generation, session)),
            _ => Ok((generation, prepare(self.connect().await?).await?)),
        }
    }

    async fn connect(&self) -> Result<(Client, Driver), String> {
        let stream = loopback::connect(self.target.init().await?, self.login.port).await?;
        let mut config = tokio_postgres::Config::new();
        config.user(&self.login.user).dbname(&self.login.database).application_name("keelhaul");
        if let Some(password) = &self.login.password {
            config.password(password);
        }
        let opened = config.connect_raw(stream, NoTls).await;
        let (client, connection) = opened.map_err(|error| text(&error))?;
        // how it ends is told to whoever asks the client
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok((client, AbortOnDropHandle::new(driver)))
    }
}

async fn prepare((client, _driver): (Client, Driver)) -> Result<Session, String> {
    match client.batch_execute(TABLE).await {
        Err(error) if !is_there(&error) => return Err(text(&error)),
        _ => {}
    }
    let insert = client.prepare(INSERT).await.map_err(|error| text(&error))?;
    Ok(Session { client, insert, _driver })
}

/// Another writer made the table at the same moment: `IF NOT EXISTS` does not lock the name.
fn is_there(error: &Error) -> bool {
    let code = error.code();
    code == Some(&SqlState::UNIQUE_VIOLATION) || code == Some(&SqlState::DUPLICATE_TABLE)
}

/// The server says that this statement has not happened. After FATAL and PANIC the connection is
/// gone, and what it did last may be durable.
fn is_refusal(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| error.severity() == "ERROR")
}

/// What the server says, or what went wrong here, with its cause: a server that wants a password is
/// only `invalid configuration` without it.
fn text(error: &Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(said), _) => {
            format!("{} {}: {}", said.severity(), said.code().code(), said.message())
        }
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}
