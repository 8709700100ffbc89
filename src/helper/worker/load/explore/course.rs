//! The order of a plan, kept by several who look at its states side by side: what one state says of another is
//! decided as if each had been looked at after the one before. No I/O.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::block::Way;

/// What is planned, and how far it is.
#[derive(Debug)]
pub(super) struct Course {
    turns: Mutex<Turns>,
    passed: Condvar,
    /// Whoever comes before has been shown by then, or has failed.
    patience: Duration,
}

#[derive(Debug)]
struct Turns {
    left: std::iter::Enumerate<std::vec::IntoIter<Way>>,
    /// The number of the state that is compared next.
    turn: usize,
    /// By content, how many acknowledgements it was found to keep, or to break.
    known: HashMap<[u8; 32], usize>,
}

impl Course {
    /// Through these, in their order.
    pub(super) fn new(ways: Vec<Way>, patience: Duration) -> Self {
        let left = ways.into_iter().enumerate();
        let turns = Mutex::new(Turns { left, turn: 0, known: HashMap::new() });
        Self { turns, passed: Condvar::new(), patience }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next one, and its number. Whoever takes it has it compared, and says what came of it.
    pub(super) fn take(&self) -> Option<(usize, Way)> {
        self.turns().left.next()
    }

    /// No more is taken.
    pub(super) fn stop(&self) {
        self.turns().left = Vec::new().into_iter().enumerate();
    }

    /// Waits until all before it were compared. Whether something new can be seen in the one with this number
    /// and content, of which none is known where it could not be shown; and whether what comes of it will
    /// say anything of others.
    pub(super) fn is_new(
        &self,
        nth: usize,
        digest: Option<[u8; 32]>,
        (acknowledged, says_of_others): (usize, bool),
    ) -> Result<bool, String> {
        let waited =
            self.passed.wait_timeout_while(self.turns(), self.patience, |it| it.turn < nth);
        let (mut turns, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        turns.turn = turns.turn.max(nth + 1);
        self.passed.notify_all();
        if waited.timed_out() {
            return Err("the states before it are not shown".into());
        }
        let Some(digest) = digest else { return Ok(true) };
        if turns.known.get(&digest).is_some_and(|known| *known >= acknowledged) {
            return Ok(false);
        }
        if says_of_others {
            turns.known.insert(digest, acknowledged);
        }
        Ok(true)
    }
}

/// What came of each, given back in the order of the plan. It holds no more than the plan does.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    early: BTreeMap<usize, T>,
    next: usize,
}

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self { early: BTreeMap::new(), next: 0 }
    }
}

impl<T> InOrder<T> {
    /// This came of the one with that number.
    pub(super) fn put(&mut self, nth: usize, came: T) {
        self.early.insert(nth, came);
    }

    /// The next one, unless it, or one before it, has not come yet.
    pub(super) fn take(&mut self) -> Option<T> {
        let came = self.early.remove(&self.next)?;
        self.next += 1;
        Some(came)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::channel, thread, time::Duration};

    use super::*;
    use crate::block::Profile;

    /// Whatever is waited for comes before.
    const LONG: Duration = Duration::from_secs(60);

    fn course(ways: usize, patience: Duration) -> Course {
        let way = |point| Way { point, profile: Profile::Drop, kept: Vec::new() };
        Course::new((0..ways).map(way).collect(), patience)
    }

    #[test]
    fn the_first_in_the_plan_is_new_whoever_is_shown_first() {
        let course = course(3, LONG);
        let (told, is_told) = channel();
        thread::scope(|scope| {
            for nth in [2, 1, 0] {
                let (course, told) = (&course, told.clone());
                scope.spawn(move || told.send((nth, course.is_new(nth, Some([7; 32]), (5, true)))));
                // the last one is let go of at once, the others by those before them
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut found: Vec<_> = is_told.try_iter().collect();
        found.sort_by_key(|(nth, _)| *nth);
        assert_eq!(found, [(0, Ok(true)), (1, Ok(false)), (2, Ok(false))]);
    }

    #[test]
    fn the_same_content_is_new_where_more_was_acknowledged() {
        let course = course(4, LONG);
        let acknowledged = [3, 2, 3, 4];
        let is_new =
            |(nth, told): (usize, &usize)| course.is_new(nth, Some([7; 32]), (*told, true));
        let found: Vec<_> = acknowledged.iter().enumerate().map(is_new).collect();
        assert_eq!(found, [Ok(true), Ok(false), Ok(false), Ok(true)]);
    }

    #[test]
    fn what_says_nothing_of_others_is_compared_and_not_compared_with() {
        let course = course(3, LONG);
        let is_new = |nth, says| course.is_new(nth, Some([7; 32]), (5, says));
        assert_eq!([is_new(0, false), is_new(1, true)], [Ok(true), Ok(true)]);
        assert_eq!(is_new(2, false), Ok(false));
    }

    #[test]
    fn one_that_is_never_compared_holds_up_nobody_for_ever() {
        let course = course(3, Duration::from_millis(20));
        assert!(course.is_new(1, Some([7; 32]), (0, true)).is_err());
        // and one that was not shown is passed by
        assert_eq!(course.is_new(2, None, (0, true)), Ok(true));
    }

    #[test]
    fn each_is_taken_once_and_none_after_the_stop() {
        let course = course(3, LONG);
        let taken = || course.take().map(|(nth, way)| (nth, way.point));
        assert_eq!([taken(), taken()], [Some((0, 0)), Some((1, 1))]);
        course.stop();
        assert_eq!(taken(), None);
    }

    #[test]
    fn what_comes_early_waits() {
        let mut told = InOrder::default();
        told.put(1, 'b');
        assert_eq!(told.take(), None);
        told.put(0, 'a');
        assert_eq!([told.take(), told.take(), told.take()], [Some('a'), Some('b'), None]);
    }
}
