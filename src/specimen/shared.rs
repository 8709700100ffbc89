//! A log that several replicas append to, in a directory that they share.
//!
//! A record takes several writes, so whoever writes one holds a lock on the file. The kernel lets go
//! of the lock of a replica that is killed, and what it left unfinished is cut off by the next one:
//! behind the lock nobody else can be writing it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use super::service::Service;
use super::weakness::Weakness;
use crate::ledger::shared_line;

/// The file in the shared directory.
const NAME: &str = "shared.log";
/// Writes of a record.
const PARTS: usize = 8;
/// Bytes of what a record says, in letters.
const PAYLOAD: usize = 64;
/// No record is longer, so an unfinished one begins within so many bytes of the end.
const LONGEST: u64 = 4096;

/// The thread: a record per interval until the service stops.
pub(super) fn run(service: &Arc<Service>) {
    let Some(dir) = &service.args.share_in else { return };
    let path = dir.join(NAME);
    for number in 1.. {
        match append(service, &path, number) {
            Ok(()) => service.health.clear("shared"),
            Err(error) => service.health.fault("shared", &error),
        }
        if service.stop.sleep(service.args.share_every) {
            break;
        }
    }
}

fn append(service: &Service, path: &Path, number: u64) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    if !service.args.has(Weakness::NoLock) {
        // held until the file is closed, however that comes about
        flock(&file, FlockOperation::LockExclusive)?;
        cut(service, &mut file)?;
    }
    service.console.say(format!("shared: writes record {number}"));
    let name = &service.args.name;
    let line = shared_line(name, number, &"x".repeat(PAYLOAD));
    for part in line.as_bytes().chunks(line.len().div_ceil(PARTS)) {
        file.write_all(part)?;
        service.stop.sleep(service.args.share_pause);
    }
    file.sync_data()
}

/// Cuts off what has no end.
fn cut(service: &Service, file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LONGEST);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let unfinished = tail.len() - whole;
    if unfinished > 0 {
        file.set_len(from + whole as u64)?;
        service.console.say(format!("shared: cut {unfinished} bytes of an unfinished record"));
    }
    Ok(())
}
