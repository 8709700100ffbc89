//! The alarm for a lost volume: raised once when it stays lost, and not for a blip. Pure.

use std::time::{Duration, Instant};

/// When the volume was lost, and whether that was said.
#[derive(Debug)]
pub(super) struct Alarm {
    after: Duration,
    lost: Option<(Instant, bool)>,
}

impl Alarm {
    pub(super) fn new(after: Duration) -> Self {
        Self { after, lost: None }
    }

    /// One look at the volume; true when the alarm is to be raised now.
    pub(super) fn look(&mut self, now: Instant, lost: bool) -> bool {
        if !lost {
            self.lost = None;
            return false;
        }
        let (since, said) = self.lost.get_or_insert((now, false));
        let due = !*said && now.duration_since(*since) >= self.after;
        *said |= due;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blip_raises_nothing_and_a_loss_raises_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut alarm = Alarm::new(Duration::from_secs(30));
        assert!(!alarm.look(at(0), true) && !alarm.look(at(29), true));
        assert!(!alarm.look(at(30), false), "it is back");
        assert!(!alarm.look(at(31), true) && !alarm.look(at(60), true));
        assert!(alarm.look(at(61), true));
        assert!(!alarm.look(at(62), true) && !alarm.look(at(600), true));
        assert!(!alarm.look(at(601), false) && !alarm.look(at(602), true));
        assert!(alarm.look(at(640), true), "lost anew");
    }
}
