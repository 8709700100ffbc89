//! How long to wait before trying again: twice as long each time, up to a bound. Pure.

use std::time::Duration;

use super::args::SpecimenArgs;

#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(args: &SpecimenArgs) -> Self {
        let most = args.retry_most.max(args.retry_first);
        Self { first: args.retry_first, most, next: args.retry_first }
    }

    /// The next pause.
    pub(super) fn next(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * 2).min(self.most);
        now
    }

    /// It worked: the next failure is a first one again.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_bound_and_starts_again() {
        let seconds = Duration::from_secs;
        let mut retry = Backoff { first: seconds(2), most: seconds(30), next: seconds(2) };
        let pauses: Vec<u64> = (0..6).map(|_| retry.next().as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
        retry.reset();
        assert_eq!(retry.next(), seconds(2));
    }
}
