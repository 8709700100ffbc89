//! Which guards are alive, and which of them had nothing left to guard. Pure: who knows what is in
//! force is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The guards of a subject.
#[derive(Debug, Default)]
pub(super) struct Guards(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    alive: Vec<String>,
    /// Their faults had ended before they were dropped.
    late: Vec<String>,
    closed: bool,
}

impl Guards {
    /// A fault is in force, and somebody holds it.
    pub(super) fn hold(&self, id: &str) {
        self.known().alive.push(id.to_owned());
    }

    /// It was seen to be gone: nobody holds it any more.
    pub(super) fn healed(&self, id: &str) {
        self.known().alive.retain(|one| one != id);
    }

    /// Whoever held it let go. True when its fault had ended before, which nobody was told yet.
    pub(super) fn dropped(&self, id: &str, in_force: bool) -> bool {
        let mut known = self.known();
        known.alive.retain(|one| one != id);
        let late = !in_force && !known.closed;
        if late {
            known.late.push(id.to_owned());
        }
        late
    }

    /// Nothing counts from now on. Faults that had ended while somebody held them, or holds them still.
    pub(super) fn close(&self, in_force: impl Fn(&str) -> bool) -> Vec<String> {
        let mut known = self.known();
        known.closed = true;
        let mut late = std::mem::take(&mut known.late);
        late.extend(known.alive.drain(..).filter(|id| !in_force(id)));
        late
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[&str]) -> Guards {
        let guards = Guards::default();
        ids.iter().for_each(|id| guards.hold(id));
        guards
    }

    #[test]
    fn a_fault_that_ended_under_its_guard_is_remembered_whether_it_is_dropped_or_not() {
        let guards = of(&["a", "b", "c", "d", "e"]);
        assert!(!guards.dropped("a", true));
        assert!(guards.dropped("b", false));
        guards.healed("c");
        assert_eq!(guards.close(|id| id == "d"), ["b", "e"]);
    }

    #[test]
    fn what_the_end_has_reverted_is_no_surprise() {
        let guards = of(&["a"]);
        assert!(guards.close(|_| true).is_empty());
        assert!(!guards.dropped("a", false));
        assert!(guards.close(|_| false).is_empty());
    }
}
