//! A disk, and whether it has power. Without it every request fails, and nothing is taken any more.
//!
//! Behind the filesystem's end comes the margin, a small disk for trials with the same switch: what
//! they write is no part of what the filesystem has, nor of what a cut may leave of that.
//!
//! The power goes with the write of a canary, before anything else is taken: so the canary is among
//! what no flush has made durable, whoever else syncs at that moment.
//!
//! Several disks lose it at one instant, though one is cut after the other: until the last one has none,
//! whatever is asked of an earlier one waits. Nobody is told anything by it that could be written to
//! one that still takes it; so it is as if all had been cut with the last.

mod stand;

use std::{
    ops::Range,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use super::pulse::Pulse;
use crate::{
    block::{CHUNK, Disk, Image, Past, Profile, Recording, Shelf, filesystem, laid_out},
    protocol::{CUT_CANARY, CutFacts, MARGIN, PendingFacts},
};

/// What a disk of today keeps to itself until it is told to flush.
pub(super) const CACHE: u64 = 64 << 20;
/// Whoever writes to one that is too full gets an answer only after this: until then somebody has seen
/// that, and has ended it. A disk that fails is a fault, and this is none.
const TOO_FULL: Duration = Duration::from_secs(5);

/// A disk with a switch.
pub(super) struct Powered {
    size: u64,
    /// Chunks that it may have.
    most: u64,
    /// Since when it would need more.
    too_full: OnceLock<Instant>,
    /// What the filesystem was made with; looked at when it is asked for.
    laid_out: OnceLock<Vec<Range<u64>>>,
    state: Mutex<State>,
    /// A hold is over.
    let_go: Condvar,
    /// How far it has come.
    pub(super) pulse: Pulse,
}

struct State {
    disk: Disk,
    /// What lies behind it.
    margin: Disk,
    /// What it had before a state was put on it, with all that is remembered of that.
    had: Option<Disk>,
    /// The last flush was said to be done, and was not.
    lied: bool,
    /// The next canary cuts the power so.
    primed: Option<Primed>,
    /// Since a cut, until when requests wait for the other disks' to lose power too.
    held: Option<Instant>,
    /// What a cut has left, until the power is back.
    left: Option<(Image, CutFacts)>,
}

/// How the power will be cut.
struct Primed {
    profile: Profile,
    seed: u64,
    /// So long requests wait afterwards.
    hold: Duration,
}

impl State {
    /// The disk that begins there, or before, and which of its bytes it is.
    fn part(&mut self, end: u64, offset: u64) -> (&mut Disk, u64) {
        match offset.checked_sub(end) {
            Some(behind) => (&mut self.margin, behind),
            None => (&mut self.disk, offset),
        }
    }

    fn cut(&mut self, Primed { profile, seed, hold }: Primed) {
        let cut = self.disk.cut(profile, seed, |data| data.starts_with(CUT_CANARY.as_bytes()));
        let facts = CutFacts {
            volatile: cut.volatile,
            dropped: cut.dropped,
            taken_back: cut.taken_back,
            canary: cut.asked,
            lied: self.lied,
        };
        self.left = Some((cut.image, facts));
        self.held = (!hold.is_zero()).then(|| Instant::now() + hold);
    }

    /// How long requests still wait; none where they do not.
    fn hold(&self) -> Option<Duration> {
        let left = self.held?.checked_duration_since(Instant::now())?;
        Some(left).filter(|left| !left.is_zero())
    }
}

impl Powered {
    /// A disk with this content, and power.
    pub(super) fn new(image: Image) -> Self {
        Self::of(Disk::new(image, CACHE))
    }

    /// Likewise, with whatever the disk remembers.
    pub(super) fn of(disk: Disk) -> Self {
        let (size, margin) = (disk.live().size(), Disk::new(Image::new(MARGIN), CACHE));
        let state =
            State { disk, margin, had: None, lied: false, primed: None, held: None, left: None };
        let (laid_out, state) = (OnceLock::new(), Mutex::new(state));
        let (let_go, pulse) = (Condvar::new(), Pulse::default());
        Self { size, most: u64::MAX, too_full: OnceLock::new(), laid_out, state, let_go, pulse }
    }

    /// The same, which may have so many bytes of content.
    pub(super) fn at_most(self, bytes: u64) -> Self {
        Self { most: bytes / CHUNK as u64, ..self }
    }

    /// Why it is of no use any more, if it is not: what was written is more than it may have.
    pub(super) fn too_full(&self) -> Option<String> {
        self.too_full.get().map(|_| {
            let mib = self.most.saturating_mul(CHUNK as u64) >> 20;
            format!(
                "it is in memory, which has room for {mib} MiB of content, and more was written\n\n\
                 hint: write less to the volume, or leave `interpose: block` out"
            )
        })
    }

    /// Lets somebody end it first, who has seen that it is too full.
    fn turn_away(&self) -> Errno {
        let _held = self.pulse.hold();
        let since = self.too_full.get_or_init(Instant::now);
        thread::sleep(TOO_FULL.saturating_sub(since.elapsed()));
        Errno::NOSPC
    }

    /// Bytes of the filesystem.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Where the margin begins, in bytes.
    pub(super) fn end(&self) -> u64 {
        self.size.next_multiple_of(CHUNK as u64)
    }

    /// Bytes with the margin.
    pub(super) fn whole(&self) -> u64 {
        self.end() + MARGIN
    }

    /// Chunks in use.
    pub(super) fn chunks(&self) -> u64 {
        self.state().disk.live().chunks()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on(&self) -> Result<MutexGuard<'_, State>, Errno> {
        let mut state = self.state();
        while let Some(left) = state.hold() {
            let _held = self.pulse.hold();
            let waited = self.let_go.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.left.is_some() { Err(Errno::IO) } else { Ok(state) }
    }

    /// Reads.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Errno> {
        let mut state = self.on()?;
        let (disk, at) = state.part(self.end(), offset);
        disk.live().read(at, buffer);
        Ok(())
    }

    /// Writes.
    pub(super) fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.inside(offset, data.len() as u64)?;
        let mut state = self.on()?;
        let (disk, at) = state.part(self.end(), offset);
        let there = disk.live().chunks() + (data.len() / CHUNK) as u64 + 2;
        if there > self.most && !disk.live().holds(at, data.len() as u64) {
            drop(state);
            return Err(self.turn_away());
        }
        let submitted = disk.write(at, data);
        disk.written(submitted);
        if data.starts_with(CUT_CANARY.as_bytes())
            && let Some(primed) = state.primed.take()
        {
            state.cut(primed);
        }
        Ok(())
    }

    /// Makes zeros of a range.
    pub(super) fn zero(&self, offset: u64, length: u64) -> Result<(), Errno> {
        self.inside(offset, length)?;
        let mut state = self.on()?;
        let (disk, at) = state.part(self.end(), offset);
        let submitted = disk.zero(at, length);
        disk.written(submitted);
        Ok(())
    }

    fn inside(&self, offset: u64, length: u64) -> Result<(), Errno> {
        let end = offset.checked_add(length);
        let most = if offset < self.end() { self.size } else { self.whole() };
        if end.is_some_and(|end| end <= most) { Ok(()) } else { Err(Errno::NOSPC) }
    }

    /// Whether a write needs room that nothing has had yet: neither what was written, nor what the
    /// filesystem was made with.
    pub(super) fn is_fresh(&self, (offset, length): (u64, u64)) -> bool {
        let mut state = self.state();
        let (disk, at) = state.part(self.end(), offset);
        if disk.live().holds(at, length) {
            return false;
        }
        let laid_out = self.laid_out.get_or_init(|| laid_out(state.disk.live()));
        let within = |range: &Range<u64>| range.start <= offset && offset + length <= range.end;
        !laid_out.iter().any(within)
    }

    /// What no flush has made durable; of trials as what is our own.
    pub(super) fn pending(&self) -> PendingFacts {
        let state = self.state();
        let count = |disk: &Disk| disk.volatile().len() as u64;
        let (pending, own) = (count(&state.disk), count(&state.margin));
        PendingFacts { pending, own, ..PendingFacts::default() }
    }

    /// Remembers from now on what happens, up to so many bytes in memory, and more on a shelf. False
    /// without power.
    pub(super) fn record(&self, most: u64, shelf: Option<Arc<dyn Shelf>>) -> bool {
        self.its_own().map(|mut state| state.disk.record_on(most, shelf)).is_ok()
    }

    /// Somebody was told something: its place in the sequence.
    pub(super) fn mark(&self) -> Result<u64, Errno> {
        Ok(self.its_own()?.disk.mark())
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

    /// What is on it.
    pub(super) fn image(&self) -> Image {
        self.state().disk.live().clone()
    }

    /// Puts another content in its place.
    pub(super) fn show(&self, image: Image) {
        self.state().disk = Disk::new(image, CACHE);
    }

    /// Makes durable what was written.
    pub(super) fn flush(&self) -> Result<(), Errno> {
        let mut state = self.on()?;
        state.lied = false;
        let State { disk, margin, .. } = &mut *state;
        for disk in [disk, margin] {
            let submitted = disk.flush();
            disk.flushed(submitted);
        }
        Ok(())
    }

    /// Says that it has made durable what was written, and has not.
    pub(super) fn lie(&self) -> Result<(), Errno> {
        self.on()?.lied = true;
        Ok(())
    }

    /// Lets the next canary cut the power; for this long requests wait afterwards, and fail then.
    /// False where it is cut already.
    pub(super) fn prime(&self, (profile, seed): (Profile, u64), hold: Duration) -> bool {
        self.its_own().map(|mut state| state.primed = Some(Primed { profile, seed, hold })).is_ok()
    }

    /// Lets what waits since a cut fail. False where nothing was held until now.
    pub(super) fn end_hold(&self) -> bool {
        let mut state = self.state();
        let was_held = state.hold().is_some();
        self.let_go(&mut state);
        was_held
    }

    fn let_go(&self, state: &mut State) {
        state.held = None;
        self.let_go.notify_all();
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
        self.let_go(&mut state);
        // what it lied about is gone, or there
        state.lied = false;
        left.into_iter().for_each(|(image, _)| state.disk.replace(image));
        was_cut
    }

    /// Gives the power back as if it had never been cut, and cuts it no more. False where it was not.
    pub(super) fn undo(&self) -> bool {
        let mut state = self.state();
        state.primed = None;
        self.let_go(&mut state);
        state.left.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    const DROP: (Profile, u64) = (Profile::Drop, 7);
    const AT_ONCE: Duration = Duration::ZERO;
    /// Nothing in a test waits for the end of this.
    const LONG: Duration = Duration::from_secs(600);
    /// Whoever does not wait has ended by then.
    const SOON: Duration = Duration::from_millis(100);

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
        assert!(disk.prime(DROP, AT_ONCE) && disk.facts().is_none());
        disk.write(8192, CUT_CANARY.as_bytes()).unwrap();
        let facts =
            CutFacts { volatile: 1, dropped: 1, taken_back: 0, canary: Some(false), lied: false };
        assert_eq!(disk.facts(), Some(facts));
        assert!(!disk.prime(DROP, AT_ONCE));
        let errors = [first(&disk).err(), disk.write(0, &[3]).err(), disk.flush().err()];
        assert_eq!(errors, [Some(Errno::IO); 3]);
        assert!(disk.restore() && !disk.restore());
        assert_eq!(first(&disk), Ok(1));
    }

    #[test]
    fn an_undo_leaves_everything() {
        let disk = Powered::new(Image::new(1 << 20));
        disk.write(0, &[2; 4096]).unwrap();
        assert!(disk.prime(DROP, AT_ONCE));
        disk.write(8192, CUT_CANARY.as_bytes()).unwrap();
        assert!(disk.undo() && !disk.undo());
        assert_eq!(first(&disk), Ok(2));
        assert!(disk.prime((Profile::KeepAll, 7), AT_ONCE) && !disk.undo());
        disk.write(8192, CUT_CANARY.as_bytes()).unwrap();
        assert!(disk.facts().is_none(), "it is primed no more");
    }

    /// One whose power was cut, and what asks for its first byte since then.
    fn held(hold: Duration) -> (Arc<Powered>, thread::JoinHandle<Result<u8, Errno>>) {
        let disk = Arc::new(Powered::new(Image::new(1 << 20)));
        disk.write(0, &[2; 4096]).unwrap();
        assert!(disk.prime(DROP, hold));
        disk.write(8192, CUT_CANARY.as_bytes()).unwrap();
        let asking = thread::spawn({
            let disk = Arc::clone(&disk);
            move || first(&disk)
        });
        (disk, asking)
    }

    #[test]
    fn nobody_is_told_anything_while_another_disk_has_power() {
        let (disk, asking) = held(LONG);
        thread::sleep(SOON);
        assert!(!asking.is_finished() && disk.facts().is_some());
        assert!(disk.end_hold() && !disk.end_hold());
        assert_eq!((asking.join().unwrap(), first(&disk)), (Err(Errno::IO), Err(Errno::IO)));
        let (disk, asking) = held(LONG);
        thread::sleep(SOON);
        assert!(!asking.is_finished() && disk.undo());
        assert_eq!(asking.join().unwrap(), Ok(2), "as if it had only been slow");
        let (disk, asking) = held(SOON);
        assert_eq!(asking.join().unwrap(), Err(Errno::IO), "nobody waits for ever");
        assert!(!disk.end_hold() && !held(AT_ONCE).0.end_hold());
    }

    #[test]
    fn what_lies_in_the_margin_is_no_part_of_the_filesystem() {
        let disk = Powered::new(Image::new(10_000));
        assert_eq!((disk.end(), disk.whole()), (12_288, 12_288 + MARGIN));
        disk.write(disk.end() + 4096, &[7; 4096]).unwrap();
        let mut found = [0; 4096];
        disk.read(disk.end() + 4096, &mut found).unwrap();
        assert_eq!((found, first(&disk), disk.chunks()), ([7; 4096], Ok(0), 0));
        let pending = || (disk.pending().pending, disk.pending().own);
        assert_eq!(pending(), (0, 1));
        disk.flush().unwrap();
        assert_eq!(pending(), (0, 0));
        assert_eq!(disk.write(disk.whole(), &[1]), Err(Errno::NOSPC));
    }

    #[test]
    fn a_cut_knows_of_a_lie_until_the_disk_makes_up_for_it() {
        let disk = Powered::new(Image::new(1 << 20));
        let lied = || {
            assert!(disk.prime(DROP, AT_ONCE));
            disk.write(8192, CUT_CANARY.as_bytes()).unwrap();
            let lied = disk.facts().unwrap().lied;
            assert!(disk.undo());
            lied
        };
        disk.lie().unwrap();
        assert!(lied() && disk.pending().pending > 0);
        disk.flush().unwrap();
        assert!(!lied());
    }

    #[test]
    fn room_is_fresh_until_it_was_written() {
        let disk = Powered::new(Image::new(1 << 20));
        assert!(disk.is_fresh((4096, 4096)));
        disk.write(4096, &[1; 4096]).unwrap();
        assert!(!disk.is_fresh((4096, 4096)) && disk.is_fresh((4096, 4097)));
        assert!(disk.is_fresh((disk.end(), 4096)), "a trial's likewise");
        disk.zero(4096, 4096).unwrap();
        assert!(disk.is_fresh((4096, 4096)), "it was given back");
    }

    #[test]
    fn what_is_too_full_says_so_at_once_and_fails_nobody_before_it_was_heard() {
        let disk = Arc::new(Powered::new(Image::new(1 << 40)).at_most(1 << 20));
        disk.write(1 << 39, &[1; 512 << 10]).unwrap();
        disk.write(1 << 39, &[2; 512 << 10]).unwrap();
        assert_eq!(disk.too_full(), None);
        let writing = thread::spawn({
            let disk = Arc::clone(&disk);
            move || disk.write(0, &[3; 600 << 10])
        });
        thread::sleep(SOON);
        assert!(!writing.is_finished() && disk.too_full().unwrap().contains(" 1 MiB "));
        assert_eq!(first(&disk), Ok(0));
        assert_eq!(disk.write(1 << 39, &[4; 512 << 10]), Ok(()), "nothing more is needed");
        assert_eq!(writing.join().unwrap(), Err(Errno::NOSPC));
    }

    #[test]
    fn nothing_is_written_beyond_the_end() {
        let disk = Powered::new(Image::new(8192));
        assert_eq!(disk.write(8000, &[1; 4096]), Err(Errno::NOSPC));
        assert_eq!(disk.zero(u64::MAX, 2), Err(Errno::NOSPC));
    }
}
