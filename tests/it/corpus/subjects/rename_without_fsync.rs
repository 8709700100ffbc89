//! A file gets its name, and the name is made durable, before its bytes are. Each name is a new one: where one
//! is replaced, ext4 and btrfs write the bytes by themselves.

use std::io;

use super::super::{
    subject::Found,
    work::{RECORDS, Work},
};

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    for number in 0..RECORDS {
        work.file(number, work.right)?;
        work.sync_dir()?;
        work.promise();
    }
    Ok(())
}

pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    found.files()
}
