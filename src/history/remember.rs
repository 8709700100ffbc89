//! What earlier runs measured of the recoveries of this one: events, so that reports show the same
//! whenever they are rendered.

use rusqlite::{Row, Statement, params};

use super::{error::HistoryError, file::History};
use crate::{
    report::cases,
    run::{Earlier, Event, RunRecord},
};

/// Earlier runs of each recovery.
const EARLIER: u32 = 19;
/// Recoveries of a run that are looked up.
const SERIES: usize = 2_000;

const LAST: &str = "
SELECT runs.run, runs.started_us, recoveries.took_us
FROM cases
JOIN runs ON runs.id = cases.run
JOIN recoveries ON recoveries.\"case\" = cases.id AND recoveries.objective = ?2
WHERE cases.name = ?1 AND runs.run <> ?3
ORDER BY runs.started_us DESC, runs.id DESC LIMIT ?4";

impl History {
    /// An event for each recovery of a run that earlier runs have measured too.
    ///
    /// # Errors
    /// When the file is locked or damaged.
    pub fn remembered(&self, record: &RunRecord) -> Result<Vec<Event>, HistoryError> {
        let run = record.start.as_ref().map_or("", |start| start.run.as_str());
        let mut asked: Vec<(&str, &str)> = Vec::new();
        for case in cases(record) {
            let case = case.last();
            let of_case = case.recoveries.iter().map(|it| it.assertion.as_str());
            asked.extend(of_case.map(|assertion| (case.start.case.as_str(), assertion)));
        }
        asked.dedup();
        let mut events = Vec::new();
        let mut query = self.told(self.connection.prepare(LAST))?;
        for (case, assertion) in asked.into_iter().take(SERIES) {
            let earlier = self.told(earlier(&mut query, [case, assertion, run]))?;
            if !earlier.is_empty() {
                let (case, assertion) = (case.to_owned(), assertion.to_owned());
                events.push(Event::Remembered { case, assertion, earlier });
            }
        }
        Ok(events)
    }
}

/// Of a case, an assertion, and in every run but this; oldest first.
fn earlier(
    query: &mut Statement<'_>,
    [case, assertion, run]: [&str; 3],
) -> rusqlite::Result<Vec<Earlier>> {
    let of_row = |row: &Row<'_>| {
        let started = jiff::Timestamp::from_microsecond(row.get(1)?);
        let started = started.map_or_else(|_| String::new(), |at| format!("{at:.0}"));
        Ok(Earlier { run: row.get(0)?, started, recovery_us: row.get(2)? })
    };
    let found = query.query_map(params![case, assertion, run, EARLIER], of_row)?;
    let mut found: Vec<Earlier> = found.collect::<Result<_, _>>()?;
    found.reverse();
    Ok(found)
}
