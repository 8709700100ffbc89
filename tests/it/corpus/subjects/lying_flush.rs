//! Everything is done right, on a disk that does not do what it says: nobody can keep that promise, but one who
//! compares with what others were told can notice.

use std::io;

use super::super::{
    subject::{Found, record},
    work::Work,
};

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    work.log()
}

pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    let log = found.log("log")?;
    let records = log.split_inclusive(|byte| *byte == b'\n').filter_map(record).count();
    if found.right && records < found.told {
        return Err(io::Error::other(format!("{records} of {} records", found.told)));
    }
    Ok(log)
}
