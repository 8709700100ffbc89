//! What happened to a disk, so that it can be cut at any moment of its past.
//!
//! The disk as it was at the beginning, and everything since, in the one sequence that acknowledgements
//! are part of. What no longer fits into memory is put on a shelf, where there is one, the oldest first.
//! What does not fit there either is played into the beginning: the past gets shorter, and never wrong.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{Candidate, Disk, Image, Kept, chunk::Shelf, disk::Change};

/// One number of the sequence.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A write, or zeros, at an offset.
    Submit(u64, Change),
    /// The write that was submitted by this number is done.
    Written(u64),
    Flush,
    /// The flush that was submitted by this number is done.
    Flushed(u64),
    /// Somebody was told something.
    Mark,
}

impl Event {
    /// Bytes of memory that it takes to remember it.
    fn bytes(&self) -> u64 {
        let data = match self {
            Self::Submit(_, Change::Data(data)) => data.takes(),
            _ => 0,
        };
        data + size_of::<Self>() as u64
    }

    fn can_be_put_away(&self) -> bool {
        matches!(self, Self::Submit(_, Change::Data(data)) if data.can_be_put_away())
    }

    /// The same, put away; none where there is no room, or nothing can be.
    fn put_away(&self, shelf: &Arc<dyn Shelf>) -> Option<Self> {
        match self {
            Self::Submit(offset, Change::Data(data)) => {
                data.put_away(shelf).map(|data| Self::Submit(*offset, Change::Data(data)))
            }
            _ => None,
        }
    }
}

/// What is remembered of a disk.
#[derive(Debug, Clone)]
pub struct Recording {
    /// With the cache that the disk has: what it forgets of, it keeps no log of.
    start: Box<Disk>,
    events: VecDeque<Event>,
    /// What is in memory.
    bytes: u64,
    most: u64,
    forgotten: u64,
    /// Where what no longer fits is put.
    shelf: Option<Arc<dyn Shelf>>,
    /// So many of the events from the first on are there, or have nothing that could be.
    away: usize,
}

/// A moment of the past at which a disk can be cut: the end of an epoch, just before a flush. A cut
/// earlier in the epoch leaves what one here may leave, when less was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// The last number of the sequence that still happened.
    pub cut: u64,
    /// Marks since the point before.
    pub marks: u64,
    /// The writes that no flush had made durable, as they were submitted.
    pub writes: Vec<Candidate>,
}

/// Every such moment, with the disk as it was.
#[derive(Debug)]
pub struct Past {
    points: Vec<Point>,
    disks: BTreeMap<u64, Disk>,
    recording: Recording,
}

impl Recording {
    pub(super) fn new(start: Disk, most: u64, shelf: Option<Arc<dyn Shelf>>) -> Self {
        let (start, events) = (Box::new(start), VecDeque::new());
        Self { start, events, bytes: 0, most, forgotten: 0, shelf, away: 0 }
    }

    pub(super) fn most(&self) -> u64 {
        self.most
    }

    pub(super) fn shelf(&self) -> Option<&Arc<dyn Shelf>> {
        self.shelf.as_ref()
    }

    pub(super) fn push(&mut self, event: Event) {
        self.bytes += event.bytes();
        self.events.push_back(event);
        while self.bytes > self.most && (self.puts_away() || self.forgets()) {}
    }

    /// Puts the oldest away that is in memory. False where there is none, or no room.
    fn puts_away(&mut self) -> bool {
        let Some(shelf) = self.shelf.clone() else { return false };
        while let Some(event) = self.events.get_mut(self.away) {
            let can = event.can_be_put_away();
            if can {
                let took = event.bytes();
                let Some(away) = event.put_away(&shelf) else { return false };
                *event = away;
                self.bytes = self.bytes - took + event.bytes();
            }
            self.away += 1;
            if can {
                return true;
            }
        }
        false
    }

    /// Forgets the oldest. False where there is none.
    fn forgets(&mut self) -> bool {
        let Some(event) = self.events.pop_front() else { return false };
        self.bytes -= event.bytes();
        self.away = self.away.saturating_sub(1);
        self.start.again(&event);
        self.forgotten += 1;
        true
    }

    /// The disk with which it begins.
    pub(super) fn start(&self) -> &Disk {
        &self.start
    }

    /// What happened since, each with its number in the sequence.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u64, &Event)> {
        (self.start.last() + 1..).zip(&self.events)
    }

    /// The write that was submitted by this number, as far as it is remembered.
    pub(super) fn submitted(&self, number: u64) -> Option<(u64, &Change)> {
        match number.checked_sub(self.start.last() + 1) {
            Some(at) => match self.events.get(usize::try_from(at).ok()?)? {
                Event::Submit(offset, change) => Some((*offset, change)),
                _ => None,
            },
            None => {
                let mut cached = self.start.cached();
                cached.find(|it| it.0 == number).map(|(_, _, offset, change)| (offset, change))
            }
        }
    }

    /// Every moment at which the disk can be cut: before each flush, and at the end. What a cut between two
    /// writes leaves, one before the next flush may leave too, with the later ones lost.
    #[must_use]
    pub fn past(&self) -> Past {
        let (points, disks) = (Vec::new(), BTreeMap::new());
        let mut past = Past { points, disks, recording: self.clone() };
        // what does not fit the cache was written out of the beginning; what is still remembered is not
        let (mut disk, mut marks) = ((*self.start).clone().roomy(), 0);
        for event in &self.events {
            match event {
                Event::Flush => past.push(&disk, std::mem::take(&mut marks)),
                Event::Mark => marks += 1,
                _ => {}
            }
            disk.again(event);
        }
        past.push(&disk, marks);
        past
    }
}

impl Past {
    fn push(&mut self, disk: &Disk, marks: u64) {
        let point = Point { cut: disk.last(), marks, writes: disk.volatile() };
        if point.writes.is_empty() && marks == 0 {
            return;
        }
        self.disks.insert(point.cut, disk.unread());
        self.points.push(point);
    }

    /// They, in order.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Numbers of the sequence that nothing is known of any more, from the beginning of the record.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.recording.forgotten
    }

    /// What was recorded.
    #[must_use]
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Makes the digest of the last state, and so most of every other one, which share what they have
    /// in common: on a large disk the first takes seconds.
    pub fn warm(&self) {
        if let Some(disk) = self.disks.values().next_back() {
            let _ = disk.left(&vec![Kept::Nothing; disk.volatile().len()]).digest();
        }
    }

    /// What a cut there leaves, when this survives of each of its writes. None where it is no such
    /// moment, or has another number of writes.
    #[must_use]
    pub fn image(&self, cut: u64, kept: &[Kept]) -> Option<Image> {
        self.disk(cut, kept).map(|disk| disk.left(kept))
    }

    /// Whether that is beyond what a disk may do. None likewise.
    #[must_use]
    pub fn exceeds(&self, cut: u64, kept: &[Kept]) -> Option<bool> {
        self.disk(cut, kept).map(|disk| disk.exceeds(kept))
    }

    /// The disk at that moment, if this can be said of its writes.
    fn disk(&self, cut: u64, kept: &[Kept]) -> Option<&Disk> {
        let disk = self.disks.get(&cut)?;
        let fit = |(write, kept): (&Candidate, &Kept)| kept.fits(write.data);
        let writes = disk.volatile();
        let fits = writes.len() == kept.len() && writes.iter().zip(kept).all(fit);
        fits.then_some(disk)
    }
}
