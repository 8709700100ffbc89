//! What somebody who reads and writes files notices of a fault.

use std::{
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

/// Writes once to a new file, and looks what is there.
pub(super) fn mangled(path: &str) -> bool {
    let sent = [0x35; 512];
    let Ok(mut file) = fs::File::create(path) else { return false };
    // what it says is not the question
    let _ = file.write(&sent);
    let there = fs::read(path).unwrap_or_default();
    let _ = fs::remove_file(path);
    there != sent
}

pub(super) fn unsyncable(path: &str) -> bool {
    let Ok(mut file) = fs::File::create(path) else { return false };
    let synced = file.write_all(b"x").and_then(|()| file.sync_data());
    let _ = fs::remove_file(path);
    synced.is_err_and(|error| error.raw_os_error() == Some(libc::EIO))
}

pub(super) fn holds(path: &str, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found == text)
}

pub(super) fn unreadable(path: &str) -> bool {
    fs::read(path).is_err_and(|error| error.raw_os_error() == Some(libc::EIO))
}

pub(super) fn slow(path: &str) -> bool {
    let started = Instant::now();
    fs::read(path).is_ok() && started.elapsed() >= Duration::from_millis(500)
}

pub(super) fn hangs(path: String) -> bool {
    let (answer, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = answer.send(fs::read(path).is_ok());
    });
    answered.recv_timeout(Duration::from_millis(500)).is_err()
}

/// Removing a name that is not there waits as long as any other change does.
pub(super) fn stalled(dir: String) -> bool {
    let (answer, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = fs::remove_file(format!("{dir}/.keelhaul-none"));
        let _ = answer.send(());
    });
    answered.recv_timeout(Duration::from_millis(500)).is_err()
}

/// What becomes of a read of the disk under a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDisk {
    Fails,
    TakesLong,
    Hangs,
}

/// Reads the disk under this path, past every cache: what is on it is not looked at.
pub(super) fn shows(wanted: OnDisk, path: String) -> bool {
    let (answer, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let started = Instant::now();
        let read = read_disk(&path);
        let _ = answer.send((read, started.elapsed()));
    });
    match answered.recv_timeout(Duration::from_secs(2)) {
        Err(_) => wanted == OnDisk::Hangs,
        Ok((Err(rustix::io::Errno::IO), _)) => wanted == OnDisk::Fails,
        Ok((Ok(()), took)) => wanted == OnDisk::TakesLong && took >= Duration::from_millis(500),
        Ok((Err(_), _)) => false,
    }
}

fn read_disk(path: &str) -> Result<(), rustix::io::Errno> {
    use rustix::fs::{Mode, OFlags, minor, open, stat};
    #[repr(align(4096))]
    struct Block([u8; 4096]);
    let node = format!("/dev/loop{}", minor(stat(path)?.st_dev));
    let disk = open(node, OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::pread(&disk, &mut Box::new(Block([0; 4096])).0[..], 0).map(drop)
}
