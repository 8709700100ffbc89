//! A log ends where it cannot be read: at the end of what was written, and wherever it has rotted.

use std::{
    fs::File,
    io::{self, Read as _},
};

use super::super::{
    subject::{Found, record, whole},
    work::Work,
};

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    work.log()
}

pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    let log = bytes(found)?;
    let sound = whole(&log);
    let rest = &log[sound.len()..];
    if found.right && rest.split_inclusive(|byte| *byte == b'\n').any(|it| record(it).is_some()) {
        return Err(io::Error::other("the log goes on after damage"));
    }
    Ok(sound.to_vec())
}

/// What can be read of the log; to the twin, what cannot is no end.
fn bytes(found: &Found) -> io::Result<Vec<u8>> {
    let mut log = match File::open(found.at.join("log")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let (mut all, mut block) = (Vec::new(), [0; 4096]);
    loop {
        match log.read(&mut block) {
            Ok(0) => return Ok(all),
            Ok(count) => all.extend(&block[..count]),
            Err(error) if found.right => return Err(error),
            Err(_) => return Ok(all),
        }
    }
}
