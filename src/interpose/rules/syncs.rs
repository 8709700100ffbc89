//! What a sync of a file finds, and what it is told. Pure: a small machine per file, after the
//! kernel's `errseq_t` (lib/errseq.c).

use crate::protocol::{Reported, Retry};

/// What became of a file's writes, as its syncs tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Syncs {
    /// Something was written since the last sync.
    written: bool,
    /// The last sync failed.
    failed: bool,
    /// Failures so far.
    failures: u64,
}

/// What a sync through one open file finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// There is something to bring to the disk.
    pub written: bool,
    /// The last one failed.
    pub failed: bool,
    /// One has failed, and this open file was not told.
    pub untold: bool,
}

impl Syncs {
    /// Failures that an open file knows of which is opened now.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Something is written.
    pub fn write(&mut self) {
        self.written = true;
    }

    /// What a sync finds through an open file that was told of so many failures.
    #[must_use]
    pub fn find(&self, told: u64) -> Found {
        let Self { written, failed, failures } = *self;
        Found { written, failed, untold: told < failures }
    }

    /// It fails; of how many failures the open file has been told then.
    pub fn fail(&mut self) -> u64 {
        self.failures += u64::from(self.written);
        (self.written, self.failed) = (false, true);
        self.failures
    }

    /// It is done.
    pub fn succeed(&mut self) {
        (self.written, self.failed) = (false, false);
    }
}

impl Found {
    /// Whether an earlier failure is to be told now, whatever comes of this sync.
    #[must_use]
    pub fn is_due(self, reported: Reported, retry: Retry) -> bool {
        self.untold && reported == Reported::Each || self.failed && retry == Retry::Fails
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two open files; what each sync finds is struck wherever a rule that always fires could.
    struct File(Syncs, [u64; 2]);

    impl File {
        fn syncs(&mut self, open: usize, reported: Reported, retry: Retry) -> bool {
            let found = self.0.find(self.1[open]);
            let struck = found.written || found.is_due(reported, retry);
            match struck {
                true => self.1[open] = self.0.fail(),
                false => self.0.succeed(),
            }
            struck
        }
    }

    #[test]
    fn a_failure_is_told_once_to_each_or_to_the_first_or_again_and_again() {
        use {
            Reported::{Each, First},
            Retry::{Fails, Succeeds},
        };
        for (reported, retry, said) in [
            (Each, Succeeds, [true, false, true, false]),
            (First, Succeeds, [true, false, false, false]),
            (First, Fails, [true, true, true, true]),
            (Each, Fails, [true, true, true, true]),
        ] {
            let mut file = File(Syncs::default(), [0, 0]);
            assert!(!file.syncs(0, reported, retry), "nothing was written");
            file.0.write();
            let told = [0, 0, 1, 1].map(|open| file.syncs(open, reported, retry));
            assert_eq!(told, said, "{reported:?} {retry:?}");
            file.0.write();
            assert!(file.syncs(1, reported, retry), "what is written next fails anew");
            assert!(!file.0.find(file.0.failures()).untold, "what is opened now");
        }
    }

    #[test]
    fn a_sync_that_works_ends_it() {
        let mut syncs = Syncs::default();
        syncs.write();
        let told = syncs.fail();
        assert!(syncs.find(told).is_due(Reported::First, Retry::Fails));
        syncs.succeed();
        assert!(!syncs.find(told).is_due(Reported::Each, Retry::Fails));
        assert!(syncs.find(0).is_due(Reported::Each, Retry::Succeeds), "the other was not told");
    }
}
