//! The device that shows past states: one at a time is put on it, recovered by its filesystem, and
//! read.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use super::{
    super::super::interpose::ANSWER,
    program,
    recovered::{LARGEST, Recovered},
};
use crate::{
    block::Kept,
    host::{
        error::{HostError, HostResult},
        fuse, loop_device,
    },
    interpose::control::{self, Answer, Ask},
    protocol::{PastFacts, Reads},
};

/// Reading the past of a long record takes a while.
const OPENING: Duration = Duration::from_secs(30);
/// A state that was let go of is gone within this time.
const LETTING_GO: Duration = Duration::from_secs(3);
/// All of a disk's content is read for its digest.
const SHOWING: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(10);
/// What a mount fails of whatever the disk holds. `EEXIST`: btrfs before Linux 6.7 mounts no second
/// filesystem of one id, and the subject has the first.
const NOT_ITS_FAULT: [i32; 7] = [
    libc::EBUSY,
    libc::EEXIST,
    libc::ENOMEM,
    libc::EPERM,
    libc::ENODEV,
    libc::EMFILE,
    libc::ENFILE,
];
/// Said of one that ends before its budget is used up.
pub(super) const CANCELLED: &str = "nobody waits for it any more";

/// Where states are shown.
pub(super) struct Stage {
    socket: PathBuf,
    pub(super) facts: PastFacts,
}

impl Stage {
    /// Opens the past of a disk, unless it is `cancelled` meanwhile.
    pub(super) fn open(socket: &Path, cancelled: impl Fn() -> bool) -> Result<Self, String> {
        let ask = |ask: &Ask| {
            let answer = control::ask(socket, ask, ANSWER);
            answer.map_err(|error| format!("the disk does not answer: {error}"))
        };
        let until = Instant::now() + OPENING;
        if let Answer::Refused(why) = ask(&Ask::OpenPast)? {
            return Err(why);
        }
        loop {
            match ask(&Ask::Past)? {
                Answer::Past(facts) => {
                    return Ok(Self { socket: socket.to_owned(), facts: *facts });
                }
                Answer::Refused(why) => return Err(why),
                _ if Instant::now() >= until => return Err("its past does not open".into()),
                _ if cancelled() => return Err(CANCELLED.into()),
                _ => thread::sleep(LOOK),
            }
        }
    }

    /// Puts a state on the device; the digest of its content.
    pub(super) fn show(&self, cut: u64, kept: &[Kept]) -> Result<[u8; 32], String> {
        let until = Instant::now() + LETTING_GO;
        // nothing is cached of the state before, and nobody mounts it meanwhile
        let claimed = loop {
            match loop_device::claim(&self.facts.node).map_err(|error| error.to_string())? {
                Some(claimed) => break claimed,
                None if Instant::now() < until => thread::sleep(LOOK),
                None => return Err("the state before is still mounted".into()),
            }
        };
        let answer = control::ask(&self.socket, &Ask::Show { cut, kept: kept.to_vec() }, SHOWING);
        // whoever opened it meanwhile, such as one who looks for filesystems, had the state before cached
        let dropped = loop_device::drop_cached(&claimed, &self.facts.node);
        drop(claimed);
        dropped.map_err(|error| error.to_string())?;
        match answer.map_err(|error| format!("the disk does not answer: {error}"))? {
            Answer::Shown(digest) => Ok(digest),
            other => Err(format!("the disk shows nothing: {other:?}")),
        }
    }

    /// Has the filesystem recover what is on the device, and reads the records in it. An error says
    /// nothing of the state.
    pub(super) fn recover(&self, reads: &Reads) -> Result<Recovered, String> {
        // a program recovers what is its own, and writes
        let access = if matches!(reads, Reads::File(_)) { "ro" } else { "rw" };
        let mount = match self.mount(access) {
            Ok(mount) => mount,
            Err(error) if NOT_ITS_FAULT.iter().any(|errno| error.is(*errno)) => {
                return Err(error.to_string());
            }
            Err(error) => return Ok(Recovered::Unmountable(error.to_string())),
        };
        match reads {
            Reads::File(file) => read_file(&mount, file),
            Reads::Program { place, command } => program::read(&mount, place, command),
        }
    }

    fn mount(&self, access: &str) -> HostResult<OwnedFd> {
        let filesystem = self.facts.filesystem.as_str();
        // with `ro` a journal is replayed all the same, and nothing is written besides
        let mut options = vec![access.to_owned()];
        if filesystem == "xfs" {
            // the subject has the same filesystem mounted
            options.push("nouuid".to_owned());
        }
        let until = Instant::now() + LETTING_GO;
        loop {
            match fuse::mount_device(filesystem, &self.facts.node, &options) {
                // a process that is just being started holds what we have closed, until it is
                Err(error) if error.is(libc::EBUSY) && Instant::now() < until => {
                    thread::sleep(LOOK);
                }
                mounted => return mounted,
            }
        }
    }
}

/// Forgets the past that was opened, which takes room.
pub(super) fn close(socket: &Path) {
    // where the disk is gone, so is its past
    let _ = control::ask(socket, &Ask::ClosePast, ANSWER);
}

fn read_file(mount: &OwnedFd, file: &str) -> Result<Recovered, String> {
    Ok(match read(mount, file) {
        Ok(bytes) => Recovered::Records(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Recovered::NoFile,
        Err(error) if error.raw_os_error() == Some(libc::EFBIG) => {
            return Err(format!(
                "`{file}` has more than the {} MiB that are judged",
                LARGEST >> 20
            ));
        }
        Err(error) => {
            Recovered::Unreadable(HostError::sys("read", Path::new(file), error).to_string())
        }
    })
}

/// Reads a file; `EFBIG` where it is too large.
fn read(mount: &OwnedFd, file: &str) -> std::io::Result<Vec<u8>> {
    // a pipe in its place would be waited for, unless it is opened without waiting
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut bytes = Vec::new();
    let file = openat(mount, file.trim_start_matches('/'), flags, Mode::empty())?;
    let file = File::from(file);
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    if facts.len() > LARGEST {
        return Err(Errno::FBIG.into());
    }
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}
