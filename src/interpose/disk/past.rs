//! Past states of a disk, shown one after the other on a disk beside it, or on several: of the same process,
//! each with a connection and a loop device of its own, so that it can hang or be aborted without the others.

mod again;

use std::{
    collections::BTreeMap,
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    power::Powered,
    session::{serve, unstruck},
    spill::Spill,
};
use crate::{
    block::{Image, Kept, Past, has_look_alikes, pack},
    protocol::{MOST_WORKERS, PastFacts, StageFacts},
};

/// What the name of a disk that shows the past of another ends with; from the second one on, behind a number.
const PAST: &str = "+past";
/// Bytes by which such a name is longer, at most.
pub const PAST_BYTES: usize = PAST.len() + 1;

/// The names of all disks that may show the past of one: whoever takes that away, takes these away too.
pub fn past_marks(mark: &str) -> impl Iterator<Item = String> {
    (0..MOST_WORKERS).map(move |nth| past_mark(mark, nth))
}

fn past_mark(mark: &str, nth: u32) -> String {
    match nth {
        0 => format!("{mark}{PAST}"),
        nth => format!("{mark}{PAST}{}", nth + 1),
    }
}

/// Bytes of the largest state that is kept, and of the largest log: reports are copied about.
const LARGEST_STATE: u64 = 64 << 20;
const LARGEST_LOG: u64 = 128 << 20;

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// Nobody asked, or it is being worked on.
    NotYet,
    /// The moments, and where they can be looked at.
    Open(Box<PastFacts>),
    /// It cannot be.
    Failed(String),
}

/// The past of one disk.
pub(super) struct Pasts {
    nodes: PathBuf,
    mark: String,
    state: Mutex<State>,
    /// Where some of it is put away.
    spill: Option<Arc<Spill>>,
}

/// A disk that shows one state at a time.
#[derive(Clone)]
struct Stage {
    disk: Arc<Powered>,
    facts: StageFacts,
}

#[derive(Default)]
struct State {
    stages: Vec<Stage>,
    past: Option<(Arc<Past>, PastFacts)>,
    /// What happened to a state that is shown, by its device.
    again: BTreeMap<u32, Arc<Past>>,
    failed: Option<String>,
    /// Somebody reads it.
    opening: bool,
    /// And somebody wants it when it is read.
    wanted: bool,
}

impl Pasts {
    /// Of the disk with this mark.
    pub(super) fn new(nodes: &Path, mark: &str, spill: Option<Arc<Spill>>) -> Self {
        Self { nodes: nodes.to_owned(), mark: mark.to_owned(), state: Mutex::default(), spill }
    }

    /// Why it cannot be shown: what was put away cannot be got back, and is zeros in its place.
    pub(super) fn lost(&self) -> Option<String> {
        let broken = self.spill.as_ref().is_some_and(|spill| spill.is_broken());
        broken.then(|| "what it remembers was put into a file, which cannot be read".into())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the past of a disk as it is now, on a thread of its own: it may take longer than whoever
    /// asks after us is patient. It is shown on so many disks at most. False while another is still being
    /// opened.
    pub(super) fn open(this: &Arc<Self>, disk: &Arc<Powered>, stages: u32) -> bool {
        {
            let mut state = this.state();
            if state.opening {
                return false;
            }
            (state.past, state.failed) = (None, None);
            (state.opening, state.wanted) = (true, true);
        }
        let (pasts, disk) = (Arc::clone(this), Arc::clone(disk));
        let work = move || {
            let opened = pasts.read(&disk, stages);
            let mut state = pasts.state();
            state.opening = false;
            match opened {
                Ok(past) => state.past = Some(past).filter(|_| state.wanted),
                Err(why) => state.failed = Some(why),
            }
        };
        if let Err(error) = std::thread::Builder::new().name("past".into()).spawn(work) {
            let mut state = this.state();
            (state.failed, state.opening) = (Some(error.to_string()), false);
        }
        true
    }

    /// Forgets it: what is known of every moment takes room. The disks beside it stay, with what they show.
    pub(super) fn close(&self) {
        let mut state = self.state();
        (state.past, state.wanted) = (None, false);
        state.again.clear();
    }

    fn read(&self, disk: &Powered, stages: u32) -> Result<(Arc<Past>, PastFacts), String> {
        let past = disk.past().ok_or("nothing of this disk was recorded")?;
        past.warm();
        if let Some(why) = self.lost() {
            return Err(why);
        }
        let filesystem = disk.filesystem().ok_or("no filesystem is known to be on this disk")?;
        let most = if has_look_alikes(filesystem) { stages.clamp(1, MOST_WORKERS) } else { 1 };
        let facts = PastFacts {
            stages: self.stages(disk.size(), most)?,
            filesystem: filesystem.to_owned(),
            forgotten: past.forgotten(),
            points: past.points().to_vec(),
        };
        Ok((Arc::new(past), facts))
    }

    /// The first so many disks on which states are shown; fewer, but one, where the host has no more devices.
    fn stages(&self, size: u64, most: u32) -> Result<Vec<StageFacts>, String> {
        let mut stages = self.state().stages.clone();
        for nth in (0..most).skip(stages.len()) {
            match self.attach(size, nth) {
                Ok(stage) => stages.push(stage),
                Err(why) if nth == 0 => return Err(why),
                Err(_) => break,
            }
        }
        let facts = stages.iter().zip(0..most).map(|(stage, _)| stage.facts.clone()).collect();
        self.state().stages = stages;
        Ok(facts)
    }

    fn attach(&self, size: u64, nth: u32) -> Result<Stage, String> {
        let (disk, mark) = (Arc::new(Powered::new(Image::new(size))), past_mark(&self.mark, nth));
        let served = unstruck(&disk).and_then(|rules| serve((&disk, &rules), &self.nodes, &mark));
        let (_, attached) = served.map_err(|error| error.to_string())?;
        let connection = rustix::fs::minor(attached.backing.device);
        Ok(Stage { disk, facts: StageFacts { node: attached.node, connection } })
    }

    /// How far it is.
    pub(super) fn opened(&self) -> Opened {
        let state = self.state();
        match (&state.past, &state.failed) {
            (Some((_, facts)), _) => Opened::Open(Box::new(facts.clone())),
            (None, Some(why)) => Opened::Failed(why.clone()),
            (None, None) => Opened::NotYet,
        }
    }

    /// Puts on one of the disks beside the first what a cut of that would have left.
    pub(super) fn show(&self, stage: u32, cut: u64, kept: &[Kept]) -> Option<[u8; 32]> {
        let (past, shown) = {
            let state = self.state();
            let shown = state.stages.get(usize::try_from(stage).ok()?)?;
            (Arc::clone(&state.past.as_ref()?.0), Arc::clone(&shown.disk))
        };
        // most of the work is the digest, and whoever shows another state does not wait for it
        let image = past.image(cut, kept)?;
        let digest = image.digest();
        if self.lost().is_some() {
            return None;
        }
        shown.show(image);
        Some(digest)
    }

    fn past(&self) -> Option<Arc<Past>> {
        self.state().past.as_ref().map(|(past, _)| Arc::clone(past))
    }

    /// Whether what a cut of the first would have left is beyond what a disk may do.
    pub(super) fn exceeds(&self, cut: u64, kept: &[Kept]) -> Option<bool> {
        let exceeds = self.past().and_then(|past| past.exceeds(cut, kept));
        exceeds.filter(|_| self.lost().is_none())
    }

    /// What a cut of the first would have left.
    pub(super) fn image(&self, cut: u64, kept: &[Kept]) -> Option<Image> {
        let image = self.past().and_then(|past| past.image(cut, kept));
        image.filter(|_| self.lost().is_none())
    }

    /// Writes what a cut of the first would have left to a file, packed.
    pub(super) fn keep(&self, cut: u64, kept: &[Kept], to: &Path) -> Result<u64, String> {
        let image = self.past().and_then(|past| past.image(cut, kept));
        let image = image.ok_or_else(|| format!("there is no such state at {cut}"))?;
        self.write_packed(&image, to)
    }

    fn write_packed(&self, image: &Image, to: &Path) -> Result<u64, String> {
        let packed = pack(image, LARGEST_STATE)
            .ok_or_else(|| format!("it takes more than {} MiB", LARGEST_STATE >> 20))?;
        if let Some(why) = self.lost() {
            return Err(why);
        }
        fs::write(to, &packed).map_err(|error| error.to_string())?;
        Ok(packed.len() as u64)
    }

    /// Writes what happened to the first until a cut to a file, as a log of `dm-log-writes`. Another file says
    /// what somebody was told.
    pub(super) fn export(&self, cut: u64, told: &Path, to: &Path) -> Result<u64, String> {
        let past = self.past().ok_or("its past is not open")?;
        let log = past.recording().log_writes(cut, &read_told(told)?)?;
        if log.bytes() > LARGEST_LOG {
            return Err(format!("it takes more than {} MiB", LARGEST_LOG >> 20));
        }
        let written = fs::File::create(to).and_then(|file| log.write_to(&mut BufWriter::new(file)));
        match (self.lost(), written) {
            (Some(why), _) => Err(why),
            (None, written) => written.map(|()| log.bytes()).map_err(|error| error.to_string()),
        }
    }
}

fn read_told(path: &Path) -> Result<BTreeMap<u64, String>, String> {
    let text = fs::read(path).map_err(|error| format!("what somebody was told: {error}"))?;
    let told: Vec<(u64, String)> =
        serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    Ok(told.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_disks_beside_one_are_its_own() {
        let marks: Vec<_> = past_marks("kh-data").collect();
        assert_eq!(marks[..3], ["kh-data+past", "kh-data+past2", "kh-data+past3"]);
        assert!(marks.iter().all(|mark| mark.len() <= "kh-data".len() + PAST_BYTES));
        assert!(past_marks("kh-data2").all(|mark| !marks.contains(&mark)));
    }
}
