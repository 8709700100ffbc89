//! What the last flushes have made durable, so that a disk which does not keep to its specification can
//! take it back. Pure.
//!
//! Only a little is remembered, by flushes and by bytes: the firmware of a disk that forgets does not
//! forget what is hours old either.

use std::{collections::VecDeque, ops::Range};

use super::{disk::Change, image::Image};

/// Flushes of which it is remembered what they made durable.
const FLUSHES: u64 = 8;
/// Bytes that this may take. A range that was made zeros of counts whole: what was there before is held.
const MOST: u64 = 16 << 20;

/// Writes of which it is looked at whether anything misses them.
const LOOKED_AT: usize = 64;

/// A write that is durable.
#[derive(Debug, Clone)]
struct Durable {
    /// Flushes that were done before.
    epoch: u64,
    offset: u64,
    change: Change,
}

impl Durable {
    fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.change.length())
    }

    fn touches(&self, range: &Range<u64>) -> bool {
        self.offset < range.end && range.start < self.range().end
    }
}

/// What the last flushes have made durable.
#[derive(Debug, Clone)]
pub(super) struct Epochs {
    /// What was there before the first of it.
    before: Image,
    /// In the order of submission.
    writes: VecDeque<Durable>,
    bytes: u64,
    /// Flushes that are done.
    flushes: u64,
}

impl Epochs {
    /// Of a disk with this content.
    pub(super) fn new(before: Image) -> Self {
        Self { before, writes: VecDeque::new(), bytes: 0, flushes: 0 }
    }

    /// A write is durable.
    pub(super) fn push(&mut self, offset: u64, change: Change) {
        self.bytes += change.length();
        self.writes.push_back(Durable { epoch: self.flushes, offset, change });
        self.forget();
    }

    /// A flush is done, which has made durable what was pushed.
    pub(super) fn flushed(&mut self) {
        self.flushes += 1;
        self.forget();
    }

    /// Whole epochs only: what is left begins at a flush.
    fn forget(&mut self) {
        while let Some(epoch) = self.writes.front().map(|first| first.epoch)
            && (self.bytes > MOST || epoch + FLUSHES < self.flushes)
        {
            let end = self.writes.partition_point(|write| write.epoch == epoch);
            for oldest in self.writes.drain(..end) {
                self.bytes -= oldest.change.length();
                oldest.change.apply(oldest.offset, &mut self.before);
            }
        }
    }

    /// Those that a flush has covered which is done; what was only written out comes after them.
    fn covered(&self) -> usize {
        self.writes.partition_point(|write| write.epoch < self.flushes)
    }

    /// There is something that can be taken back.
    pub(super) fn are_some(&self) -> bool {
        self.covered() > 0
    }

    /// Takes the write back that this number comes to: where it went is what was there without it. Of
    /// those that are written over nothing is missed: then the next one, as far as some are looked at.
    pub(super) fn lose(&self, number: u64, image: &mut Image) {
        let Some(first) = number.checked_rem(self.covered() as u64) else { return };
        let before = image.digest();
        for gone in (first..self.covered() as u64).chain(0..first).take(LOOKED_AT) {
            let at = usize::try_from(gone).unwrap_or(usize::MAX);
            let Some(write) = self.writes.get(at) else { return };
            self.replay(write.range(), image, |number, _| number != gone);
            if image.digest() != before {
                return;
            }
        }
    }

    /// Puts into a range what was there at the flush that this number comes to: an earlier one than the
    /// last.
    pub(super) fn roll_back(&self, range: Range<u64>, number: u64, image: &mut Image) {
        let Some(first) = self.writes.front().filter(|_| self.are_some()) else { return };
        let until = first.epoch + number % (self.flushes - first.epoch);
        self.replay(range, image, |_, epoch| epoch < until);
    }

    /// Puts into a range what is there when only some of the writes, by number and epoch, were done.
    fn replay(&self, range: Range<u64>, image: &mut Image, is_done: impl Fn(u64, u64) -> bool) {
        let mut was = self.before.clone();
        let numbered = (0_u64..).zip(&self.writes).filter(|(_, write)| write.touches(&range));
        for (_, write) in numbered.filter(|(number, write)| is_done(*number, write.epoch)) {
            write.change.apply(write.offset, &mut was);
        }
        let end = range.end.min(image.size());
        let length = end.saturating_sub(range.start);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        was.read(range.start, &mut bytes);
        image.write(range.start, &bytes);
    }
}
