//! A batch is spread over two files, and the last one is synced for both.

use std::io::{self, Write as _};

use super::super::{
    subject::{Found, record},
    work::{RECORDS, Work},
};

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    let (mut even, mut odd) = (work.create("even")?, work.create("odd")?);
    for _ in 0..RECORDS / 2 {
        even.write_all(work.next().as_bytes())?;
        odd.write_all(work.next().as_bytes())?;
        if work.right {
            even.sync_data()?;
        }
        odd.sync_data()?;
        work.promise();
    }
    Ok(())
}

pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    let both = [found.log("even")?, found.log("odd")?].concat();
    let mut lines: Vec<_> = both.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort_by_key(|line| record(line).map(|record| record.id));
    Ok(lines.concat())
}
