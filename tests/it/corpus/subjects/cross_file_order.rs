//! The index is synced, and the data it points to was written before: to another file, which nobody synced.

use std::io::{self, Write as _};

use super::super::{
    subject::Found,
    work::{RECORDS, Work},
};

/// Bytes of a line of the index.
const LINE: usize = 18;

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    let (mut data, mut index) = (work.create("data")?, work.create("index")?);
    let mut end = 0;
    for _ in 0..RECORDS {
        let record = work.next();
        data.write_all(record.as_bytes())?;
        if work.right {
            data.sync_data()?;
        }
        index.write_all(format!("{end:08} {:08}\n", record.len()).as_bytes())?;
        index.sync_data()?;
        work.promise();
        end += record.len();
    }
    Ok(())
}

pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    let (data, index) = (found.bytes("data")?, found.bytes("index")?);
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<usize>().ok();
    let place = |line: &[u8]| Some((number(&line[..8])?, number(&line[9..17])?));
    let ranges = index.chunks_exact(LINE).map_while(place);
    let there = ranges.filter_map(|(at, length)| data.get(at..at + length));
    Ok(there.flatten().copied().collect())
}
