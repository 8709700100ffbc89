//! Adds runs, and drops the oldest when there are too many.

use rusqlite::{Statement, Transaction, TransactionBehavior, params};

use super::{
    entry::{CaseEntry, RunEntry},
    error::HistoryError,
    file::History,
};

/// Runs that are kept.
pub const MOST_RUNS: u32 = 2_000;
/// Cases that are kept, over all runs; the newest run is kept whole. About 30 MB.
pub const MOST_CASES: u32 = 100_000;

/// What became of a run that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// It is in the history now.
    New,
    /// It was there already.
    Known,
    /// It was there cut short, and is there whole now.
    Completed,
}

/// Every run but the newest that lie within both limits.
const TOO_OLD: &str = "
DELETE FROM runs WHERE id IN (
  SELECT id FROM (
    SELECT id,
      row_number() OVER newest AS place,
      sum((SELECT count(*) FROM cases WHERE cases.run = runs.id)) OVER newest AS total
    FROM runs
    WINDOW newest AS (ORDER BY started_us DESC, id DESC ROWS UNBOUNDED PRECEDING)
  ) WHERE place > 1 AND (place > ?1 OR total > ?2)
)";

impl History {
    /// Adds runs, all or none, each once.
    ///
    /// # Errors
    /// When the file is locked, damaged, or cannot be written.
    pub fn add(&mut self, runs: &[RunEntry]) -> Result<Vec<Added>, HistoryError> {
        let added = self.add_within(runs, (MOST_RUNS, MOST_CASES));
        self.told(added)
    }

    fn add_within(
        &mut self,
        runs: &[RunEntry],
        (most_runs, most_cases): (u32, u32),
    ) -> rusqlite::Result<Vec<Added>> {
        let turn = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let added: Result<Vec<Added>, _> = runs.iter().map(|run| add(&turn, run)).collect();
        turn.execute(TOO_OLD, [most_runs, most_cases])?;
        let added = added?;
        turn.commit()?;
        Ok(added)
    }
}

fn add(turn: &Transaction<'_>, run: &RunEntry) -> rusqlite::Result<Added> {
    let mut known = turn.prepare("SELECT ended FROM runs WHERE run = ?1")?;
    let mut known = known.query_map([&run.run], |row| row.get::<_, bool>(0))?;
    let added = match known.next().transpose()? {
        None => Added::New,
        Some(false) if run.ended => Added::Completed,
        Some(_) => return Ok(Added::Known),
    };
    turn.execute("DELETE FROM runs WHERE run = ?1", [&run.run])?;
    turn.execute(
        "INSERT INTO runs (run, started_us, took_us, verdict, ended, version, seed, commit_id, \
         commit_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            run.run,
            run.started_us,
            run.took_us,
            run.verdict.word(),
            run.ended,
            run.version,
            run.seed.to_string(),
            run.commit.as_ref().map(|commit| &commit.id),
            run.commit.as_ref().map(|commit| &commit.from),
        ],
    )?;
    let id = turn.last_insert_rowid();
    let mut insert = (turn.prepare(CASE)?, turn.prepare(RECOVERY)?);
    run.cases.iter().try_for_each(|case| add_case(&mut insert, id, case))?;
    Ok(added)
}

const CASE: &str = "
INSERT INTO cases (run, name, scenario, cell, control, verdict, attempts, flaky, took_us, seed, fingerprint,
  sets)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

const RECOVERY: &str =
    "INSERT INTO recoveries (\"case\", objective, took_us, limit_us) VALUES (?1, ?2, ?3, ?4)";

fn add_case(
    (insert, recovery): &mut (Statement<'_>, Statement<'_>),
    run: i64,
    case: &CaseEntry,
) -> rusqlite::Result<()> {
    let id = insert.insert(params![
        run,
        case.name,
        case.scenario,
        case.cell,
        case.control,
        case.verdict.word(),
        case.attempts,
        case.flaky,
        case.took_us,
        case.seed.to_string(),
        case.fingerprint,
        case.sets,
    ])?;
    case.recoveries.iter().try_for_each(|one| {
        recovery.execute(params![id, one.objective, one.took_us, one.limit_us]).map(|_| ())
    })
}

#[cfg(test)]
mod tests {
    use super::{super::read::Filter, *};
    use crate::verdict::Verdict;

    fn run(number: i64, cases: usize) -> RunEntry {
        let case = |case| CaseEntry {
            name: format!("c{case}"),
            scenario: "c".into(),
            cell: String::new(),
            control: None,
            verdict: Verdict::Pass,
            attempts: 1,
            flaky: false,
            took_us: 5,
            seed: u64::MAX,
            fingerprint: None,
            sets: None,
            recoveries: Vec::new(),
        };
        RunEntry {
            run: format!("k{number}"),
            started_us: number,
            took_us: 7,
            verdict: Verdict::Pass,
            ended: true,
            version: "0".into(),
            seed: u64::MAX,
            commit: None,
            cases: (0..cases).map(case).collect(),
        }
    }

    fn kept(history: &History) -> Vec<RunEntry> {
        history.runs(&Filter::default()).unwrap()
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_and_the_newest_stays_whatever_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::open_or_make(&dir.path().join("h")).unwrap();
        let names = |history: &History| -> Vec<String> {
            kept(history).into_iter().map(|run| run.run).collect()
        };
        for number in [3, 1, 2, 4] {
            history.add_within(&[run(number, 2)], (3, 100)).unwrap();
        }
        assert_eq!(names(&history), ["k2", "k3", "k4"], "by runs, by their own time");
        history.add_within(&[run(5, 2)], (100, 5)).unwrap();
        assert_eq!(names(&history), ["k4", "k5"], "by cases");
        history.add_within(&[run(6, 9)], (100, 5)).unwrap();
        assert_eq!(names(&history), ["k6"]);
        let orphans = "SELECT count(*) FROM cases";
        let cases: i64 = history.connection.query_row(orphans, [], |row| row.get(0)).unwrap();
        assert_eq!(cases, 9, "the cases of those that went are gone");
    }

    #[test]
    fn what_was_added_is_read_back_once_and_a_run_cut_short_is_completed() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::open_or_make(&dir.path().join("h")).unwrap();
        let whole = run(1, 3);
        let cut = RunEntry { ended: false, verdict: Verdict::Error, ..run(1, 1) };
        for (given, expected) in [
            (&cut, Added::New),
            (&cut, Added::Known),
            (&whole, Added::Completed),
            (&whole, Added::Known),
            (&cut, Added::Known),
        ] {
            assert_eq!(history.add(std::slice::from_ref(given)).unwrap(), [expected]);
        }
        assert_eq!(kept(&history), [whole]);
    }

    #[test]
    fn several_at_once_take_turns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("h");
        std::thread::scope(|scope| {
            for number in 0..6 {
                let path = &path;
                scope.spawn(move || {
                    History::open_or_make(path).unwrap().add(&[run(number, 50)]).unwrap();
                });
            }
        });
        assert_eq!(kept(&History::open(&path).unwrap()).len(), 6);
    }
}
