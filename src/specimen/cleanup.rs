//! The cleanup of a volume that fills up: at a threshold all temporary files go, once.
//!
//! What fills the volume may not be ours to free: files deleted but open, names of one inode
//! elsewhere, another tenant. A cleanup that starts over at every look then deletes and deletes, and
//! helps nobody. So it happens again only after the volume was well below the threshold in between.

use std::path::PathBuf;

use super::args::SpecimenArgs;
use super::service::Service;
use super::space::Space;
use super::temp;
use super::weakness::Weakness;

pub(super) struct Cleanup {
    data: PathBuf,
    threshold: Threshold,
}

impl Cleanup {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        let threshold = Threshold {
            at: args.cleanup_at,
            rearm: args.cleanup_rearm,
            min_space: args.cleanup_min_space,
            flapping: args.has(Weakness::FlappingCleanup),
            armed: true,
        };
        Self { data: args.data.clone(), threshold }
    }

    /// One look at the volume. One that does not answer is the heartbeat's to report.
    pub(super) fn look(&mut self, service: &Service) {
        let Ok(used) = Space::percent_used(&self.data) else { return };
        let Ok(space) = Space::of(&self.data) else { return };
        if !self.threshold.is_crossed(used, space.bytes) {
            return;
        }
        let deleted = temp::delete(service, |_| true);
        service.metrics.cleanups.add(1);
        let line = format!("cleanup: {used:.0}% in use: deleted {deleted} temporary files");
        service.console.say(line);
    }
}

/// A threshold with hysteresis.
struct Threshold {
    /// Percent in use.
    at: f64,
    /// Percent in use below which it is armed again.
    rearm: f64,
    /// Free bytes below which it counts as crossed.
    min_space: u64,
    flapping: bool,
    armed: bool,
}

impl Threshold {
    /// True once for each time it is crossed.
    fn is_crossed(&mut self, used: f64, free: u64) -> bool {
        let scarce = free < self.min_space;
        if used < self.rearm && !scarce {
            self.armed = true;
        }
        if used < self.at && !scarce {
            return false;
        }
        std::mem::take(&mut self.armed) || self.flapping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threshold(flapping: bool) -> Threshold {
        Threshold { at: 90.0, rearm: 85.0, min_space: 1000, flapping, armed: true }
    }

    #[test]
    fn it_is_crossed_once_and_again_only_after_the_band_was_left_below() {
        let mut threshold = threshold(false);
        let mut look = |used| threshold.is_crossed(used, 5000);
        assert!(!look(89.9) && look(90.0) && !look(99.0));
        assert!(!look(87.0) && !look(91.0), "the band in between arms nothing");
        assert!(!look(84.9) && look(90.0) && !look(90.0));
    }

    #[test]
    fn too_little_space_crosses_it_at_any_share() {
        let mut threshold = threshold(false);
        assert!(threshold.is_crossed(10.0, 999) && !threshold.is_crossed(10.0, 999));
        assert!(!threshold.is_crossed(10.0, 1000) && threshold.is_crossed(10.0, 0));
    }

    #[test]
    fn without_hysteresis_it_flaps() {
        let mut threshold = threshold(true);
        assert!((0..3).all(|_| threshold.is_crossed(92.0, 5000)));
        assert!(!threshold.is_crossed(89.0, 5000));
    }
}
