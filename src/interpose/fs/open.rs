//! Open files: who reads and writes their bytes, the kernel by itself or we.
//!
//! Decided when a file is opened, and for good: the kernel never asks again for one that it was
//! given. All that are open on one file must be given the same backing, or the kernel refuses.

use std::{
    collections::HashMap,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use fuser::{BackingId, FopenFlags};
use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
};

use super::{
    Fs,
    attr::path_of,
    table::{Node, lock},
};
use crate::interpose::rules::RuleSet;

/// What the kernel was given of a file.
pub(super) struct Kernel {
    pub(super) id: BackingId,
    file: Arc<OwnedFd>,
    writable: bool,
}

impl Kernel {
    /// Reads and writes as whoever opens with these flags wants them.
    fn does_for(&self, asked: OFlags) -> bool {
        let apart = OFlags::SYNC | OFlags::DSYNC | OFlags::NOATIME;
        let writes = asked.intersects(OFlags::RDWR | OFlags::WRONLY);
        !asked.intersects(apart) && (self.writable || !writes)
    }

    /// Stands in for a descriptor past the page cache: what a write makes durable is seen to apart.
    fn does_directly(&self, asked: OFlags) -> bool {
        let asks = asked.contains(OFlags::DIRECT);
        asks && self.does_for(asked.difference(OFlags::SYNC | OFlags::DSYNC))
    }
}

/// One open file.
pub(super) struct Open {
    pub(super) node: Arc<Node>,
    /// The name by which rules know it; none where nobody asked when it was opened.
    pub(super) path: Option<Arc<str>>,
    /// When it was opened.
    pub(super) since: Instant,
    /// Of how many failures of the file's syncs it was told.
    pub(super) told: AtomicU64,
    mover: Mover,
    writes: bool,
}

/// Who moves the bytes of an open file.
enum Mover {
    Kernel(Arc<Kernel>),
    /// We do, by what the kernel was given of the file, which serves its memory maps: one descriptor
    /// for all that have it open.
    Us(Arc<Kernel>),
    /// We do, past the page cache, as it was opened; by what the kernel was given where a part of an
    /// operation does not lie even.
    Direct(OwnedFd, Arc<Kernel>),
    /// We do, by a descriptor of its own. What the kernel was given is kept for as long.
    Own(OwnedFd, #[expect(dead_code, reason = "held, not read")] Option<Arc<Kernel>>),
}

impl Open {
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        match &self.mover {
            Mover::Kernel(kernel) | Mover::Us(kernel) | Mover::Direct(_, kernel) => {
                kernel.file.as_fd()
            }
            Mover::Own(file, _) => file.as_fd(),
        }
    }

    /// What moves bytes past the page cache, from and to buffers that lie even.
    pub(super) fn direct(&self) -> Option<BorrowedFd<'_>> {
        match &self.mover {
            Mover::Direct(file, _) => Some(file.as_fd()),
            _ => None,
        }
    }

    /// Something is written through it.
    pub(super) fn wrote(&self) {
        lock(&self.node.syncs).write();
    }

    /// It may be written through.
    pub(super) fn writes(&self) -> bool {
        self.writes
    }

    /// The kernel moves its bytes without asking.
    fn is_left_to_the_kernel(&self) -> bool {
        matches!(self.mover, Mover::Kernel(_))
    }
}

/// Every open file.
#[derive(Default)]
pub(super) struct Opened {
    files: Mutex<HashMap<u64, Arc<Open>>>,
    last: AtomicU64,
    /// This kernel, or the filesystem beneath, does not take files.
    pub(super) kernel_refuses: AtomicBool,
}

impl Opened {
    pub(super) fn get(&self, fh: u64) -> Result<Arc<Open>, Errno> {
        lock(&self.files).get(&fh).cloned().ok_or(Errno::BADF)
    }

    pub(super) fn any_of(&self, node: &Arc<Node>) -> Option<Arc<Open>> {
        let files = lock(&self.files);
        let mut of_it = files.values().filter(|open| Arc::ptr_eq(&open.node, node));
        of_it.clone().find(|open| open.writes).or_else(|| of_it.next()).cloned()
    }

    fn add(&self, open: Open) -> u64 {
        let fh = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        lock(&self.files).insert(fh, Arc::new(open));
        fh
    }

    pub(super) fn close(&self, fh: u64) {
        let open = lock(&self.files).remove(&fh);
        // not under the lock: it may close the last descriptor
        drop(open);
    }

    /// Files that are open.
    pub(super) fn count(&self) -> u64 {
        lock(&self.files).len() as u64
    }

    /// Open files whose bytes a set of rules is about, and that it cannot reach.
    pub(super) fn out_of_reach(&self, set: &RuleSet) -> u64 {
        let files = lock(&self.files);
        let left = files.values().filter(|open| open.is_left_to_the_kernel());
        let about = |open: &&Arc<Open>| match &open.path {
            Some(path) => set.may_move_data(path),
            None => set.may_move_data(&open.node.path()),
        };
        left.filter(about).count() as u64
    }
}

/// How a file is opened beneath: with what matters to reads, writes and their durability.
fn flags(asked: i32, remembered: bool) -> OFlags {
    let mut asked = OFlags::from_bits_retain(asked.cast_unsigned());
    if remembered && asked.contains(OFlags::WRONLY) {
        // what is there is read before it is written over
        asked = asked.difference(OFlags::WRONLY) | OFlags::RDWR;
    }
    // the kernel says where an append goes; what is remembered is read at any offset, and so not by
    // O_DIRECT
    asked & (OFlags::RWMODE | OFlags::SYNC | OFlags::DSYNC | OFlags::NOATIME) | OFlags::CLOEXEC
}

impl Fs {
    /// Opens a file. `made` is a descriptor of it for reading and writing, where there is one already;
    /// `give` hands one to the kernel.
    pub(super) fn open(
        &self,
        node: &Arc<Node>,
        asked: i32,
        made: Option<Arc<OwnedFd>>,
        give: impl Fn(BorrowedFd<'_>) -> std::io::Result<BackingId>,
    ) -> Result<(u64, FopenFlags, Option<Arc<Kernel>>), Errno> {
        let traced = self.tracer.is_some();
        let path: Option<Arc<str>> = match &node.own {
            Some(name) => Some(name.as_str().into()),
            None => (traced || self.armed.looks_at_paths()).then(|| node.path().into()),
        };
        let remembered = self.history.is_some();
        // of what is remembered, what is mapped is written back through us too
        let kept = node.own.is_some() || remembered;
        let ours =
            kept || traced || path.as_deref().is_some_and(|path| self.armed.may_move_data(path));
        let kernel = if kept { None } else { self.give_to_kernel(node, made, give)? };
        let asked_flags = OFlags::from_bits_retain(asked.cast_unsigned());
        let writes = asked_flags.intersects(OFlags::RDWR | OFlags::WRONLY);
        let ours = ours || writes && self.has_set_id(node)?;
        let given = kernel.clone();
        let mover = match kernel {
            Some(kernel) if !ours => Mover::Kernel(kernel),
            kernel => self.mover(node, kernel, (asked, remembered))?,
        };
        let answer = if ours {
            FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES
        } else {
            FopenFlags::empty()
        };
        let (node, since) = (Arc::clone(node), Instant::now());
        let told = AtomicU64::new(lock(&node.syncs).failures());
        let fh = self.opened.add(Open { node, path, since, told, mover, writes });
        Ok((fh, answer, given))
    }

    /// How we move the bytes of a file that is opened with these flags.
    fn mover(
        &self,
        node: &Arc<Node>,
        kernel: Option<Arc<Kernel>>,
        (asked, remembered): (i32, bool),
    ) -> Result<Mover, Errno> {
        let wanted = OFlags::from_bits_retain(asked.cast_unsigned());
        let fd = self.table.fd(node)?;
        let open = |flags| open(path_of(fd.as_fd()), flags, Mode::empty());
        let direct = wanted & OFlags::RWMODE | OFlags::DIRECT | OFlags::CLOEXEC;
        match kernel {
            // where the filesystem beneath has no such way, as without it
            Some(kernel) if kernel.does_directly(wanted) => Ok(match open(direct) {
                Ok(file) => Mover::Direct(file, kernel),
                Err(_) => Mover::Us(kernel),
            }),
            Some(kernel) if kernel.does_for(wanted) => Ok(Mover::Us(kernel)),
            kernel => Ok(Mover::Own(open(flags(asked, remembered))?, kernel)),
        }
    }

    /// A descriptor of a file for whoever opens it, and whether it may be written through.
    fn opened_for_all(&self, node: &Arc<Node>) -> Result<(Arc<OwnedFd>, bool), Errno> {
        let fd = self.table.fd(node)?;
        let path = path_of(fd.as_fd());
        let opened = |mode| open(&path, mode | OFlags::CLOEXEC, Mode::empty()).map(Arc::new);
        match opened(OFlags::RDWR) {
            Ok(file) => Ok((file, true)),
            Err(_) => Ok((opened(OFlags::RDONLY)?, false)),
        }
    }

    /// What the kernel holds of a file: the same for all that are open. None where it takes none.
    fn give_to_kernel(
        &self,
        node: &Arc<Node>,
        made: Option<Arc<OwnedFd>>,
        give: impl Fn(BorrowedFd<'_>) -> std::io::Result<BackingId>,
    ) -> Result<Option<Arc<Kernel>>, Errno> {
        if self.opened.kernel_refuses.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut known = lock(&node.kernel);
        if let Some(kernel) = known.upgrade() {
            return Ok(Some(kernel));
        }
        let (file, writable) = match made {
            Some(file) => (file, true),
            None => self.opened_for_all(node)?,
        };
        match give(file.as_fd()) {
            Ok(id) => {
                let kernel = Arc::new(Kernel { id, file, writable });
                *known = Arc::downgrade(&kernel);
                Ok(Some(kernel))
            }
            Err(_) => {
                // for good: files of which some are given and some not would be refused
                self.opened.kernel_refuses.store(true, Ordering::Relaxed);
                *known = Weak::new();
                Ok(None)
            }
        }
    }
}
