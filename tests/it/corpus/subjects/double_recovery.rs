//! Recovery moves what is in the log to where it belongs, and empties the log. A second cut comes in between.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write as _},
};

use super::super::{
    subject::{Found, record, sync_dir},
    work::Work,
};

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    work.log()
}

pub(super) fn recover(found: &Found) -> io::Result<()> {
    let (all, temp) = (read(found)?, found.at.join("data.tmp"));
    let mut data = File::create(&temp)?;
    data.write_all(&all)?;
    if found.right {
        data.sync_all()?;
    }
    fs::rename(temp, found.at.join("data"))?;
    sync_dir(&found.at)?;
    let log =
        File::options().write(true).create(true).truncate(false).open(found.at.join("log"))?;
    log.set_len(0)?;
    log.sync_all()
}

/// What was moved, and what still is in the log: both, after a cut in between.
pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    let (data, log) = (found.log("data")?, found.log("log")?);
    let lines = data.split_inclusive(|byte| *byte == b'\n');
    let lines = lines.chain(log.split_inclusive(|byte| *byte == b'\n'));
    let all: BTreeMap<_, _> = lines.filter_map(|line| Some((record(line)?.id, line))).collect();
    Ok(all.into_values().flatten().copied().collect())
}
