//! A disk with a volatile cache: what was written, what is durable of it, and what a cut leaves.
//!
//! One sequence numbers everything. A write is covered by a flush that was submitted after the write
//! was completed, once that flush is completed itself; every other write is volatile. The cache is
//! bounded: what no longer fits is written out, oldest first, as disks do.

use std::{collections::VecDeque, sync::Arc};

use super::{
    choose::{Candidate, choose},
    chunk::{CHUNK, Shelf},
    data::Data,
    epochs::Epochs,
    image::Image,
    kept::Kept,
    profile::Profile,
    recording::{Event, Recording},
};

/// What a write does.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Data(Data),
    /// Zeros, or a discard, which reads as zeros afterwards.
    Zeros(u64),
}

impl Change {
    /// Bytes of data.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Zeros(_) => 0,
        }
    }

    /// Bytes of the disk that it is about.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Zeros(length) => *length,
        }
    }

    /// Does all of it.
    pub(super) fn apply(&self, offset: u64, image: &mut Image) {
        match self {
            Self::Data(data) => data.apply(offset, image),
            Self::Zeros(length) => image.zero(offset, *length),
        }
    }
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
        self.change.bytes()
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
                for ((at, part), _) in data.parts().zip(sectors).filter(|(_, kept)| **kept) {
                    part.apply(self.offset + at, image);
                }
            }
            (Change::Data(data), Kept::Filled(sectors, fill)) => {
                for ((at, part), kept) in data.parts().zip(sectors) {
                    let at = self.offset + at;
                    match kept {
                        true => part.apply(at, image),
                        false => image.write(at, &fill.bytes(at, part.len())),
                    }
                }
            }
            (Change::Data(data), Kept::Bytes(from, to)) => {
                image.write(self.offset + *from as u64, &data.range(*from..*to));
            }
            (change, _) => change.apply(self.offset, image),
        }
    }
}

/// What a cut leaves.
#[derive(Debug, Clone)]
pub struct Cut {
    /// The content of the disk.
    pub image: Image,
    /// Writes that no flush had made durable, without the one that was asked about.
    pub volatile: u64,
    /// Those of them that are gone, or torn.
    pub dropped: u64,
    /// How often the disk has taken back what a flush had made durable, so that it shows: a write, or a
    /// block.
    pub taken_back: u64,
    /// Whether what was asked about is there; none where it was not volatile.
    pub asked: Option<bool>,
}

/// A disk with a volatile cache.
#[derive(Debug, Clone)]
pub struct Disk {
    /// What is durable beyond doubt.
    base: Image,
    /// What a disk may take back of it that does not keep to its specification.
    epochs: Epochs,
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
    /// What is remembered of how it came to this; none while nothing is.
    recording: Option<Recording>,
}

impl Disk {
    /// A disk with this content, all of it durable, and a cache of so many bytes.
    #[must_use]
    pub fn new(image: Image, cache: u64) -> Self {
        let (base, epochs) = (image.clone(), Epochs::new(image.clone()));
        let (live, log) = (image, VecDeque::new());
        Self { base, epochs, live, log, cache, held: 0, last: 0, recording: None }
    }

    /// What a reader sees.
    #[must_use]
    pub fn live(&self) -> &Image {
        &self.live
    }

    /// Submits a write; the number by which it is completed.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> u64 {
        self.submit(offset, Change::Data(Data::new(offset, data)))
    }

    /// Submits a discard, or a write of zeros.
    pub fn zero(&mut self, offset: u64, length: u64) -> u64 {
        self.submit(offset, Change::Zeros(length))
    }

    /// Submits a flush.
    pub fn flush(&mut self) -> u64 {
        self.next(|| Event::Flush)
    }

    /// The caller was told that a write is done.
    pub fn written(&mut self, submitted: u64) {
        let now = self.next(|| Event::Written(submitted));
        let at = self.log.binary_search_by_key(&submitted, |record| record.submitted);
        if let Some(record) = at.ok().and_then(|at| self.log.get_mut(at)) {
            record.completed = Some(now);
        }
        self.write_out();
    }

    /// The caller was told that a flush is done.
    pub fn flushed(&mut self, submitted: u64) {
        self.next(|| Event::Flushed(submitted));
        for record in &mut self.log {
            record.covered |= record.completed.is_some_and(|completed| completed < submitted);
        }
        self.settle();
        self.epochs.flushed();
    }

    /// Somebody was told something, such as that his data is safe: its place in the sequence. What
    /// was done for it was done before.
    pub fn mark(&mut self) -> u64 {
        self.next(|| Event::Mark)
    }

    /// Remembers from now on what happens, up to so many bytes; what is older is forgotten.
    pub fn record(&mut self, most: u64) {
        self.record_on(most, None);
    }

    /// Likewise; what no longer fits is put on a shelf, and forgotten only where that has no room.
    pub fn record_on(&mut self, most: u64, shelf: Option<Arc<dyn Shelf>>) {
        self.recording = None;
        self.recording = Some(Recording::new(self.clone(), most, shelf));
    }

    /// What is remembered; none where nothing is.
    #[must_use]
    pub fn recording(&self) -> Option<&Recording> {
        self.recording.as_ref()
    }

    /// Puts another content in its place, all of it durable. The sequence goes on, and what was
    /// before is forgotten.
    pub fn replace(&mut self, image: Image) {
        let (last, recording) = (self.last + 1, self.recording.take());
        *self = Self { last, ..Self::new(image, self.cache) };
        if let Some(recording) = recording {
            self.record_on(recording.most(), recording.shelf().cloned());
        }
    }

    /// The same with a cache that never has to write anything out by itself.
    pub(super) fn roomy(self) -> Self {
        Self { cache: u64::MAX, ..self }
    }

    /// The same without what a reader sees, which no cut asks for.
    pub(super) fn unread(&self) -> Self {
        Self { live: Image::new(0), ..self.clone() }
    }

    /// What is durable beyond doubt.
    pub(super) fn base(&self) -> &Image {
        &self.base
    }

    /// What the cache holds that came later: by which number it was submitted, and completed, where it
    /// goes, and what it does.
    pub(super) fn cached(&self) -> impl Iterator<Item = (u64, Option<u64>, u64, &Change)> {
        self.log.iter().map(|it| (it.submitted, it.completed, it.offset, &it.change))
    }

    /// The last number of the sequence.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Does once more what was recorded.
    pub(super) fn again(&mut self, event: &Event) {
        match event {
            Event::Submit(offset, change) => drop(self.submit(*offset, change.clone())),
            Event::Written(submitted) => self.written(*submitted),
            Event::Flush => drop(self.flush()),
            Event::Flushed(submitted) => self.flushed(*submitted),
            Event::Mark => drop(self.mark()),
        }
    }

    /// The writes that no flush has made durable, as they were submitted.
    #[must_use]
    pub fn volatile(&self) -> Vec<Candidate> {
        self.log.iter().filter(|record| !record.covered).map(Record::candidate).collect()
    }

    /// Where each of those goes.
    pub(super) fn volatile_ranges(&self) -> Vec<std::ops::Range<u64>> {
        let volatile = self.log.iter().filter(|record| !record.covered);
        volatile.map(|record| record.offset..record.offset + record.bytes()).collect()
    }

    /// What is there when the power goes and this survives of each of those.
    #[must_use]
    pub fn left(&self, kept: &[Kept]) -> Image {
        self.state(kept)
    }

    /// Cuts its power, and says what is left. `asked` picks a write by its data.
    #[must_use]
    pub fn cut(&self, profile: Profile, seed: u64, asked: impl Fn(&[u8]) -> bool) -> Cut {
        let volatile: Vec<&Record> = self.log.iter().filter(|record| !record.covered).collect();
        let chosen = choose(profile, seed, &self.volatile());
        let image = self.state(&chosen);
        let picked =
            |record: &Record| matches!(&record.change, Change::Data(data) if asked(&data.to_vec()));
        let picked = volatile.iter().rposition(|record| picked(record));
        // of a disk with nothing that a flush has made durable nothing is rolled back
        let erased = |(at, kept): (usize, &Kept)| {
            kept.erased(volatile[at].offset).filter(|_| self.epochs.are_some())
        };
        let erased: Vec<_> = chosen.iter().enumerate().filter_map(erased).collect();
        let is_erased = |record: &Record| {
            let end = record.offset + record.change.length();
            erased.iter().any(|block| record.offset < block.end && block.start < end)
        };
        let lost = |(at, kept): &(usize, &Kept)| {
            let is_there = match kept {
                Kept::Overtakes(_) | Kept::Erased { .. } => true,
                kept => kept.is_whole(),
            };
            Some(*at) != picked && (!is_there || is_erased(volatile[*at]))
        };
        let takes_back = |kept: &Kept| matches!(kept, Kept::Overtakes(_) | Kept::Erased { .. });
        // such a profile does it to one
        let taken_back = chosen.iter().any(takes_back) && self.exceeds(&chosen);
        let there = |at: usize| {
            let record = volatile[at];
            let mut bytes = vec![0; usize::try_from(record.bytes()).unwrap_or_default()];
            image.read(record.offset, &mut bytes);
            asked(&bytes)
        };
        Cut {
            volatile: (volatile.len() - usize::from(picked.is_some())) as u64,
            dropped: chosen.iter().enumerate().filter(lost).count() as u64,
            taken_back: u64::from(taken_back),
            asked: picked.map(there),
            image,
        }
    }

    /// Base, covered, and what was chosen of the rest, one after the other as they were submitted.
    fn state(&self, chosen: &[Kept]) -> Image {
        let mut image = self.base.clone();
        for kept in chosen {
            if let Kept::Overtakes(number) = kept {
                self.epochs.lose(*number, &mut image);
            }
        }
        let mut erased = Vec::new();
        let mut chosen = chosen.iter();
        for record in &self.log {
            if record.covered {
                record.apply(&mut image, &Kept::Whole);
            } else if let Some(kept) = chosen.next() {
                record.apply(&mut image, kept);
                if let (Some(block), Kept::Erased { flush, .. }) =
                    (kept.erased(record.offset), kept)
                {
                    erased.push((block, *flush));
                }
            }
        }
        // what else was written there is gone with it
        for (block, flush) in erased {
            self.epochs.roll_back(block, flush, &mut image);
        }
        image
    }

    fn next(&mut self, event: impl FnOnce() -> Event) -> u64 {
        self.last += 1;
        if let Some(recording) = &mut self.recording {
            recording.push(event());
        }
        self.last
    }

    fn submit(&mut self, offset: u64, change: Change) -> u64 {
        change.apply(offset, &mut self.live);
        let submitted = self.next(|| Event::Submit(offset, change.clone()));
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
            self.epochs.push(record.offset, record.change);
        }
    }
}
