//! inotify: what a user has left of it, all of it taken, and whether events arrive at a path.
//!
//! Instances (`fs.inotify.max_user_instances`, 128 by default) and watches (`max_user_watches`) are
//! counted per user in a user namespace, not per container (`fs/notify/inotify/inotify_user.c`). What
//! is taken here belongs to the calling process and is gone with it.

use std::fs;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Gid, Resource, Rlimit, Uid, getrlimit, setrlimit};
use rustix::thread::{set_thread_res_gid, set_thread_res_uid};

use super::error::{Context, HostError, HostResult};

/// Instances that hold watches, at most: the rest stays with the user.
const WATCHING: u64 = 32;
/// Descriptors that are left alone.
const SPARE: u64 = 64;
/// The events that a change of names or contents raises.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVED_TO);

/// Makes an instance and watches `dir`, and lets go of both.
///
/// # Errors
/// `EMFILE` when the user has no instance left, `ENOSPC` when no watch.
pub fn try_watch(dir: &Path) -> HostResult<()> {
    watch(dir).map(drop)
}

/// Watches a directory for changes.
///
/// # Errors
/// As [`try_watch`].
pub fn watch(dir: &Path) -> HostResult<OwnedFd> {
    let queue = instance()?;
    inotify::add_watch(&queue, dir, CHANGES).op("inotify_add_watch", dir)?;
    Ok(queue)
}

/// Names of the events that arrive within `patience`; it ends with the first of them.
///
/// # Errors
/// When the queue cannot be waited for.
pub fn await_events(queue: &OwnedFd, patience: Duration) -> HostResult<Vec<String>> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut ready = [PollFd::new(queue, PollFlags::IN)];
        let left = Timespec::try_from(left).ok();
        let count = poll(&mut ready, left.as_ref()).op("poll", "inotify")?;
        let events = take(queue);
        if count == 0 || !events.is_empty() {
            return Ok(events);
        }
    }
}

fn take(queue: &OwnedFd) -> Vec<String> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(queue, &mut buffer);
    let mut names = Vec::new();
    while let Ok(event) = reader.next() {
        let events = event.events().difference(ReadFlags::ISDIR);
        names.extend(events.iter_names().map(|(name, _)| name.to_owned()));
    }
    names
}

fn instance() -> HostResult<OwnedFd> {
    inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).op("inotify_init1", "")
}

/// Turns the calling thread, and no other, into this user without any privilege.
///
/// # Errors
/// `EPERM` without the capabilities; `EINVAL` for an id that means nobody.
pub fn become_user(uid: u32, gid: u32) -> HostResult<()> {
    // (u32)-1 means "leave it as it is"
    if uid == u32::MAX || gid == u32::MAX {
        return Err(HostError::sys("setresuid", uid.to_string(), rustix::io::Errno::INVAL));
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid).op("setresgid", gid.as_raw().to_string())?;
    set_thread_res_uid(uid, uid, uid).op("setresuid", uid.as_raw().to_string())
}

/// What runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// Instances: `inotify_init1` fails with EMFILE.
    Instances,
    /// Watches: `inotify_add_watch` fails with ENOSPC.
    Watches,
}

/// All that the calling user had left.
#[derive(Debug, Default)]
pub struct Hoard {
    instances: Vec<OwnedFd>,
    /// Files without a name, to have something to watch: a watch is counted once per file and
    /// instance.
    files: Vec<(OwnedFd, PathBuf)>,
    /// How many of the files the last instance watches.
    next: usize,
    watches: u64,
}

impl Hoard {
    /// Instances and watches held.
    #[must_use]
    pub fn held(&self) -> (u64, u64) {
        (self.instances.len() as u64, self.watches)
    }

    /// Takes what is left, until the kernel refuses more. Called again, takes what has been freed
    /// since.
    ///
    /// # Errors
    /// When something else than the stock in question runs out.
    pub fn grab(&mut self, stock: Stock) -> HostResult<()> {
        match stock {
            Stock::Instances => self.grab_instances(),
            Stock::Watches => self.grab_watches(),
        }
    }

    fn grab_instances(&mut self) -> HostResult<()> {
        if self.instances.is_empty() {
            allow_descriptors(u64::MAX)?;
        }
        loop {
            match instance() {
                Ok(queue) => self.instances.push(queue),
                Err(error) if error.is(libc::EMFILE) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn grab_watches(&mut self) -> HostResult<()> {
        if self.files.is_empty() {
            self.make_files()?;
        }
        loop {
            let queue = match self.instances.last() {
                Some(queue) if self.next < self.files.len() => queue,
                _ => {
                    self.instances.push(instance()?);
                    self.next = 0;
                    continue;
                }
            };
            let path = &self.files[self.next].1;
            match inotify::add_watch(queue, path, WatchFlags::DELETE_SELF) {
                Ok(_) => (self.next, self.watches) = (self.next + 1, self.watches + 1),
                Err(rustix::io::Errno::NOSPC) => return Ok(()),
                Err(errno) => return Err(HostError::sys("inotify_add_watch", path, errno)),
            }
        }
    }

    fn make_files(&mut self) -> HostResult<()> {
        let limit = "/proc/sys/fs/inotify/max_user_watches";
        let text = fs::read_to_string(limit).op("read", limit)?;
        let most: u64 =
            text.trim().parse().map_err(|_| HostError::malformed(limit, "not a number"))?;
        let wanted = most / WATCHING + 1;
        let descriptors = allow_descriptors(wanted + WATCHING + SPARE)?;
        for _ in 0..wanted.min(descriptors.saturating_sub(WATCHING + SPARE)) {
            let file = memfd_create("keelhaul", MemfdFlags::CLOEXEC).op("memfd_create", "")?;
            let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
            self.files.push((file, path));
        }
        Ok(())
    }
}

/// Raises the limit of open descriptors as far as it may be; how many there may be now.
fn allow_descriptors(wanted: u64) -> HostResult<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = wanted.min(maximum.unwrap_or(wanted)).max(current.unwrap_or(0));
    let limit = Rlimit { current: Some(most), maximum };
    setrlimit(Resource::Nofile, limit).op("setrlimit", "nofile")?;
    Ok(most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::testing::root_or_skip;

    /// A user that nobody else is.
    fn somebody(offset: u32) -> u32 {
        0x6000_0000 + (std::process::id() << 4) + offset
    }

    /// Runs on a thread of its own as that user.
    fn as_user<R: Send>(uid: u32, work: impl FnOnce() -> R + Send) -> R {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                become_user(uid, uid).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }

    fn tries(uid: u32) -> Option<i32> {
        as_user(uid, || try_watch(Path::new("/")).err().and_then(|e| e.errno()).map(|e| e.0))
    }

    #[test]
    fn a_change_raises_an_event_and_quiet_raises_none() {
        let dir = tempfile::tempdir().unwrap();
        let queue = watch(dir.path()).unwrap();
        assert!(await_events(&queue, Duration::from_millis(20)).unwrap().is_empty());
        fs::write(dir.path().join("file"), "x").unwrap();
        let events = await_events(&queue, Duration::from_secs(10)).unwrap();
        assert!(events.iter().any(|name| name == "CREATE"), "{events:?}");
    }

    #[test]
    fn a_hoard_takes_what_one_user_has_left_and_nothing_of_another() {
        if !root_or_skip() {
            return;
        }
        for (offset, stock, errno) in
            [(1, Stock::Instances, libc::EMFILE), (2, Stock::Watches, libc::ENOSPC)]
        {
            let (uid, mut hoard) = (somebody(offset), Hoard::default());
            assert_eq!(tries(uid), None);
            let hoard = as_user(uid, || {
                hoard.grab(stock).unwrap();
                hoard
            });
            assert_eq!(tries(uid), Some(errno), "{stock:?}: {:?}", hoard.held());
            assert_eq!(tries(somebody(offset + 4)), None);
            drop(hoard);
            // the kernel gives back what it counted a moment later
            let end = Instant::now() + Duration::from_secs(20);
            while tries(uid).is_some() {
                assert!(Instant::now() < end, "{stock:?} stays exhausted");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
