//! The spool: every kept record is handed on to the controller, in order, however long that takes.
//!
//! The journal on the volume is the spool; beside it lies how much of it was delivered. That is
//! saved after the controller's answer, so a crash between the two sends records twice; the
//! controller knows a record by its key and keeps it once. Deletes nothing.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::args::SpecimenArgs;
use super::backoff::Backoff;
use super::service::Service;
use super::session::replace;
use super::uplink::Uplink;
use super::weakness::Weakness;
use crate::ledger::Record;

/// Between two looks at a journal that is delivered.
const IDLE: Duration = Duration::from_millis(50);
/// Bytes read at a time: more than any record has.
const BATCH: u64 = 4 << 20;

struct Spool {
    /// Holds the number of bytes that are delivered, in decimal.
    saved: PathBuf,
    delivered: u64,
    drops: bool,
}

/// The thread: delivers until the service stops.
pub(super) fn run(service: &Arc<Service>) {
    let Some(uplink) = &service.uplink else { return };
    let mut spool = Spool::open(&service.args);
    let mut retry = Backoff::new(&service.args);
    let mut pause = IDLE;
    while !service.stop.sleep(pause) {
        pause = match spool.deliver(service, uplink) {
            Ok(()) => {
                retry.reset();
                IDLE
            }
            // the uplink says why
            Err(_) => retry.next(),
        };
    }
}

impl Spool {
    /// Without a readable mark everything is delivered again, and kept once all the same.
    fn open(args: &SpecimenArgs) -> Self {
        let saved = args.data.join("delivered");
        let text = fs::read_to_string(&saved).unwrap_or_default();
        let delivered = text.trim().parse().unwrap_or(0);
        Self { saved, delivered, drops: args.has(Weakness::DropsOffline) }
    }

    /// Delivers what is waiting, up to the first record that is not taken.
    fn deliver(&mut self, service: &Service, uplink: &Uplink) -> io::Result<()> {
        let Some((journal, end)) = service.readable() else { return Ok(()) };
        let before = self.delivered;
        let waiting = self.waiting(&journal, end)?;
        let sent = waiting.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| {
            service.metrics.undelivered.set(end.saturating_sub(self.delivered));
            self.send(uplink, line)
        });
        let sent = sent.or_else(|error| {
            if !self.drops {
                return Err(error);
            }
            self.delivered = before + waiting.len() as u64;
            Ok(())
        });
        service.metrics.undelivered.set(end.saturating_sub(self.delivered));
        if self.delivered > before {
            service.home.check(&service.args.data)?;
            replace(&self.saved, self.delivered.to_string().as_bytes())?;
        }
        sent
    }

    /// Whole lines that are not delivered.
    fn waiting(&self, journal: &Path, end: u64) -> io::Result<Vec<u8>> {
        let mut lines = Vec::new();
        if self.delivered < end {
            let mut file = File::open(journal)?;
            file.seek(SeekFrom::Start(self.delivered))?;
            file.take((end - self.delivered).min(BATCH)).read_to_end(&mut lines)?;
            let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            lines.truncate(whole);
        }
        Ok(lines)
    }

    fn send(&mut self, uplink: &Uplink, line: &[u8]) -> io::Result<()> {
        let sent = match Record::decode(line.trim_ascii_end()) {
            Ok(record) => uplink.send("PUT", &format!("/records/{}", record.key), &record.encode()),
            // damaged: nobody could take it
            Err(_) => Ok(()),
        };
        if sent.is_ok() {
            self.delivered += line.len() as u64;
        }
        sent
    }
}
