//! The file: how it is opened, what it must be, and its tables.
//!
//! One file at rest, without a write-ahead log: caches of CI systems take it along with a plain copy,
//! and it lies well on any filesystem. Writers take turns and wait for each other.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::HistoryError;

/// Its name in the directory of the reports.
pub const FILE: &str = "history.sqlite";

/// How long another process may hold it; adding a run takes milliseconds.
const WAIT: Duration = Duration::from_secs(4);

/// `khl1`: tells our file from those of other programs.
const APPLICATION: i64 = 0x6b68_6c31;

/// Version of the tables.
const VERSION: i64 = 2;

/// Times are microseconds, points in time since 1970 UTC. A seed is text: it may be larger than
/// any number here.
const TABLES: &str = "
CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  run TEXT NOT NULL UNIQUE,
  started_us INTEGER NOT NULL,
  took_us INTEGER NOT NULL,
  verdict TEXT NOT NULL,
  ended INTEGER NOT NULL,
  version TEXT NOT NULL,
  seed TEXT NOT NULL,
  commit_id TEXT,
  commit_from TEXT
) STRICT;
CREATE INDEX runs_by_time ON runs (started_us);
CREATE TABLE cases (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
  name TEXT NOT NULL,
  scenario TEXT NOT NULL,
  cell TEXT NOT NULL,
  control TEXT,
  verdict TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  flaky INTEGER NOT NULL,
  took_us INTEGER NOT NULL,
  seed TEXT NOT NULL,
  fingerprint TEXT,
  sets TEXT
) STRICT;
CREATE INDEX cases_by_run ON cases (run);
CREATE INDEX cases_by_name ON cases (name);
CREATE INDEX cases_by_scenario ON cases (scenario);
CREATE TABLE recoveries (
  \"case\" INTEGER NOT NULL REFERENCES cases ON DELETE CASCADE,
  objective TEXT NOT NULL,
  took_us INTEGER,
  limit_us INTEGER,
  PRIMARY KEY (\"case\", objective)
) STRICT, WITHOUT ROWID;
";

/// What version 2 has more than version 1.
const SECOND: &str = "ALTER TABLE cases ADD COLUMN sets TEXT";

/// An open history.
#[derive(Debug)]
pub struct History {
    pub(super) connection: Connection,
    path: PathBuf,
}

impl History {
    /// Opens one that is there.
    ///
    /// # Errors
    /// When it is missing, damaged, another program's, newer than this keelhaul, or locked.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let history = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if history.is_empty()? {
            return Err(HistoryError::Missing(path.to_owned()));
        }
        // what is asked for changes nothing, but a writer that died half-way is rolled back
        history.told(history.connection.pragma_update(None, "query_only", true))?;
        Ok(history)
    }

    /// Opens one, and makes it where there is none.
    ///
    /// # Errors
    /// As [`History::open`], and when it cannot be made. One that is damaged is never overwritten.
    pub fn open_or_make(path: &Path) -> Result<Self, HistoryError> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| HistoryError::of_io(path, &error))?;
        }
        let make = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut history = Self::connect(path, make)?;
        if history.is_empty()? {
            history.make()?;
        }
        let grown = history.grow();
        history.told(grown)?;
        Ok(history)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, HistoryError> {
        match fs::metadata(path) {
            // a pipe would have it wait for ever
            Ok(facts) if !facts.is_file() => {
                let why = "it is not a regular file".to_owned();
                return Err(HistoryError::Foreign { path: path.to_owned(), why });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !flags.contains(OpenFlags::SQLITE_OPEN_CREATE) {
                    return Err(HistoryError::Missing(path.to_owned()));
                }
            }
            Err(error) => return Err(HistoryError::of_io(path, &error)),
            Ok(_) => {}
        }
        let opened = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
        let connection = opened.map_err(|error| HistoryError::of(path, &error))?;
        let history = Self { connection, path: path.to_owned() };
        history.told(history.settings())?;
        history.check()?;
        Ok(history)
    }

    fn settings(&self) -> rusqlite::Result<()> {
        self.connection.busy_timeout(WAIT)?;
        self.connection.pragma_update(None, "foreign_keys", true)?;
        // a file from elsewhere runs nothing of its own
        self.connection.pragma_update(None, "trusted_schema", false)
    }

    /// Ours, of a version that we know, and whole.
    fn check(&self) -> Result<(), HistoryError> {
        let path = || self.path.clone();
        let number = |name| {
            let value = self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            self.told(value)
        };
        if self.is_empty()? {
            return Ok(());
        }
        if number("application_id")? != APPLICATION {
            let why = "it is a database of another program".to_owned();
            return Err(HistoryError::Foreign { path: path(), why });
        }
        let found = number("user_version")?;
        if found > VERSION {
            return Err(HistoryError::Newer { path: path(), found, known: VERSION });
        }
        let said = self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
        let said: String = self.told(said)?;
        if said == "ok" { Ok(()) } else { Err(HistoryError::Damaged { path: path(), why: said }) }
    }

    /// Whether it is of the first version: whoever only reads it leaves it so, for those who know no other.
    pub(super) fn is_first(connection: &Connection) -> rusqlite::Result<bool> {
        let version =
            connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        version.map(|version| version == 1)
    }

    /// Gives the tables of an older version what they lack, unless another process was first.
    fn grow(&mut self) -> rusqlite::Result<()> {
        if !Self::is_first(&self.connection)? {
            return Ok(());
        }
        let turn = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if Self::is_first(&turn)? {
            turn.execute_batch(SECOND)?;
            turn.pragma_update(None, "user_version", VERSION)?;
        }
        turn.commit()
    }

    fn is_empty(&self) -> Result<bool, HistoryError> {
        let query = "SELECT count(*) FROM sqlite_schema";
        let tables = self.connection.query_row(query, [], |row| row.get::<_, i64>(0));
        Ok(self.told(tables)? == 0)
    }

    /// Makes the tables, unless another process was first.
    fn make(&mut self) -> Result<(), HistoryError> {
        let made = self.make_tables();
        self.told(made)
    }

    fn make_tables(&mut self) -> rusqlite::Result<()> {
        let turn = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let query = "SELECT count(*) FROM sqlite_schema";
        if turn.query_row(query, [], |row| row.get::<_, i64>(0))? == 0 {
            turn.execute_batch(TABLES)?;
            turn.pragma_update(None, "application_id", APPLICATION)?;
            turn.pragma_update(None, "user_version", VERSION)?;
        }
        turn.commit()
    }

    /// What SQLite says, in words for a user.
    pub(super) fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, HistoryError> {
        result.map_err(|error| HistoryError::of(&self.path, &error))
    }
}
