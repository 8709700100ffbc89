//! A record is promised as soon as the page cache has it.

use std::io::{self, Write as _};

use super::super::{
    subject::Found,
    work::{RECORDS, Work},
};

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    let mut log = work.create("log")?;
    for _ in 0..RECORDS {
        log.write_all(work.next().as_bytes())?;
        if work.right {
            log.sync_data()?;
        }
        work.promise();
    }
    Ok(())
}

pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    found.log("log")
}
