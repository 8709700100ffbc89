//! What somebody who reads and writes files notices of a fault.

use std::{
    fs,
    io::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use keelhaul::protocol::{DiskOp, MARGIN, TrialChunk};
use rustix::{
    fd::OwnedFd,
    fs::{Mode, OFlags, SeekFrom, minor, open, seek, stat},
    io::{Errno, pread, pwrite},
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

/// What becomes of a read of the disk under a filesystem, or of what is written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDisk {
    Fails,
    TakesLong,
    Hangs,
    /// Other bytes are read than were written.
    Rots,
    /// A write says that it was done, and was not.
    Forgets,
    /// Likewise, and was done at another place.
    Strays,
    /// No block is taken that was never written.
    IsFull,
}

/// Reads the disk under this path, past every cache: what is on it is not looked at. What a silent
/// fault does is seen behind the filesystem's end.
pub(super) fn shows(wanted: OnDisk, path: String) -> bool {
    if matches!(wanted, OnDisk::Rots | OnDisk::Forgets | OnDisk::Strays | OnDisk::IsFull) {
        return shows_behind(wanted, &path).unwrap_or(false);
    }
    let (answer, answered) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let started = Instant::now();
        let read = read_disk(&path);
        let _ = answer.send((read, started.elapsed()));
    });
    // a slow disk is still slow where the machine is busy
    let most = if wanted == OnDisk::TakesLong { 10 } else { 2 };
    match answered.recv_timeout(Duration::from_secs(most)) {
        Err(_) => wanted == OnDisk::Hangs,
        Ok((Err(Errno::IO), _)) => wanted == OnDisk::Fails,
        Ok((Ok(()), took)) => wanted == OnDisk::TakesLong && took >= Duration::from_millis(500),
        Ok((Err(_), _)) => false,
    }
}

#[repr(align(4096))]
struct Block([u8; 4096]);

fn open_disk(path: &str, how: OFlags) -> Result<OwnedFd, Errno> {
    let node = format!("/dev/loop{}", minor(stat(path)?.st_dev));
    open(node, how | OFlags::DIRECT | OFlags::CLOEXEC, Mode::empty())
}

fn read_disk(path: &str) -> Result<(), Errno> {
    let disk = open_disk(path, OFlags::RDONLY)?;
    pread(&disk, &mut Box::new(Block([0; 4096])).0[..], 0).map(drop)
}

/// Trials that the program makes none of: it does not come to so many rounds.
const ROUNDS: std::ops::Range<u64> = 32..64;
/// Sets of rules are numbered as they are armed, and a fixture has one.
const SETS: u64 = 4;

/// Writes what was never written before where only trials are, and reads it back.
fn shows_behind(wanted: OnDisk, path: &str) -> Result<bool, Errno> {
    static LOOKS: AtomicU64 = AtomicU64::new(0);
    let disk = open_disk(path, OFlags::RDWR)?;
    let look = LOOKS.fetch_add(1, Ordering::Relaxed) % (ROUNDS.end - ROUNDS.start);
    let end = seek(&disk, SeekFrom::End(0))?.checked_sub(MARGIN).ok_or(Errno::INVAL)?;
    let op = if wanted == OnDisk::Rots { DiskOp::Read } else { DiskOp::Write };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut new = Box::new(Block([0; 4096]));
    new.0.chunks_exact_mut(16).for_each(|part| part.copy_from_slice(&now.to_le_bytes()));
    for set in 0..SETS {
        let at = end + TrialChunk::of(&set.to_string(), ROUNDS.start + look, op).offset();
        let written = pwrite(&disk, &new.0[..], at);
        let holds = |at| {
            let mut there = Box::new(Block([0; 4096]));
            pread(&disk, &mut there.0[..], at).map(|_| there.0 == new.0)
        };
        let is_so = match wanted {
            OnDisk::IsFull => written == Err(Errno::NOSPC),
            _ => {
                let strays = wanted != OnDisk::Strays || holds(at - TrialChunk::ASTRAY)?;
                written.is_ok() && holds(at) == Ok(false) && strays
            }
        };
        if is_so {
            return Ok(true);
        }
    }
    Ok(false)
}
