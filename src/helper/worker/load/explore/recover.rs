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
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io::Errno,
};

use super::{
    program,
    recovered::{LARGEST, Recovered},
    stage::{LETTING_GO, LOOK},
};
use crate::{
    block::is_filesystem,
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
    // a state that was kept says so itself, and whoever wrote it need not be us
    if !is_filesystem(filesystem) {
        return Err(format!("`{}` is no filesystem of ours", filesystem.escape_debug()));
    }
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
    let options = options(filesystem, access);
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

/// What is mounted was written by somebody else: it brings no devices and no other user's rights, and no
/// panic of the host's, which the superblock of an ext4 may ask for.
fn options(filesystem: &str, access: &str) -> Vec<String> {
    // with `ro` a journal is replayed all the same, and nothing is written besides
    let common = [access, "nosuid", "nodev"];
    let own = match filesystem {
        "ext4" => Some("errors=remount-ro"),
        // the subject has the same filesystem mounted
        "xfs" => Some("nouuid"),
        _ => None,
    };
    common.into_iter().chain(own).map(str::to_owned).collect()
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
        // whatever lies elsewhere says nothing of the state
        Err(error) if matches!(error.raw_os_error(), Some(libc::ELOOP | libc::EXDEV)) => {
            return Err(format!(
                "`{file}` lies behind a symbolic link or outside of the filesystem, and neither is followed"
            ));
        }
        // before Linux 5.6
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => return Err(error.to_string()),
        Err(error) => {
            Recovered::Unreadable(HostError::sys("read", Path::new(file), error).to_string())
        }
    })
}

/// Reads a file beneath the mount; `EFBIG` where it is too large, `ELOOP` where a symbolic link is on the way,
/// `EXDEV` where it would be elsewhere.
fn read(mount: &OwnedFd, file: &str) -> std::io::Result<Vec<u8>> {
    // a pipe in its place would be waited for, unless it is opened without waiting
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut bytes = Vec::new();
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let file = openat2(mount, file.trim_start_matches('/'), flags, Mode::empty(), beneath)?;
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

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn nothing_but_the_filesystem_of_a_disk_is_mounted() {
        for filesystem in ["proc", "sysfs", "devtmpfs", ""] {
            let reads = Reads::File("journal.log".into());
            let error = recover(Path::new("/nowhere"), filesystem, &reads).unwrap_err();
            assert!(error.ends_with("is no filesystem of ours"), "{error}");
        }
    }

    #[test]
    fn a_mount_brings_no_rights_and_no_panic() {
        assert_eq!(options("ext4", "rw"), ["rw", "nosuid", "nodev", "errors=remount-ro"]);
        assert_eq!(options("xfs", "ro"), ["ro", "nosuid", "nodev", "nouuid"]);
        assert_eq!(options("btrfs", "ro"), ["ro", "nosuid", "nodev"]);
    }

    #[test]
    fn only_a_file_beneath_the_mount_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (root, host) = (dir.path().join("root"), dir.path().join("host"));
        fs::create_dir_all(root.join("below")).unwrap();
        fs::write(&host, "the host's").unwrap();
        fs::write(root.join("below/journal.log"), "ours").unwrap();
        symlink(&host, root.join("absolute")).unwrap();
        symlink("../host", root.join("relative")).unwrap();
        symlink(dir.path(), root.join("out")).unwrap();
        symlink("below", root.join("within")).unwrap();
        let mount = OwnedFd::from(File::open(&root).unwrap());
        for there in ["below/journal.log", "/below/journal.log", "below/../below/journal.log"] {
            let read = read_file(&mount, there).unwrap();
            assert_eq!(read.records(), Some(&b"ours"[..]), "{there}");
        }
        for elsewhere in [
            "absolute",
            "relative",
            "out/host",
            "within/journal.log",
            "../host",
            "below/../../host",
        ] {
            let error = read_file(&mount, elsewhere).unwrap_err();
            assert!(error.contains("neither is followed"), "{elsewhere}: {error}");
        }
        assert!(matches!(read_file(&mount, "none"), Ok(Recovered::NoFile)));
        assert!(matches!(read_file(&mount, "below"), Ok(Recovered::Unreadable(_))));
    }
}
