//! A file is synced and renamed, and nobody makes its new name durable.

use std::io;

use super::super::{
    subject::Found,
    work::{RECORDS, Work},
};

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    for number in 0..RECORDS {
        work.file(number, true)?;
        if work.right {
            work.sync_dir()?;
        }
        work.promise();
    }
    Ok(())
}

pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    found.files()
}
