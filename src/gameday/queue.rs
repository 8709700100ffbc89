//! What was asked for and is not begun yet: one after the other, and STOP before everything. Pure.

use std::collections::VecDeque;

use super::state::Command;

/// Commands, the next one first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Command>,
    dropped: usize,
}

impl Queue {
    /// The last in the queue, unless it is STOP: that goes first, and drops every injection that waits,
    /// and the reverts, which are part of it.
    pub(super) fn put(&mut self, command: Command) {
        if command != Command::Stop {
            return self.waiting.push_back(command);
        }
        let injections = self.waiting.iter().filter(|one| matches!(one, Command::Inject(_)));
        self.dropped += injections.count();
        self.waiting.retain(|one| matches!(one, Command::Note(_) | Command::End));
        self.waiting.push_front(command);
    }

    /// Takes out what is to be done now.
    pub(super) fn next(&mut self) -> Option<Command> {
        self.waiting.pop_front()
    }

    /// Injections that were dropped since this was asked last.
    pub(super) fn dropped(&mut self) -> usize {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gameday::{Call, testing::pause};

    fn note(text: &str) -> Command {
        Command::Note(text.to_owned())
    }

    fn inject(call: &Call) -> Command {
        Command::Inject(Box::new(call.clone()))
    }

    fn all(mut queue: Queue) -> (Vec<Command>, usize) {
        let dropped = queue.dropped();
        (std::iter::from_fn(|| queue.next()).collect(), dropped)
    }

    #[test]
    fn stop_goes_first_and_what_would_be_injected_is_dropped() {
        let (mut queue, call) = (Queue::default(), pause());
        for command in [note("a"), inject(&call), Command::Revert("x".into()), inject(&call)] {
            queue.put(command);
        }
        queue.put(Command::Stop);
        queue.put(Command::End);
        let (commands, dropped) = all(queue);
        assert_eq!(commands, [Command::Stop, note("a"), Command::End]);
        assert_eq!(dropped, 2);
    }

    #[test]
    fn without_it_the_first_is_the_first() {
        let (mut queue, call) = (Queue::default(), pause());
        queue.put(inject(&call));
        queue.put(Command::Revert("x".into()));
        assert_eq!(all(queue), (vec![inject(&call), Command::Revert("x".into())], 0));
    }
}
