//! Files that the kernel knows, by their number, and how each is found again beneath.
//!
//! A file is kept as its filesystem's own handle. The descriptor beside it is a cache of bounded
//! size, so that a million known files need no million descriptors.

use std::{
    collections::{HashMap, VecDeque},
    ffi::{OsStr, OsString},
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{OFlags, Stat, fstat},
    io::Errno,
};

use super::open::Kernel;
use crate::{
    host::{file_handle::FileHandle, io_trial::REMEMBERED},
    interpose::rules::Syncs,
};

/// The kernel's number for the root.
pub(super) const ROOT: u64 = 1;
/// Numbers with this bit are made up: the file beneath lies on another device, or is our own.
const MADE_UP: u64 = 1 << 62;
/// Names on the way to the root; more would be a circle.
const DEEPEST: usize = 512;

/// Names at the root that begin with this are ours, and no operation below them is the subject's.
pub(super) const OURS: &str = ".keelhaul-";

/// A name of keelhaul's own in the root.
pub(super) fn is_ours(parent: u64, name: &OsStr) -> bool {
    parent == ROOT && name.as_encoded_bytes().starts_with(OURS.as_bytes())
}

/// One file.
pub(super) struct Node {
    pub(super) ino: u64,
    /// Tells files that had the same number one after the other apart.
    pub(super) generation: u64,
    handle: Option<FileHandle>,
    fd: Mutex<Option<Arc<OwnedFd>>>,
    /// What keeps it although it may have no name any more.
    held: Mutex<Weak<OwnedFd>>,
    /// Where it was last found.
    name: Mutex<Option<(Arc<Node>, OsString)>>,
    /// A file of our own, by its name: what is tried with it changes nothing.
    pub(super) own: Option<String>,
    /// What the kernel was given to read and write it by itself.
    pub(super) kernel: Mutex<Weak<Kernel>>,
    /// What its syncs find.
    pub(super) syncs: Mutex<Syncs>,
    /// Of a directory, once that was looked at: what is made in it has an ACL from it.
    pub(super) has_default_acl: Mutex<Option<bool>>,
    lookups: AtomicU64,
}

impl Node {
    /// What is done to it is the subject's, or a trial of what is durable.
    pub(super) fn is_remembered(&self) -> bool {
        self.own.as_ref().is_none_or(|name| name.contains(REMEMBERED))
    }

    /// Somebody keeps it open, for as long as it is not to be lost.
    pub(super) fn hold(&self, fd: &Arc<OwnedFd>) {
        *lock(&self.held) = Arc::downgrade(fd);
    }

    /// Likewise, where nobody does: what is held already leads to it, and who holds that may have nothing
    /// else.
    pub(super) fn hold_if_lost(&self, fd: &Arc<OwnedFd>) {
        let mut held = lock(&self.held);
        if held.strong_count() == 0 {
            *held = Arc::downgrade(fd);
        }
    }

    /// Its path below the root.
    pub(super) fn path(&self) -> String {
        let mut names = Vec::new();
        let mut here = lock(&self.name).clone();
        while let Some((parent, name)) = here.filter(|_| names.len() < DEEPEST) {
            names.push(name.to_string_lossy().into_owned());
            here = lock(&parent.name).clone();
        }
        names.reverse();
        names.join("/")
    }
}

/// Every file that the kernel knows.
pub(super) struct Table {
    /// Opens handles.
    mount: OwnedFd,
    device: u64,
    nodes: Mutex<HashMap<u64, Arc<Node>>>,
    /// Files of our own, by name.
    own: Mutex<HashMap<String, Weak<Node>>>,
    /// Whose descriptors are kept, oldest first.
    kept: Mutex<VecDeque<Weak<Node>>>,
    most_kept: usize,
    made_up: AtomicU64,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    /// A table that knows the root alone.
    pub(super) fn new(root: OwnedFd, most_kept: usize) -> Result<Self, Errno> {
        let stat = fstat(&root)?;
        let fd = root.try_clone().map_err(|_| Errno::MFILE)?;
        let node = Node {
            ino: ROOT,
            generation: 0,
            // never given up
            handle: None,
            fd: Mutex::new(Some(Arc::new(fd))),
            held: Mutex::default(),
            name: Mutex::default(),
            own: None,
            kernel: Mutex::default(),
            syncs: Mutex::default(),
            has_default_acl: Mutex::default(),
            lookups: AtomicU64::new(1),
        };
        Ok(Self {
            mount: root,
            device: stat.st_dev,
            nodes: Mutex::new(HashMap::from([(ROOT, Arc::new(node))])),
            own: Mutex::default(),
            kept: Mutex::default(),
            most_kept,
            made_up: AtomicU64::new(MADE_UP),
        })
    }

    /// The file with this number.
    pub(super) fn node(&self, ino: u64) -> Result<Arc<Node>, Errno> {
        lock(&self.nodes).get(&ino).cloned().ok_or(Errno::STALE)
    }

    /// The kernel has found this file: under this name, by this descriptor.
    pub(super) fn found(&self, fd: OwnedFd, stat: &Stat, at: (&Arc<Node>, &OsStr)) -> Arc<Node> {
        let handle = FileHandle::of(fd.as_fd());
        self.known_by(handle, Some(fd), stat, at)
    }

    /// Likewise, by one that is not kept: afterwards it is found by its handle. None where its filesystem
    /// has none.
    pub(super) fn found_open(
        &self,
        file: BorrowedFd<'_>,
        stat: &Stat,
        at: (&Arc<Node>, &OsStr),
    ) -> Option<Arc<Node>> {
        let handle = FileHandle::of(file)?;
        Some(self.known_by(Some(handle), None, stat, at))
    }

    fn known_by(
        &self,
        handle: Option<FileHandle>,
        fd: Option<OwnedFd>,
        stat: &Stat,
        at: (&Arc<Node>, &OsStr),
    ) -> Arc<Node> {
        let ino = self.number(stat, handle.as_ref());
        let mut nodes = lock(&self.nodes);
        let known = nodes.get(&ino).cloned();
        if let Some(known) = known.as_ref().filter(|known| known.handle == handle) {
            known.lookups.fetch_add(1, Ordering::Relaxed);
            drop(nodes);
            rename(known, at);
            fd.into_iter().for_each(|fd| self.keep_found(known, fd));
            return Arc::clone(known);
        }
        let has_fd = fd.is_some();
        // another file has the number now: the kernel will forget both as one
        let before = known.map_or(0, |known| known.lookups.load(Ordering::Relaxed));
        let node = Arc::new(Node {
            ino,
            generation: handle.as_ref().map_or(0, FileHandle::generation),
            fd: Mutex::new(fd.map(Arc::new)),
            held: Mutex::default(),
            name: Mutex::new(Some((Arc::clone(at.0), at.1.to_owned()))),
            own: None,
            kernel: Mutex::default(),
            syncs: Mutex::default(),
            has_default_acl: Mutex::default(),
            lookups: AtomicU64::new(before + 1),
            handle,
        });
        nodes.insert(ino, Arc::clone(&node));
        drop(nodes);
        if has_fd {
            self.keep(&node);
        }
        node
    }

    /// A file of our own that the kernel knows by this name already.
    pub(super) fn own_again(&self, name: &str) -> Option<Arc<Node>> {
        let node = lock(&self.own).get(name)?.upgrade()?;
        node.lookups.fetch_add(1, Ordering::Relaxed);
        Some(node)
    }

    /// A file of our own, for as long as the kernel knows it.
    pub(super) fn own(&self, fd: OwnedFd, name: &str) -> Arc<Node> {
        let ino = self.made_up.fetch_add(1, Ordering::Relaxed);
        let node = Arc::new(Node {
            ino,
            generation: 0,
            handle: None,
            fd: Mutex::new(Some(Arc::new(fd))),
            held: Mutex::default(),
            name: Mutex::default(),
            own: Some(name.to_owned()),
            kernel: Mutex::default(),
            syncs: Mutex::default(),
            has_default_acl: Mutex::default(),
            lookups: AtomicU64::new(1),
        });
        lock(&self.nodes).insert(ino, Arc::clone(&node));
        lock(&self.own).insert(name.to_owned(), Arc::downgrade(&node));
        node
    }

    /// The number of a file that has its filesystem's own; none where one is made up.
    pub(super) fn plain_number(&self, stat: &Stat) -> Option<u64> {
        let plain = stat.st_dev == self.device && stat.st_ino > ROOT && stat.st_ino < MADE_UP;
        plain.then_some(stat.st_ino)
    }

    fn number(&self, stat: &Stat, handle: Option<&FileHandle>) -> u64 {
        if let Some(plain) = self.plain_number(stat) {
            return plain;
        }
        let salt = handle.map_or(stat.st_ino, FileHandle::generation);
        MADE_UP << 1 | (salt.rotate_left(17) ^ stat.st_dev.rotate_left(40)) >> 2
    }

    /// A descriptor of the file's path, to begin other calls from.
    pub(super) fn fd(&self, node: &Arc<Node>) -> Result<Arc<OwnedFd>, Errno> {
        if let Some(fd) = lock(&node.fd).as_ref() {
            return Ok(Arc::clone(fd));
        }
        if let Some(fd) = lock(&node.held).upgrade() {
            return Ok(fd);
        }
        let handle = node.handle.as_ref().ok_or(Errno::STALE)?;
        let opened = handle.open(self.mount.as_fd(), OFlags::PATH | OFlags::NOFOLLOW);
        let opened = opened.map_err(|error| {
            let errno = error.errno().map_or(libc::ESTALE, |errno| errno.0);
            Errno::from_raw_os_error(errno)
        })?;
        let fd = Arc::new(opened);
        *lock(&node.fd) = Some(Arc::clone(&fd));
        self.keep(node);
        Ok(fd)
    }

    /// One that was made, and is closed, is known by its handle alone, and not every filesystem can open
    /// those of its handles that it gave long ago.
    fn keep_found(&self, node: &Arc<Node>, found: OwnedFd) {
        let mut fd = lock(&node.fd);
        if fd.is_none() {
            *fd = Some(Arc::new(found));
            drop(fd);
            self.keep(node);
        }
    }

    fn keep(&self, node: &Arc<Node>) {
        if node.handle.is_none() {
            return;
        }
        let mut kept = lock(&self.kept);
        kept.push_back(Arc::downgrade(node));
        while kept.len() > self.most_kept {
            let oldest = kept.pop_front().and_then(|oldest| oldest.upgrade());
            let fd = oldest.and_then(|oldest| lock(&oldest.fd).take());
            drop(fd);
        }
    }

    /// Gives up the descriptor of a file whose name is about to be removed: one that is held makes
    /// the filesystem keep the file, and clean up after it later.
    pub(super) fn let_go(&self, stat: &Stat) {
        let node = lock(&self.nodes).get(&stat.st_ino).cloned();
        if let Some(node) = node.filter(|node| node.handle.is_some()) {
            let fd = lock(&node.fd).take();
            drop(fd);
        }
    }

    /// A file has another name now.
    pub(super) fn renamed(&self, stat: &Stat, at: (&Arc<Node>, &OsStr)) {
        let node = lock(&self.nodes).get(&stat.st_ino).cloned();
        if let Some(node) = node {
            rename(&node, at);
        }
    }

    /// The kernel forgets so many of its finds.
    pub(super) fn forget(&self, ino: u64, finds: u64) {
        if ino == ROOT {
            return;
        }
        let mut nodes = lock(&self.nodes);
        let left = |node: &Arc<Node>| {
            let before = node.lookups.load(Ordering::Relaxed);
            let left = before.saturating_sub(finds);
            node.lookups.store(left, Ordering::Relaxed);
            left
        };
        let gone = nodes.get(&ino).is_some_and(|node| left(node) == 0);
        let node = if gone { nodes.remove(&ino) } else { None };
        drop(nodes);
        if let Some(name) = node.as_ref().and_then(|node| node.own.as_ref()) {
            lock(&self.own).remove(name);
        }
        // closes its descriptor: not under the lock
        drop(node);
    }
}

fn rename(node: &Arc<Node>, (parent, name): (&Arc<Node>, &OsStr)) {
    if node.ino == ROOT || Arc::ptr_eq(node, parent) {
        return;
    }
    let mut known = lock(&node.name);
    let same = known.as_ref().is_some_and(|(at, by)| Arc::ptr_eq(at, parent) && by == name);
    if !same {
        *known = Some((Arc::clone(parent), name.to_owned()));
    }
}
