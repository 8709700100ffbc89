//! A state on a device is recovered by its filesystem, and what holds the records is read.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    os::fd::OwnedFd,
    path::Path,
    thread,
    time::Instant,
};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use super::{
    program,
    recovered::{LARGEST, Recovered},
    stage::{LETTING_GO, LOOK},
};
use crate::{
    host::{
        error::{HostError, HostResult},
        fuse,
    },
    protocol::Reads,
};

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

/// Has the filesystem recover what is on a device, and reads the records in it. An error says nothing of
/// the state.
pub(super) fn recover(node: &Path, filesystem: &str, reads: &Reads) -> Result<Recovered, String> {
    // a program recovers what is its own, and writes
    let access = if matches!(reads, Reads::File(_)) { "ro" } else { "rw" };
    let mount = match mount(node, filesystem, access) {
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

fn mount(node: &Path, filesystem: &str, access: &str) -> HostResult<OwnedFd> {
    // with `ro` a journal is replayed all the same, and nothing is written besides
    let mut options = vec![access.to_owned()];
    if filesystem == "xfs" {
        // the subject has the same filesystem mounted
        options.push("nouuid".to_owned());
    }
    let until = Instant::now() + LETTING_GO;
    loop {
        match fuse::mount_device(filesystem, node, &options) {
            // a process that is just being started holds what we have closed, until it is
            Err(error) if error.is(libc::EBUSY) && Instant::now() < until => {
                thread::sleep(LOOK);
            }
            mounted => return mounted,
        }
    }
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
