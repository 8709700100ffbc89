//! A disk, and whether it has power. Without it every request fails, and nothing is taken any more.
//!
//! The power goes with the write of a canary, before anything else is taken: so the canary is among
//! what no flush has made durable, whoever else syncs at that moment.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::{
    block::{Disk, Image, Past, Profile, Recording, filesystem},
    protocol::{CUT_CANARY, CutFacts},
};

/// What a disk of today keeps to itself until it is told to flush.
const CACHE: u64 = 64 << 20;

/// A disk with a switch.
pub(super) struct Powered {
    size: u64,
    state: Mutex<State>,
}

struct State {
    disk: Disk,
    /// The next canary cuts the power so.
    primed: Option<(Profile, u64)>,
    /// What a cut has left, until the power is back.
    left: Option<(Image, CutFacts)>,
}

impl State {
    fn cut(&mut self, profile: Profile, seed: u64) {
        let cut = self.disk.cut(profile, seed, |data| data.starts_with(CUT_CANARY.as_bytes()));
        let facts = CutFacts {
            volatile: cut.volatile - u64::from(cut.asked.is_some()),
            dropped: cut.dropped - u64::from(cut.asked == Some(false)),
            canary: cut.asked,
        };
        self.left = Some((cut.image, facts));
    }
}

impl Powered {
    /// A disk with this content, and power.
    pub(super) fn new(image: Image) -> Self {
        let size = image.size();
        let disk = Disk::new(image, CACHE);
        Self { size, state: Mutex::new(State { disk, primed: None, left: None }) }
    }

    /// Bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Chunks in use.
    pub(super) fn chunks(&self) -> u64 {
        self.state().disk.live().chunks()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on(&self) -> Result<MutexGuard<'_, State>, Errno> {
        let state = self.state();
        if state.left.is_some() { Err(Errno::IO) } else { Ok(state) }
    }

    /// Reads.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        self.on()?.disk.live().read(offset, buffer);
        Ok(())
    }

    /// Writes.
    pub(super) fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.inside(offset, data.len() as u64)?;
        let mut state = self.on()?;
        let submitted = state.disk.write(offset, data);
        state.disk.written(submitted);
        if data.starts_with(CUT_CANARY.as_bytes())
            && let Some((profile, seed)) = state.primed.take()
        {
            state.cut(profile, seed);
        }
        Ok(())
    }

    /// Makes zeros of a range.
    pub(super) fn zero(&self, offset: u64, length: u64) -> Result<(), Errno> {
        self.inside(offset, length)?;
        let mut state = self.on()?;
        let submitted = state.disk.zero(offset, length);
        state.disk.written(submitted);
        Ok(())
    }

    fn inside(&self, offset: u64, length: u64) -> Result<(), Errno> {
        let end = offset.checked_add(length);
        if end.is_some_and(|end| end <= self.size) { Ok(()) } else { Err(Errno::NOSPC) }
    }

    /// Remembers from now on what happens, up to so many bytes. False without power.
    pub(super) fn record(&self, most: u64) -> bool {
        self.on().map(|mut state| state.disk.record(most)).is_ok()
    }

    /// Somebody was told something: its place in the sequence.
    pub(super) fn mark(&self) -> Result<u64, Errno> {
        Ok(self.on()?.disk.mark())
    }

    /// Every moment at which it can be cut in hindsight; none where nothing was recorded.
    pub(super) fn past(&self) -> Option<Past> {
        // whoever uses the disk does not wait for this
        let recording: Option<Recording> = self.state().disk.recording().cloned();
        recording.map(|recording| recording.past())
    }

    /// The filesystem on it.
    pub(super) fn filesystem(&self) -> Option<&'static str> {
        filesystem(self.state().disk.live())
    }

    /// Puts another content in its place.
    pub(super) fn show(&self, image: Image) {
        self.state().disk = Disk::new(image, CACHE);
    }

    /// Makes durable what was written.
    pub(super) fn flush(&self) -> Result<(), Errno> {
        let mut state = self.on()?;
        let submitted = state.disk.flush();
        state.disk.flushed(submitted);
        Ok(())
    }

    /// Lets the next canary cut the power. False where it is cut already.
    pub(super) fn prime(&self, profile: Profile, seed: u64) -> bool {
        self.on().map(|mut state| state.primed = Some((profile, seed))).is_ok()
    }

    /// What the cut has left; none while there is power.
    pub(super) fn facts(&self) -> Option<CutFacts> {
        self.state().left.as_ref().map(|(_, facts)| *facts)
    }

    /// Gives the power back, with what the cut has left on the disk. False where it was not cut.
    pub(super) fn restore(&self) -> bool {
        let mut state = self.state();
        let left = state.left.take();
        let was_cut = left.is_some();
        left.into_iter().for_each(|(image, _)| state.disk.replace(image));
        was_cut
    }

    /// Gives the power back as if it had never been cut, and cuts it no more. False where it was not.
    pub(super) fn undo(&self) -> bool {
        let mut state = self.state();
        state.primed = None;
        state.left.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(disk: &Powered) -> Result<u8, Errno> {
        let mut byte = [0];
        disk.read(0, &mut byte).map(|()| byte[0])
    }

    #[test]
    fn what_is_left_comes_back_with_the_power() {
        let disk = Powered::new(Image::new(1 << 20));
        disk.write(0, &[1; 4096]).unwrap();
        disk.flush().unwrap();
        disk.write(0, &[2; 4096]).unwrap();
        assert!(disk.prime(Profile::Drop, 7) && disk.facts().is_none());
        disk.write(8192, CUT_CANARY.as_bytes()).unwrap();
        let facts = CutFacts { volatile: 1, dropped: 1, canary: Some(false) };
        assert_eq!(disk.facts(), Some(facts));
        assert!(!disk.prime(Profile::Drop, 7));
        let errors = [first(&disk).err(), disk.write(0, &[3]).err(), disk.flush().err()];
        assert_eq!(errors, [Some(Errno::IO); 3]);
        assert!(disk.restore() && !disk.restore());
        assert_eq!(first(&disk), Ok(1));
    }

    #[test]
    fn an_undo_leaves_everything() {
        let disk = Powered::new(Image::new(1 << 20));
        disk.write(0, &[2; 4096]).unwrap();
        assert!(disk.prime(Profile::Drop, 7));
        disk.write(8192, CUT_CANARY.as_bytes()).unwrap();
        assert!(disk.undo() && !disk.undo());
        assert_eq!(first(&disk), Ok(2));
        assert!(disk.prime(Profile::KeepAll, 7) && !disk.undo());
        disk.write(8192, CUT_CANARY.as_bytes()).unwrap();
        assert!(disk.facts().is_none(), "it is primed no more");
    }

    #[test]
    fn nothing_is_written_beyond_the_end() {
        let disk = Powered::new(Image::new(8192));
        assert_eq!(disk.write(8000, &[1; 4096]), Err(Errno::NOSPC));
        assert_eq!(disk.zero(u64::MAX, 2), Err(Errno::NOSPC));
    }
}
