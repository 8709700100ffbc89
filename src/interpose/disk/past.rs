//! Past states of a disk, shown one after the other on a second disk: of the same process, with a
//! connection and a loop device of its own, so that it can hang or be aborted without the first.

use std::{
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    power::Powered,
    session::{serve, unstruck},
};
use crate::{
    block::{Image, Kept, Past, pack},
    host::loop_device::Attached,
    protocol::PastFacts,
};

/// What the second disk's name ends with.
pub const PAST: &str = "+past";

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
}

#[derive(Default)]
struct State {
    shown: Option<(Arc<Powered>, Attached)>,
    past: Option<(Past, PastFacts)>,
    failed: Option<String>,
    /// Somebody reads it.
    opening: bool,
    /// And somebody wants it when it is read.
    wanted: bool,
}

impl Pasts {
    /// Of the disk with this mark.
    pub(super) fn new(nodes: &Path, mark: &str) -> Self {
        Self { nodes: nodes.to_owned(), mark: format!("{mark}{PAST}"), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the past of a disk as it is now, on a thread of its own: it may take longer than whoever
    /// asks after us is patient. False while another is still being opened.
    pub(super) fn open(this: &Arc<Self>, disk: &Arc<Powered>) -> bool {
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
            let opened = pasts.read(&disk);
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

    /// Forgets it: what is known of every moment takes room. The second disk stays, with what it shows.
    pub(super) fn close(&self) {
        let mut state = self.state();
        (state.past, state.wanted) = (None, false);
    }

    fn read(&self, disk: &Powered) -> Result<(Past, PastFacts), String> {
        let past = disk.past().ok_or("nothing of this disk was recorded")?;
        past.warm();
        let filesystem = disk.filesystem().ok_or("no filesystem is known to be on this disk")?;
        let shown = self.state().shown.clone();
        let (_, attached) = match shown {
            Some(shown) => shown,
            None => self.attach(disk.size())?,
        };
        let facts = PastFacts {
            node: attached.node,
            connection: rustix::fs::minor(attached.backing.device),
            filesystem: filesystem.to_owned(),
            forgotten: past.forgotten(),
            points: past.points().to_vec(),
        };
        Ok((past, facts))
    }

    fn attach(&self, size: u64) -> Result<(Arc<Powered>, Attached), String> {
        let disk = Arc::new(Powered::new(Image::new(size)));
        let served =
            unstruck(&disk).and_then(|rules| serve((&disk, &rules), &self.nodes, &self.mark));
        let (_, attached) = served.map_err(|error| error.to_string())?;
        self.state().shown = Some((Arc::clone(&disk), attached.clone()));
        Ok((disk, attached))
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

    /// Puts on the second disk what a cut of the first would have left.
    pub(super) fn show(&self, cut: u64, kept: &[Kept]) -> Option<[u8; 32]> {
        let state = self.state();
        let image = state.past.as_ref()?.0.image(cut, kept)?;
        let digest = image.digest();
        state.shown.as_ref()?.0.show(image);
        Some(digest)
    }

    /// Writes what a cut of the first would have left to a file, packed.
    pub(super) fn keep(&self, cut: u64, kept: &[Kept], to: &Path) -> Result<u64, String> {
        let image = self.state().past.as_ref().and_then(|(past, _)| past.image(cut, kept));
        let image = image.ok_or_else(|| format!("there is no such state at {cut}"))?;
        let packed = pack(&image, LARGEST_STATE)
            .ok_or_else(|| format!("it takes more than {} MiB", LARGEST_STATE >> 20))?;
        fs::write(to, &packed).map_err(|error| error.to_string())?;
        Ok(packed.len() as u64)
    }

    /// Writes what happened to the first until a cut to a file, as a log of `dm-log-writes`.
    pub(super) fn export(&self, cut: u64, to: &Path) -> Result<u64, String> {
        let state = self.state();
        let (past, _) = state.past.as_ref().ok_or("its past is not open")?;
        let log = past.recording().log_writes(cut)?;
        if log.bytes() > LARGEST_LOG {
            return Err(format!("it takes more than {} MiB", LARGEST_LOG >> 20));
        }
        let written = fs::File::create(to).and_then(|file| log.write_to(&mut BufWriter::new(file)));
        written.map(|()| log.bytes()).map_err(|error| error.to_string())
    }
}
