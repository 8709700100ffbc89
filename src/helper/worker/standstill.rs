//! When a disk that answers hangs all the same: the same request is worked at, or waits to be taken,
//! for too long.
//!
//! How long is measured here, in looks too: who was frozen along with the disk has not looked.

use std::time::{Duration, Instant};

use crate::{
    host::pressure::{Waited, excuse},
    interpose::control::Answer,
};

/// A disk keeps what it has in memory: no request takes so long.
const TOO_LONG: Duration = Duration::from_secs(5);
/// The most time beyond it that a busy machine may take. Whoever waits for a disk that hangs counts as
/// waiting for a disk too, so it hangs so much longer.
const EXCUSED: Duration = Duration::from_secs(10);
/// And it was looked at so often meanwhile.
const LOOKS: u32 = 10;

/// A place at which it stands still: a request that is worked at, or how many were taken while others
/// wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Work(u64),
    Taken(u64),
}

/// Since when.
struct Since {
    at: At,
    begun: Instant,
    waited: Option<Waited>,
    looks: u32,
}

/// What was seen of one disk.
#[derive(Default)]
pub(super) struct Standstill(Option<Since>);

impl Standstill {
    /// Looks at what it has answered, and whether requests wait for it; why it hangs, if it does.
    pub(super) fn look(
        &mut self,
        answer: &Answer,
        some_wait: impl FnOnce() -> bool,
    ) -> Option<String> {
        let at = match *answer {
            Answer::AtWork { oldest: Some(oldest), .. } => Some(At::Work(oldest)),
            Answer::AtWork { oldest: None, taken } if some_wait() => Some(At::Taken(taken)),
            _ => None,
        };
        self.stands(at).filter(|since| is_too_long(since)).map(|since| {
            let seconds = since.begun.elapsed().as_secs();
            match since.at {
                At::Work(_) => format!("it has been at one request for {seconds} s"),
                At::Taken(_) => format!("requests wait, and it has taken none for {seconds} s"),
            }
        })
    }

    fn stands(&mut self, at: Option<At>) -> Option<&Since> {
        match (&mut self.0, at) {
            (Some(since), Some(at)) if since.at == at => since.looks += 1,
            (since, at) => {
                let begun =
                    |at| Since { at, begun: Instant::now(), waited: Waited::now(), looks: 0 };
                *since = at.map(begun);
            }
        }
        self.0.as_ref()
    }
}

fn is_too_long(since: &Since) -> bool {
    let time = since.begun.elapsed();
    since.looks >= LOOKS && time > TOO_LONG && time > TOO_LONG + excuse(since.waited, EXCUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so many looks at answers like that, the first long ago.
    fn told(looks: u32, wait: bool, answer: impl Fn(u32) -> Answer) -> Option<String> {
        let mut still = Standstill::default();
        assert_eq!(still.look(&answer(0), || wait), None);
        if let Some(since) = &mut still.0 {
            since.begun -= TOO_LONG + EXCUSED + Duration::from_secs(1);
        }
        (1..=looks).map(|look| still.look(&answer(look), || wait)).last().flatten()
    }

    fn at(oldest: Option<u64>, taken: u64) -> Answer {
        Answer::AtWork { oldest, taken }
    }

    #[test]
    fn who_is_at_the_same_request_for_long_hangs() {
        let hangs = told(LOOKS, false, |_| at(Some(7), 9));
        assert!(hangs.is_some_and(|why| why.starts_with("it has been at one request for ")));
        let hangs = told(LOOKS, true, |_| at(None, 9));
        assert!(hangs.is_some_and(|why| why.starts_with("requests wait, ")));
        assert_eq!(
            told(LOOKS - 1, false, |_| at(Some(7), 9)),
            None,
            "who was frozen has not looked"
        );
    }

    #[test]
    fn who_gets_on_or_waits_on_purpose_or_has_nothing_to_do_does_not() {
        assert_eq!(told(LOOKS, false, |look| at(Some(u64::from(look)), 99)), None);
        assert_eq!(told(LOOKS, false, |_| Answer::Done), None);
        assert_eq!(told(LOOKS, false, |_| at(None, 9)), None);
        assert_eq!(
            told(LOOKS, false, |look| if look == 5 { Answer::Done } else { at(Some(7), 9) }),
            None
        );
    }
}
