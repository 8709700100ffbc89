//! Temporary files: written every so often as work goes on, deleted when they have lived too long.
//!
//! Nobody else deletes them: what a crashed start has left is swept by the next one, by age.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::service::Service;
use super::weakness::Weakness;

/// The thread: writes and sweeps until the service stops.
pub(super) fn run(service: &Arc<Service>) {
    let Some(every) = service.args.temp_every else { return };
    let mut swept: Option<Instant> = None;
    loop {
        if swept.is_none_or(|at| at.elapsed() >= service.args.temp_sweep) {
            swept = Some(Instant::now());
            sweep(service);
        }
        let written = if service.frozen.get() {
            Ok(())
        } else {
            service.home.check(&dir(service)).and_then(|()| write(service))
        };
        match written {
            Ok(()) => service.health.clear("temp"),
            Err(error) => service.health.fault("temp", &error),
        }
        if service.stop.sleep(every) {
            return;
        }
    }
}

fn dir(service: &Service) -> PathBuf {
    service.args.data.join("temp")
}

fn write(service: &Service) -> io::Result<()> {
    let dir = dir(service);
    fs::create_dir_all(&dir)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let path = dir.join(format!("{}.tmp", now.as_nanos()));
    let written = File::create_new(&path)?.write_all(&vec![b'.'; service.args.temp_size]);
    if written.is_err() {
        // Half a temporary file is no use, and takes what others need.
        let _ = fs::remove_file(&path);
    }
    written
}

fn sweep(service: &Service) {
    if !service.args.has(Weakness::NoTtl) {
        delete(service, |age| age > service.args.temp_ttl);
    }
}

/// Deletes temporary files by their age; how many. One that cannot go now goes next time.
pub(super) fn delete(service: &Service, old: impl Fn(Duration) -> bool) -> u64 {
    let mut deleted = 0;
    for entry in fs::read_dir(dir(service)).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|meta| meta.modified());
        // A file from the future has no age, and would otherwise live for ever.
        let age = modified.map(|at| at.elapsed().unwrap_or(Duration::MAX));
        if age.is_ok_and(&old) && fs::remove_file(entry.path()).is_ok() {
            deleted += 1;
        }
    }
    service.metrics.temp_deleted.add(deleted);
    deleted
}
