//! Who leads: terms as files in a shared directory, each made once, by whoever begins it.
//!
//! No lock, so nobody can freeze while holding it; no clock is compared with another's. The leader
//! of a term goes on changing its file. A standby to whom it has looked the same for the whole time
//! of a lease begins the next term: making a file that must not exist is the one atomic act.
//! Nothing keeps a frozen leader from waking up late: that is what the number of the term is for
//! (see `fence`).

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::terms::Terms;

pub(super) struct Election {
    terms: Terms,
    name: String,
    lease: Duration,
    /// The term we lead.
    ours: Option<u64>,
    renewals: u64,
    /// The latest term's file as it looked, and since when.
    seen: Option<(Vec<u8>, Instant)>,
}

impl Election {
    pub(super) fn new(dir: PathBuf, name: String, lease: Duration) -> Self {
        Self { terms: Terms::new(dir), name, lease, ours: None, renewals: 0, seen: None }
    }

    /// Renews our term, gives it up for a later one, or begins one when the last is over: after its
    /// lease, or when it is `abandoned`, by a leader who is known to be gone. The term that we lead
    /// now.
    pub(super) fn look(&mut self, now: Instant, abandoned: Option<u64>) -> io::Result<Option<u64>> {
        fs::create_dir_all(self.terms.dir())?;
        let latest = self.terms.latest()?;
        if let (Some(ours), true) = (self.ours, self.ours == latest) {
            self.renewals += 1;
            // not synced: it is for those who look, and after a power cut nobody does
            fs::write(self.terms.file(ours), format!("{} {}\n", self.name, self.renewals))?;
            return Ok(self.ours);
        }
        self.ours = None;
        match latest {
            Some(latest) if abandoned != Some(latest) && !self.is_over(latest, now)? => {}
            _ => self.begin(latest.unwrap_or(0) + 1)?,
        }
        Ok(self.ours)
    }

    fn is_over(&mut self, term: u64, now: Instant) -> io::Result<bool> {
        let looks = fs::read(self.terms.file(term))?;
        match &self.seen {
            Some((seen, since)) if *seen == looks => Ok(now.duration_since(*since) >= self.lease),
            _ => {
                self.seen = Some((looks, now));
                Ok(false)
            }
        }
    }

    fn begin(&mut self, term: u64) -> io::Result<()> {
        // where somebody else was faster, we wait for the end of theirs
        if self.terms.begin(term, &self.name)? {
            (self.ours, self.renewals) = (Some(term), 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn of(dir: &tempfile::TempDir, name: &str) -> Election {
        Election::new(dir.path().join("terms"), name.into(), LEASE)
    }

    #[test]
    fn the_first_leads_as_long_as_it_renews() {
        let dir = tempfile::tempdir().unwrap();
        let (mut a, mut b) = (of(&dir, "a"), of(&dir, "b"));
        let start = Instant::now();
        for seconds in 0..60 {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(a.look(now, None).unwrap(), Some(1));
            assert_eq!(b.look(now, None).unwrap(), None);
        }
    }

    #[test]
    fn a_standby_waits_for_the_whole_lease_and_the_old_leader_steps_down() {
        let dir = tempfile::tempdir().unwrap();
        let (mut a, mut b) = (of(&dir, "a"), of(&dir, "b"));
        let start = Instant::now();
        assert_eq!(a.look(start, None).unwrap(), Some(1));
        assert_eq!(b.look(start, None).unwrap(), None);
        assert_eq!(b.look(start + LEASE - Duration::from_millis(1), None).unwrap(), None);
        assert_eq!(b.look(start + LEASE, None).unwrap(), Some(2));
        assert_eq!(a.look(start + LEASE, None).unwrap(), None, "its term is over");
        assert_eq!(b.look(start + LEASE, None).unwrap(), Some(2));
    }

    #[test]
    fn of_two_standbys_one_begins_the_term() {
        let dir = tempfile::tempdir().unwrap();
        let (mut a, mut b, mut c) = (of(&dir, "a"), of(&dir, "b"), of(&dir, "c"));
        let start = Instant::now();
        a.look(start, None).unwrap();
        b.look(start, None).unwrap();
        c.look(start, None).unwrap();
        assert_eq!(b.look(start + LEASE, None).unwrap(), Some(2));
        assert_eq!(c.look(start + LEASE, None).unwrap(), None);
        c.begin(2).unwrap();
        assert_eq!(c.ours, None, "the file was there");
    }

    #[test]
    fn one_that_comes_back_does_not_take_its_old_term_for_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let start = Instant::now();
        assert_eq!(of(&dir, "a").look(start, None).unwrap(), Some(1));
        let mut again = of(&dir, "a");
        assert_eq!(again.look(start, None).unwrap(), None);
        assert_eq!(again.look(start + LEASE, None).unwrap(), Some(2));
    }
}
