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
