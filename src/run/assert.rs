//! What was asserted: a finding of the case, and its event.

use std::time::Duration;

use tokio::time::Instant;

use super::{event::Event, world::World};
use crate::{scenario::Hypothesis, verdict::Verdict};

/// What a step asserts: a verdict and why.
pub(super) type Outcome = (Verdict, String);

/// Records a finding and its event.
pub(super) fn record(
    world: &World,
    id: &str,
    hypothesis: Hypothesis,
    title: &str,
    verdict: Option<Verdict>,
    message: &str,
    started: Instant,
) {
    world.findings().add(id, verdict, message);
    world.emit(Event::Asserted {
        case: world.id(),
        assertion: id.to_owned(),
        hypothesis,
        title: title.to_owned(),
        verdict,
        message: message.to_owned(),
        took_us: whole_micros(started.elapsed()),
    });
}

pub(super) fn whole_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
