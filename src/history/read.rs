//! Reads runs back.

use rusqlite::{OptionalExtension as _, Row, Statement, params};

use super::{
    entry::{CaseEntry, Recovery, RunEntry},
    error::HistoryError,
    file::History,
};
use crate::{
    diagnostic::{listed, suggest},
    run::Commit,
    verdict::Verdict,
};

/// Names in a hint.
const NAMED: u32 = 5;

/// Which runs, and what of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this scenario, and runs that have it.
    pub scenario: Option<String>,
    /// Only the newest ones.
    pub last: Option<u32>,
    /// Only those that started then or later, in microseconds since 1970 UTC.
    pub since_us: Option<i64>,
}

const RUNS: &str = "
SELECT id, run, started_us, took_us, verdict, ended, version, seed, commit_id, commit_from
FROM runs
WHERE started_us >= ?1
  AND (?2 IS NULL OR EXISTS (SELECT 1 FROM cases WHERE cases.run = runs.id AND scenario = ?2))
ORDER BY started_us DESC, id DESC LIMIT ?3";

const CASES: &str = "
SELECT id, name, scenario, cell, control, verdict, attempts, flaky, took_us, seed, fingerprint,
  sets
FROM cases WHERE run = ?1 AND (?2 IS NULL OR scenario = ?2) ORDER BY id";

const RECOVERIES: &str =
    "SELECT objective, took_us, limit_us FROM recoveries WHERE \"case\" = ?1 ORDER BY objective";

impl History {
    /// Runs, oldest first.
    ///
    /// # Errors
    /// When the file is locked or damaged, or the scenario that is asked for is nowhere in it.
    pub fn runs(&self, filter: &Filter) -> Result<Vec<RunEntry>, HistoryError> {
        if let Some(name) = &filter.scenario {
            self.known_scenario(name)?;
        }
        self.told(self.read(filter))
    }

    /// A run by its id, the beginning of it, or `latest`.
    ///
    /// # Errors
    /// When none or several are called so, or the file is locked or damaged.
    pub fn run(&self, name: &str) -> Result<RunEntry, HistoryError> {
        let latest = self.told(self.names("", 1))?;
        let begin = match latest.first() {
            Some(run) if name == "latest" => run.as_str(),
            _ => name,
        };
        let found = self.told(self.names(begin, NAMED))?;
        let id = match found.as_slice() {
            [] => {
                let newest = self.told(self.names("", NAMED))?;
                let these = listed(newest.iter().map(String::as_str));
                let hint = format!("the newest are {these}; `keelhaul history add` adds others");
                return Err(HistoryError::NoRun { name: name.to_owned(), hint });
            }
            [one] => one,
            several => match several.iter().find(|run| *run == begin) {
                Some(whole) => whole,
                None => {
                    let these = listed(several.iter().map(String::as_str));
                    return Err(HistoryError::Ambiguous { name: name.to_owned(), these });
                }
            },
        };
        self.told(self.one(id))
    }

    fn known_scenario(&self, name: &str) -> Result<(), HistoryError> {
        let known = self.told(self.scenarios())?;
        if known.iter().any(|known| known == name) {
            return Ok(());
        }
        let hint = suggest(name, known.iter().map(String::as_str));
        let hint = hint.unwrap_or_else(|| "it has no scenario at all".into());
        Err(HistoryError::NoScenario { name: name.to_owned(), hint })
    }

    fn scenarios(&self) -> rusqlite::Result<Vec<String>> {
        let query = "SELECT DISTINCT scenario FROM cases ORDER BY scenario LIMIT 1000";
        self.connection.prepare(query)?.query_map([], |row| row.get(0))?.collect()
    }

    /// Ids of the newest runs that begin so.
    fn names(&self, begin: &str, most: u32) -> rusqlite::Result<Vec<String>> {
        let query = "SELECT run FROM runs WHERE substr(run, 1, length(?1)) = ?1 \
                     ORDER BY run <> ?1, started_us DESC, id DESC LIMIT ?2";
        let mut query = self.connection.prepare(query)?;
        query.query_map(params![begin, most], |row| row.get(0))?.collect()
    }

    fn one(&self, run: &str) -> rusqlite::Result<RunEntry> {
        let query = RUNS.replace("started_us >= ?1", "run = ?1");
        let mut query = self.connection.prepare(&query)?;
        let found = query.query_row(params![run, None::<String>, 1], of_run).optional()?;
        let (id, mut run) = found.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        run.cases = self.of_cases()?.read(id, None)?;
        Ok(run)
    }

    fn read(&self, filter: &Filter) -> rusqlite::Result<Vec<RunEntry>> {
        // one state of the file, whoever adds to it meanwhile
        let turn = self.connection.unchecked_transaction()?;
        let mut query = turn.prepare(RUNS)?;
        let (since, scenario) = (filter.since_us.unwrap_or(i64::MIN), filter.scenario.as_deref());
        let most = filter.last.map_or(-1, i64::from);
        let runs: Result<Vec<_>, _> =
            query.query_map(params![since, scenario, most], of_run)?.collect();
        let (mut found, mut cases) = (Vec::new(), self.of_cases()?);
        for (id, mut run) in runs? {
            run.cases = cases.read(id, scenario)?;
            found.push(run);
        }
        found.reverse();
        Ok(found)
    }

    fn of_cases(&self) -> rusqlite::Result<Cases<'_>> {
        let query = match Self::is_first(&self.connection)? {
            true => CASES.replace("\n  sets\n", "\n  NULL\n"),
            false => CASES.to_owned(),
        };
        let (cases, recoveries) = (self.connection.prepare(&query)?, RECOVERIES);
        Ok(Cases { cases, recoveries: self.connection.prepare(recoveries)? })
    }
}

/// The queries for the cases of a run, prepared once for all.
struct Cases<'a> {
    cases: Statement<'a>,
    recoveries: Statement<'a>,
}

impl Cases<'_> {
    fn read(&mut self, run: i64, scenario: Option<&str>) -> rusqlite::Result<Vec<CaseEntry>> {
        let cases = self.cases.query_map(params![run, scenario], of_case)?;
        let mut found = Vec::new();
        for case in cases {
            let (id, mut case) = case?;
            let recoveries = self.recoveries.query_map([id], of_recovery)?;
            case.recoveries = recoveries.collect::<Result<_, _>>()?;
            found.push(case);
        }
        Ok(found)
    }
}

fn of_recovery(row: &Row<'_>) -> rusqlite::Result<Recovery> {
    Ok(Recovery { objective: row.get(0)?, took_us: row.get(1)?, limit_us: row.get(2)? })
}

fn of_run(row: &Row<'_>) -> rusqlite::Result<(i64, RunEntry)> {
    let commit = row.get::<_, Option<String>>(8)?.zip(row.get::<_, Option<String>>(9)?);
    let run = RunEntry {
        run: row.get(1)?,
        started_us: row.get(2)?,
        took_us: row.get(3)?,
        verdict: verdict(row, 4)?,
        ended: row.get(5)?,
        version: row.get(6)?,
        seed: parsed(row, 7)?,
        commit: commit.map(|(id, from)| Commit { id, from }),
        cases: Vec::new(),
    };
    Ok((row.get(0)?, run))
}

fn of_case(row: &Row<'_>) -> rusqlite::Result<(i64, CaseEntry)> {
    let case = CaseEntry {
        name: row.get(1)?,
        scenario: row.get(2)?,
        cell: row.get(3)?,
        control: row.get(4)?,
        verdict: verdict(row, 5)?,
        attempts: row.get(6)?,
        flaky: row.get(7)?,
        took_us: row.get(8)?,
        seed: parsed(row, 9)?,
        fingerprint: row.get(10)?,
        sets: row.get(11)?,
        recoveries: Vec::new(),
    };
    Ok((row.get(0)?, case))
}

fn verdict(row: &Row<'_>, column: usize) -> rusqlite::Result<Verdict> {
    let word: String = row.get(column)?;
    let known =
        [Verdict::Pass, Verdict::Skipped, Verdict::Inconclusive, Verdict::Error, Verdict::Fail];
    known.into_iter().find(|verdict| verdict.word() == word).ok_or_else(|| odd(column, &word))
}

fn parsed(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let text: String = row.get(column)?;
    text.parse().map_err(|_| odd(column, &text))
}

/// A value that we have not written.
fn odd(column: usize, text: &str) -> rusqlite::Error {
    let why = format!("`{text}` is no value of ours");
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, why.into())
}
