//! The log says how long the next record is before it is there: whoever believes that reads one that never was.

use std::io::{self, Write as _};

use super::super::{
    subject::{Found, record},
    work::{RECORDS, Work},
};

/// Bytes of a length.
const HEAD: usize = 8;

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    let mut log = work.create("log")?;
    for _ in 0..RECORDS {
        let record = work.next();
        log.write_all(format!("{:HEAD$}", record.len()).as_bytes())?;
        log.sync_data()?;
        log.write_all(record.as_bytes())?;
        log.sync_data()?;
        work.promise();
    }
    Ok(())
}

pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    let (log, mut all) = (found.bytes("log")?, Vec::new());
    let mut rest = log.as_slice();
    while let Some((head, after)) = rest.split_at_checked(HEAD) {
        let Some(length) = std::str::from_utf8(head).ok().and_then(|it| it.trim().parse().ok())
        else {
            break;
        };
        // a buffer of that size, whether it is filled or not
        let mut line = vec![0; length];
        let there = after.len().min(length);
        line[..there].copy_from_slice(&after[..there]);
        if found.right && record(&line).is_none() {
            break;
        }
        all.extend(line);
        rest = &after[there..];
    }
    Ok(all)
}
