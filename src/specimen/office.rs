//! Whether records are ours to take, where the volume is handed over from leader to leader.
//!
//! Each term has a journal of its own, begun with all that the terms before kept, so an old leader
//! that wakes up late writes where nobody looks any more. A record is acknowledged only if its term
//! was still the latest *after* the record was durable: whoever begins the next term makes its file
//! first and copies the journal second, so it has every record that was ever acknowledged.

use std::fs;
use std::io;

use super::args::SpecimenArgs;
use super::follow::Leader;
use super::journal::{Journal, sync_dir};
use super::session::replace;
use super::terms::Terms;
use super::weakness::Weakness;

pub(super) struct Office {
    /// None where the records stay with the service.
    terms: Option<Terms>,
    for_ever: bool,
}

impl Office {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        let terms = args.elect_in.clone().filter(|_| args.hand_over).map(Terms::new);
        Self { terms, for_ever: args.has(Weakness::LeadsForEver) }
    }

    /// Whether records of `elected`, the term that we were elected for, may be written. Changes to
    /// its journal when it is a new one.
    pub(super) fn enter(&self, journal: &mut Journal, elected: u64) -> io::Result<bool> {
        let Some(terms) = &self.terms else { return Ok(true) };
        if elected > journal.term() {
            inherit(terms, elected)?;
            journal.begin_term(terms.journal(elected), elected);
        }
        self.holds(journal)
    }

    /// Whether the term of this journal is still the latest.
    pub(super) fn holds(&self, journal: &Journal) -> io::Result<bool> {
        let Some(terms) = &self.terms else { return Ok(true) };
        if journal.term() == 0 || self.for_ever {
            return Ok(journal.term() > 0);
        }
        Ok(terms.latest()? == Some(journal.term()))
    }

    /// Who leads; none where records stay with the service, and before the first term.
    pub(super) fn leader(&self) -> io::Result<Option<Leader>> {
        let Some(terms) = &self.terms else { return Ok(None) };
        let Some(term) = terms.latest()? else { return Ok(None) };
        let name = terms.leader(term)?;
        Ok((!name.is_empty()).then_some(Leader { term, name }))
    }

    /// Whether records go with the volume.
    pub(super) fn hands_over(&self) -> bool {
        self.terms.is_some()
    }
}

/// Begins a term's journal with what the terms before it kept: as a whole, or not at all.
fn inherit(terms: &Terms, term: u64) -> io::Result<()> {
    let journal = terms.journal(term);
    let kept = match terms.last_journal_before(term)? {
        Some(before) => fs::read(terms.journal(before))?,
        None => Vec::new(),
    };
    replace(&journal, &kept)?;
    sync_dir(&journal)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::tests::harness::args;
    use super::*;
    use crate::ledger::{Record, RecordId};

    fn open(dir: &Path, more: &[&str]) -> (Office, Journal, Terms) {
        let shared = dir.join("shared");
        fs::create_dir_all(&shared).unwrap();
        let elect = format!("--elect-in={}", shared.display());
        let all: Vec<_> =
            [elect.as_str(), "--hand-over"].into_iter().chain(more.iter().copied()).collect();
        let args = args(dir, &all);
        (Office::new(&args), Journal::new(&args), Terms::new(shared))
    }

    fn append(journal: &mut Journal, sequence: u64) -> String {
        let id = RecordId { writer: 0, sequence };
        let record = Record::new("run", id, &id.to_string(), 10, 0).unwrap();
        journal.open().unwrap();
        journal.append(&record, &record.encode()).unwrap();
        journal.sync().unwrap();
        record.key
    }

    #[test]
    fn a_new_leader_has_every_record_and_the_old_one_takes_none_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let (office, mut first, terms) = open(dir.path(), &[]);
        let (weak, mut for_ever, _) = open(dir.path(), &["--weakness=leads-for-ever"]);
        assert!(!office.enter(&mut first, 0).unwrap(), "nobody was elected");
        assert!(terms.begin(1, "first").unwrap());
        assert!(office.enter(&mut first, 1).unwrap() && weak.enter(&mut for_ever, 1).unwrap());
        let key = append(&mut first, 1);
        assert!(terms.begin(2, "second").unwrap() && !terms.begin(2, "third").unwrap());
        assert!(!office.holds(&first).unwrap(), "its term is over, whatever it believes");
        assert!(!office.enter(&mut first, 1).unwrap());
        assert!(weak.holds(&for_ever).unwrap());
        let (_, mut second, _) = open(dir.path(), &[]);
        assert!(office.enter(&mut second, 2).unwrap());
        let late = append(&mut first, 2);
        second.open().unwrap();
        let kept = fs::read_to_string(second.path()).unwrap();
        assert!(kept.contains(&key) && !kept.contains(&late), "{kept}");
        assert_eq!(office.leader().unwrap(), Some(Leader { term: 2, name: "second".into() }));
    }

    #[test]
    fn a_leader_that_never_kept_a_journal_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (office, mut first, terms) = open(dir.path(), &[]);
        terms.begin(1, "first").unwrap();
        office.enter(&mut first, 1).unwrap();
        append(&mut first, 1);
        terms.begin(2, "lost").unwrap();
        terms.begin(3, "third").unwrap();
        let (_, mut third, _) = open(dir.path(), &[]);
        assert!(office.enter(&mut third, 3).unwrap());
        third.open().unwrap();
        assert_eq!(third.records(), 1);
    }
}
