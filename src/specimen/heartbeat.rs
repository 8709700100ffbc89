//! The heartbeat: proves again and again that data and logs can be written, by writing.
//!
//! A directory that looks right may be read-only, full or gone. Only an attempt tells: one file
//! created, written, synced and removed on each, which takes an inode and a block.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::cleanup::Cleanup;
use super::denied;
use super::errno;
use super::headroom::Headroom;
use super::mount_flags;
use super::quota::Ladder;
use super::service::Service;
use super::slowness::{Slowness, Verdict};
use super::weakness::Weakness;

const PROBE: &str = ".specimen-probe";
/// Bytes to write: a whole block, so that none is left when the disk is full.
const BLOCK: usize = 4096;

/// The thread: one beat per interval until the service stops.
pub(super) fn run(service: &Arc<Service>) {
    let mut alarm = Alarm::new(service.args.mount_alarm_after);
    let mut cleanup = Cleanup::new(&service.args);
    let mut ladder = Ladder::new(&service.args);
    let mut headroom = Headroom::new(service);
    let mut slowness = Slowness::new(&service.args);
    while !service.stop.sleep(service.args.heartbeat) {
        if let Some(took) = beat(service) {
            judge(service, slowness.took(took));
        }
        watch(service, &mut alarm);
        cleanup.look(service);
        ladder.look(service);
        headroom.look(service);
    }
}

/// One beat; how long the data's filesystem took for it, where it did it.
pub(super) fn beat(service: &Arc<Service>) -> Option<Duration> {
    let start = Instant::now();
    let took = prove(service, "data", &service.args.data).then(|| start.elapsed());
    if took.is_some() {
        // What a refused append said of this filesystem is out of date.
        service.verify_records();
    }
    prove(service, "logs", &service.args.logs_dir());
    look_at_flags(service);
    service.verify_releases();
    service.metrics.heartbeats.add(1);
    service.log(&format!("heartbeat {}", service.metrics.heartbeats.get()));
    // Last: a beat counts when all of it came through.
    service.health.beat();
    took
}

/// Leaves the work to others where the storage is too slow, and tells people where it is slower yet.
fn judge(service: &Service, verdict: Verdict) {
    service.slow.store(verdict.moves, Ordering::Release);
    if let Some(average) = verdict.alarm {
        service.metrics.latency_alarms.add(1);
        let line = format!("ALARM: storage takes {} ms on average", average.as_millis());
        service.console.say(line);
    }
}

/// Says which of the flags that the service relies on are not in force.
fn look_at_flags(service: &Service) {
    let (dir, wanted) = (&service.args.data, &service.args.require_flags);
    if wanted.is_empty() || service.args.has(Weakness::NoFlagCheck) {
        return;
    }
    match mount_flags::missing(dir, wanted) {
        Ok(missing) if missing.is_empty() => service.health.clear("flags"),
        Ok(missing) => {
            let (dir, missing) = (dir.display(), missing.join(", "));
            service.health.raise("flags", format!("not in force on {dir}: {missing}"));
        }
        Err(error) => service.health.fault("flags", &error),
    }
}

/// Raises the alarm when the volume stays lost.
fn watch(service: &Service, alarm: &mut Alarm) {
    let lost = service.home.is_lost().unwrap_or(true);
    if !service.args.has(Weakness::NoMountCheck) && alarm.look(Instant::now(), lost) {
        service.metrics.mount_alarms.add(1);
        let after = service.args.mount_alarm_after.as_secs_f64();
        service.console.say(format!("ALARM: volume lost for {after} s"));
    }
}

/// Proves one directory, and tells health.
fn prove(service: &Service, source: &'static str, dir: &Path) -> bool {
    let proof = service.home.check(dir).and_then(|()| prove_writable(dir));
    let Err(error) = denied::settle(service, proof) else {
        service.health.clear(source);
        return true;
    };
    service.health.fault(source, &error);
    if errno::is_space(&error) {
        service.make_room(source, &errno::describe(&error));
    }
    false
}

fn prove_writable(dir: &Path) -> io::Result<()> {
    let path = dir.join(PROBE);
    // Left over from a crash, or from a directory that turned read-only: a new one must be made.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = File::create_new(&path).and_then(|mut file| {
        file.write_all(&[b'.'; BLOCK])?;
        file.sync_data()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)
}
