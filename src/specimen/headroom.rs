//! The alarm for somebody else's filesystem that runs out of room: raised while there still is some.
//!
//! Whoever needs that room, such as an engine for its containers, says so only when there is none.
//! Looks from beside it, at bytes and inodes, and changes nothing there.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::service::Service;
use super::space::Space;
use super::weakness::Weakness;

/// What is watched, and whether that was said.
pub(super) struct Headroom {
    dir: Option<PathBuf>,
    /// Percent in use.
    at: f64,
    alarm: Alarm,
}

impl Headroom {
    pub(super) fn new(service: &Service) -> Self {
        let args = &service.args;
        let dir = args.watch_room.clone().filter(|_| !args.has(Weakness::NoHeadroomAlarm));
        Self { dir, at: args.room_alarm_at, alarm: Alarm::new(Duration::ZERO) }
    }

    /// One look. A filesystem that does not answer is its owner's to report.
    pub(super) fn look(&mut self, service: &Service) {
        let Some(dir) = &self.dir else { return };
        let Ok(used) = Space::percent_used(dir) else { return };
        if self.alarm.look(Instant::now(), used >= self.at) {
            let dir = dir.display();
            service.console.say(format!("ALARM: {used:.0}% of {dir} in use"));
        }
    }
}
