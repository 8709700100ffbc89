//! A disk with a volatile cache: what was written, what is durable of it, and what a cut leaves.
//!
//! One sequence numbers everything. A write is covered by a flush that was submitted after the write
//! was completed, once that flush is completed itself; every other write is volatile. The cache is
//! bounded: what no longer fits is written out, oldest first, as disks do.

use std::collections::VecDeque;

use super::{
    choose::{Candidate, Kept, choose},
    image::{CHUNK, Image},
    profile::Profile,
};

/// What a write does.
#[derive(Debug, Clone)]
enum Change {
    Data(Vec<u8>),
    /// Zeros, or a discard, which reads as zeros afterwards.
    Zeros(u64),
}

#[derive(Debug, Clone)]
struct Record {
    submitted: u64,
    completed: Option<u64>,
    covered: bool,
    offset: u64,
    change: Change,
}

impl Record {
    fn bytes(&self) -> u64 {
        match &self.change {
            Change::Data(data) => data.len() as u64,
            Change::Zeros(_) => 0,
        }
    }

    fn candidate(&self) -> Candidate {
        let data = match &self.change {
            Change::Data(data) => Some(data.len()),
            Change::Zeros(_) => None,
        };
        Candidate { offset: self.offset, data, completed: self.completed }
    }

    fn apply(&self, image: &mut Image, kept: &Kept) {
        match (&self.change, kept) {
            (_, Kept::Nothing) => {}
            (Change::Data(data), Kept::Sectors(sectors)) => {
                let parts = (0_u64..).zip(data.chunks(CHUNK)).zip(sectors);
                for ((sector, part), _) in parts.filter(|(_, kept)| **kept) {
                    image.write(self.offset + sector * CHUNK as u64, part);
                }
            }
            (Change::Data(data), Kept::Whole) => image.write(self.offset, data),
            (Change::Zeros(length), _) => image.zero(self.offset, *length),
        }
    }
}

/// What a cut leaves.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The content of the disk.
    pub image: Image,
    /// Writes that no flush had made durable.
    pub volatile: u64,
    /// Those of them that are gone, or torn.
    pub dropped: u64,
    /// Whether the write that was asked about is there; none where it was not volatile.
    pub asked: Option<bool>,
}

/// A disk with a volatile cache.
#[derive(Debug)]
pub struct Disk {
    /// What is durable beyond doubt.
    base: Image,
    /// What a reader sees.
    live: Image,
    /// In the order of submission; the first is not covered.
    log: VecDeque<Record>,
    /// Bytes that the cache holds.
    cache: u64,
    /// Bytes in it now.
    held: u64,
    /// The last number of the sequence.
    last: u64,
}

impl Disk {
    /// A disk with this content, all of it durable, and a cache of so many bytes.
    #[must_use]
    pub fn new(image: Image, cache: u64) -> Self {
        let base = image.clone();
        Self { base, live: image, log: VecDeque::new(), cache, held: 0, last: 0 }
    }

    /// What a reader sees.
    #[must_use]
    pub fn live(&self) -> &Image {
        &self.live
    }

    /// Submits a write; the number by which it is completed.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> u64 {
        self.live.write(offset, data);
        self.submit(offset, Change::Data(data.to_vec()))
    }

    /// Submits a discard, or a write of zeros.
    pub fn zero(&mut self, offset: u64, length: u64) -> u64 {
        self.live.zero(offset, length);
        self.submit(offset, Change::Zeros(length))
    }

    /// Submits a flush.
    pub fn flush(&mut self) -> u64 {
        self.next()
    }

    /// The caller was told that a write is done.
    pub fn written(&mut self, submitted: u64) {
        let now = self.next();
        let at = self.log.binary_search_by_key(&submitted, |record| record.submitted);
        if let Some(record) = at.ok().and_then(|at| self.log.get_mut(at)) {
            record.completed = Some(now);
        }
        self.write_out();
    }

    /// The caller was told that a flush is done.
    pub fn flushed(&mut self, submitted: u64) {
        self.next();
        for record in &mut self.log {
            record.covered |= record.completed.is_some_and(|completed| completed < submitted);
        }
        self.settle();
    }

    /// Cuts its power, and says what is left. `asked` picks a write by its data.
    #[must_use]
    pub fn cut(&self, profile: Profile, seed: u64, asked: impl Fn(&[u8]) -> bool) -> Cut {
        let volatile: Vec<&Record> = self.log.iter().filter(|record| !record.covered).collect();
        let candidates: Vec<Candidate> = volatile.iter().map(|it| it.candidate()).collect();
        let chosen = choose(profile, seed, &candidates);
        let is_whole = |kept: &Kept| match kept {
            Kept::Nothing => false,
            Kept::Whole => true,
            Kept::Sectors(sectors) => sectors.iter().all(|kept| *kept),
        };
        let picked = |record: &Record| matches!(&record.change, Change::Data(data) if asked(data));
        let mut asked_for = volatile.iter().zip(&chosen).filter(|(record, _)| picked(record));
        Cut {
            image: self.state(&chosen),
            volatile: volatile.len() as u64,
            dropped: chosen.iter().filter(|kept| !is_whole(kept)).count() as u64,
            asked: asked_for.next_back().map(|(_, kept)| is_whole(kept)),
        }
    }

    /// Base, covered, and what was chosen of the rest, one after the other as they were submitted.
    fn state(&self, chosen: &[Kept]) -> Image {
        let mut image = self.base.clone();
        let mut chosen = chosen.iter();
        for record in &self.log {
            if record.covered {
                record.apply(&mut image, &Kept::Whole);
            } else if let Some(kept) = chosen.next() {
                record.apply(&mut image, kept);
            }
        }
        image
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn submit(&mut self, offset: u64, change: Change) -> u64 {
        let submitted = self.next();
        let record = Record { submitted, completed: None, covered: false, offset, change };
        self.held += record.bytes().max(CHUNK as u64);
        self.log.push_back(record);
        submitted
    }

    /// What no longer fits is made durable: the oldest of what is completed.
    fn write_out(&mut self) {
        let mut over = self.held.saturating_sub(self.cache);
        let done = |record: &&mut Record| !record.covered && record.completed.is_some();
        for record in self.log.iter_mut().filter(done) {
            if over == 0 {
                break;
            }
            record.covered = true;
            over = over.saturating_sub(record.bytes().max(CHUNK as u64));
        }
        self.settle();
    }

    /// Moves what is covered, and preceded by nothing that is not, to the base: a later write must
    /// not be overtaken by an earlier one.
    fn settle(&mut self) {
        while self.log.front().is_some_and(|record| record.covered) {
            let Some(record) = self.log.pop_front() else { return };
            self.held -= record.bytes().max(CHUNK as u64);
            record.apply(&mut self.base, &Kept::Whole);
        }
    }
}
