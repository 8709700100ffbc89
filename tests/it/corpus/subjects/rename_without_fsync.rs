//! A file gets its name, and the name is made durable, before its bytes are. Each name is a new one: where one
//! is replaced, ext4 and btrfs write the bytes by themselves.

use std::{
    fs::{self, File},
    io::{self, Write as _},
};

use super::super::{
    subject::{Found, whole},
    work::{RECORDS, Work},
};

pub(super) fn work(work: &mut Work<'_>) -> io::Result<()> {
    for number in 0..RECORDS {
        let (temp, name) = (work.path("new.tmp"), work.path(&format!("{number}.record")));
        let mut file = File::create(&temp)?;
        file.write_all(work.next().as_bytes())?;
        if work.right {
            file.sync_all()?;
        }
        fs::rename(temp, name)?;
        work.sync_dir()?;
        work.promise();
    }
    Ok(())
}

pub(super) fn read(found: &Found) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    for name in found.names(".record")? {
        all.extend(whole(&found.bytes(&name)?));
    }
    Ok(all)
}
