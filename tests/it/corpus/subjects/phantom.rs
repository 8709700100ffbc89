//! A log that is full gets a new name and is written from its beginning: until the new records cover it, what is
//! left of the old ones is read as if somebody had asked for it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
};

use super::super::{
    subject::{Found, record, sync_dir},
    work::{RECORDS, Work, is_former, of_a_former_life},
};

/// After the last record.
const END: u8 = 0;

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    let old = work.create("log.old")?;
    old.write_all_at(of_a_former_life().as_bytes(), 0)?;
    old.sync_all()?;
    fs::rename(work.path("log.old"), work.path("log"))?;
    sync_dir(&work.at)?;
    let (log, mut at) = (File::options().write(true).open(work.path("log"))?, 0);
    for _ in 0..RECORDS {
        let mut line = work.next().into_bytes();
        line.push(END);
        log.write_all_at(&line, at)?;
        log.sync_data()?;
        work.promise();
        at += line.len() as u64 - 1;
    }
    Ok(())
}

pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    let log = found.bytes("log")?;
    let lines = log.split_inclusive(|byte| *byte == b'\n');
    let is_ours = |line: &&[u8]| {
        line[0] != END && record(line).is_some_and(|it| !found.right || !is_former(&it))
    };
    Ok(lines.take_while(is_ours).flatten().copied().collect())
}
