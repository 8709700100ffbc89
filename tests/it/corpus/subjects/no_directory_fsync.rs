//! A file is synced and renamed, and nobody makes its new name durable.

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
        file.sync_all()?;
        fs::rename(temp, name)?;
        if work.right {
            work.sync_dir()?;
        }
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
