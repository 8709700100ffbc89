//! Between the requests of a disk and its rules: what strikes each.
//!
//! To the rules a disk is one file. What lies behind the filesystem's end is for trials, each of
//! which is struck by its own set alone.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    interpose::{
        armed::Armed,
        rules::{Call, Strike},
        timer::Timer,
    },
    protocol::{DiskOp, IoOp, TrialChunk},
};

/// What the whole disk is called.
const DISK: &str = "disk";
/// The flush of a trial has hung for long enough then: the kernel lets no other request come to the
/// disk before it is over.
const TRIAL_HANGS: Duration = Duration::from_secs(1);
/// No flush is announced.
const NONE: u64 = u64::MAX;

/// A flush of it. Whoever asked the filesystem for one is not known here.
const CALL: Call<'static> = Call {
    op: IoOp::Fsync,
    path: DISK,
    span: None,
    bytes: 0,
    open_for: None,
    sync: None,
    fresh: false,
    changed: None,
    uid: 0,
    pid: 0,
    ours: false,
    trial: false,
};

/// The rules of a disk.
pub(super) struct Struck {
    pub(super) armed: Armed,
    pub(super) timer: Timer,
    /// Where the filesystem ends.
    end: u64,
    /// The next flush is that trial's, whose chunk begins there.
    announced: AtomicU64,
}

impl Struck {
    /// No rules yet, for a filesystem that ends there.
    pub(super) fn new(end: u64) -> io::Result<Self> {
        // which request of a disk is the n-th is the kernel's affair, and another one in every run
        let armed = Armed::new(Vec::new()).map_err(io::Error::other)?.without_numbers();
        Ok(Self { armed, timer: Timer::start()?, end, announced: AtomicU64::new(NONE) })
    }

    fn trial(&self, offset: u64) -> Option<TrialChunk> {
        TrialChunk::at(offset.checked_sub(self.end)?)
    }

    /// Whether a write there says no more than that a flush comes next that is a trial's: a flush
    /// itself says nothing of where it comes from.
    pub(super) fn announces(&self, offset: u64) -> bool {
        let announces = self.trial(offset).is_some_and(|chunk| chunk.op() == DiskOp::Flush);
        if announces {
            self.announced.store(offset, Ordering::Release);
        }
        announces
    }

    /// What strikes a flush. One that was announced is a trial.
    pub(super) fn strike_flush(&self) -> Strike {
        let announced = self.announced.swap(NONE, Ordering::AcqRel);
        if !self.armed.is_about(IoOp::Fsync) {
            return Strike::default();
        }
        let Some(trial) = self.trial(announced) else { return self.armed.strike(&CALL, None) };
        let mut strike = self.strike_trial(trial, CALL);
        if let Some(hang) = &mut strike.hang {
            hang.at_most = hang.at_most.min(TRIAL_HANGS);
        }
        strike
    }

    /// What its own set does to a trial, and no other: two faults must not answer for each other.
    fn strike_trial(&self, chunk: TrialChunk, call: Call<'_>) -> Strike {
        let Some(set) = self.armed.in_force(|set| chunk.is_of(set)) else {
            return Strike::default();
        };
        self.armed.strike(&Call { path: &chunk.name(&set), trial: true, ..call }, None)
    }

    /// What strikes a request for so many bytes; `fresh` says whether it needs room that nothing has
    /// had yet.
    pub(super) fn strike(
        &self,
        op: DiskOp,
        (offset, length): (u64, u64),
        fresh: impl FnOnce() -> bool,
    ) -> Strike {
        let io = op.as_io();
        if !self.armed.is_about(io) {
            return Strike::default();
        }
        let span = Some((offset, length));
        let call = Call { op: io, span, bytes: length, fresh: fresh(), ..CALL };
        if offset < self.end {
            return self.armed.strike(&call, None);
        }
        let trial = self.trial(offset).filter(|chunk| chunk.op() == op);
        trial.map(|chunk| self.strike_trial(chunk, call)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        interpose::rules::RuleSet,
        protocol::{ByteRange, Caller, IoAction, IoRule, RuleFacts, Trigger},
        units::Size,
    };

    const END: u64 = 1 << 20;
    const SET: &str = "block-error-3";

    fn armed(ops: &[DiskOp], range: Option<(u64, u64)>) -> Struck {
        let struck = Struck::new(END).unwrap();
        let rule = IoRule {
            paths: vec!["**".into()],
            ops: ops.iter().map(|op| op.as_io()).collect(),
            by: Caller::default(),
            ranges: range
                .into_iter()
                .map(|(from, to)| ByteRange { from: Size(from), to: Size(to) })
                .collect(),
            at_least: None,
            when: Trigger { every: Some(2), ..Trigger::default() },
            action: IoAction::Error { errno: libc::EIO },
        };
        let rules = RuleSet::new(7, vec![rule]).unwrap();
        assert!(struck.armed.arm(SET, rules, struck.timer.begin()).is_none());
        struck
    }

    fn counted(struck: &Struck) -> (u64, u64) {
        let RuleFacts { matched, hit, .. } = struck.armed.facts(SET, 0, |_| 0).unwrap();
        (matched, hit)
    }

    #[test]
    fn what_touches_the_range_is_struck_and_counted() {
        let struck = armed(&[DiskOp::Write], Some((8192, 12288)));
        let hits = |offset| !struck.strike(DiskOp::Write, (offset, 4096), || false).is_none();
        assert!(!hits(8192) && hits(8192) && !hits(4096) && !hits(12288));
        assert!(struck.strike(DiskOp::Read, (8192, 4096), || false).is_none());
        assert_eq!(counted(&struck), (2, 1));
    }

    #[test]
    fn a_trial_is_struck_by_its_own_set_as_if_it_were_the_first() {
        let struck = armed(&[DiskOp::Write], Some((0, 1)));
        let hits = |set, round, chunk, op| {
            let offset = END + TrialChunk::of(set, round, chunk).offset();
            !struck.strike(op, (offset, 4096), || false).is_none()
        };
        let write = DiskOp::Write;
        for round in 0..3 {
            assert!(!hits(SET, round, write, write) && hits(SET, round, write, write));
            assert!(!hits("block-error-4", round, write, write));
            assert!(!hits("block-error-4", round, write, write));
        }
        assert!(!hits(SET, 9, DiskOp::Read, write) && !hits(SET, 9, DiskOp::Read, write));
        assert_eq!(counted(&struck), (0, 0), "the service did nothing");
    }

    #[test]
    fn a_flush_that_was_announced_is_struck_and_not_counted() {
        let struck = armed(&[DiskOp::Flush], None);
        let announcement = END + TrialChunk::of(SET, 0, DiskOp::Flush).offset();
        assert!(struck.announces(announcement) && !struck.announces(announcement + 4096));
        let other = END + TrialChunk::of("lying-flush-4", 0, DiskOp::Flush).offset();
        assert!(struck.announces(other) && struck.strike_flush().is_none());
        assert!(struck.announces(other) && struck.strike_flush().is_none(), "another set's");
        assert!(struck.announces(announcement));
        assert!(struck.strike_flush().is_none());
        assert!(struck.announces(announcement));
        assert!(!struck.strike_flush().is_none());
        assert_eq!(counted(&struck), (0, 0));
        assert!(struck.strike_flush().is_none() && !struck.strike_flush().is_none());
        assert_eq!(counted(&struck), (2, 1));
    }
}
