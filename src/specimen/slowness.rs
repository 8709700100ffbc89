//! How slow the storage is, and what follows: above one average somebody else gets the work, above
//! another people are told, once. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use super::args::SpecimenArgs;
use super::weakness::Weakness;

/// Beats that an average is taken of: one alone may be a hiccup.
const BEATS: usize = 4;

/// What the last beats took.
#[derive(Debug)]
pub(super) struct Slowness {
    move_at: Option<Duration>,
    alarm_at: Option<Duration>,
    recent: VecDeque<Duration>,
    alarmed: bool,
}

/// What one more beat comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whoever leads had better not.
    pub(super) moves: bool,
    /// The alarm is to be raised now, with this average.
    pub(super) alarm: Option<Duration>,
}

impl Slowness {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        let moves = !args.has(Weakness::LeadsHoweverSlow);
        Self {
            move_at: args.move_at.filter(|_| moves),
            alarm_at: args.alarm_at,
            recent: VecDeque::with_capacity(BEATS),
            alarmed: false,
        }
    }

    /// A beat took so long.
    pub(super) fn took(&mut self, time: Duration) -> Verdict {
        if self.recent.len() == BEATS {
            self.recent.pop_front();
        }
        self.recent.push_back(time);
        let whole = self.recent.len() == BEATS;
        let beats = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        let average = self.recent.iter().sum::<Duration>() / beats;
        let above = |limit: Option<Duration>| whole && limit.is_some_and(|limit| average > limit);
        let due = above(self.alarm_at) && !self.alarmed;
        self.alarmed = above(self.alarm_at);
        Verdict { moves: above(self.move_at), alarm: due.then_some(average) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slowness() -> Slowness {
        let at = |ms| Some(Duration::from_millis(ms));
        let recent = VecDeque::new();
        Slowness { move_at: at(200), alarm_at: at(500), recent, alarmed: false }
    }

    /// What beats of these milliseconds come to: who moves, and who is told.
    fn told(slowness: &mut Slowness, beats: &[u64]) -> (bool, bool) {
        let mut alarms = false;
        let mut moves = false;
        for beat in beats {
            let verdict = slowness.took(Duration::from_millis(*beat));
            moves = verdict.moves;
            alarms |= verdict.alarm.is_some();
        }
        (moves, alarms)
    }

    #[test]
    fn the_average_decides_and_not_one_beat() {
        assert_eq!(told(&mut slowness(), &[700, 10, 10]), (false, false), "too few to tell");
        assert_eq!(told(&mut slowness(), &[700, 10, 10, 10]), (false, false));
        assert_eq!(told(&mut slowness(), &[200; 4]), (false, false), "not above");
        assert_eq!(told(&mut slowness(), &[300; 4]), (true, false));
        assert_eq!(told(&mut slowness(), &[600; 4]), (true, true));
    }

    #[test]
    fn the_alarm_is_raised_once_until_it_was_fast_in_between() {
        let mut slowness = slowness();
        assert_eq!(told(&mut slowness, &[600; 4]), (true, true));
        assert_eq!(told(&mut slowness, &[600; 8]), (true, false));
        assert_eq!(told(&mut slowness, &[10; 4]), (false, false));
        assert_eq!(told(&mut slowness, &[900; 4]), (true, true));
    }
}
