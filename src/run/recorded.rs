//! Which readings of probes are recorded, and which say nothing new. Pure.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// Readings of one assertion that say the same are recorded this far apart: an event file must not
/// grow with the pace of polling. A reading that says something else always is.
const RECORD_EVERY: Duration = Duration::from_millis(200);

/// When each assertion's reading was last recorded, and whether it held.
#[derive(Default)]
pub(super) struct Recorded(Mutex<HashMap<String, (Instant, Option<bool>)>>);

impl Recorded {
    pub(super) fn is_due(&self, assertion: &str, held: Option<bool>) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let due = last
            .get(assertion)
            .is_none_or(|(at, same)| *same != held || now.duration_since(*at) >= RECORD_EVERY);
        if due {
            last.insert(assertion.to_owned(), (now, held));
        }
        due
    }
}
