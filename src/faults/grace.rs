//! How long a container gets between being asked to end and being killed. Pure.

use crate::{runtime::ContainerFacts, units::Duration};

/// What the engine itself allows.
const ENGINE_MS: u64 = 10_000;

/// The engine counts in seconds, and the call must end before others take it for stuck.
const MOST: Duration = Duration::from_secs(300);

/// Milliseconds between SIGTERM and SIGKILL: as asked for, or the service's own, or the engine's.
pub(super) fn milliseconds(asked: Option<Duration>, facts: &ContainerFacts) -> u64 {
    let asked = asked.map(|time| u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX));
    asked.or(facts.stop_grace_ms).unwrap_or(ENGINE_MS)
}

/// What is wrong with what was asked for.
pub(super) fn complaint(asked: Option<Duration>) -> Option<String> {
    asked.filter(|grace| *grace > MOST).map(|grace| {
        format!(
            "a grace of {grace} is longer than any rollback waits\n\nhint: write {MOST} at most"
        )
    })
}

/// In words.
pub(super) fn words(asked: Option<Duration>) -> String {
    asked.map_or_else(|| "its own grace".to_owned(), |grace| format!("a grace of {grace}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing;

    #[test]
    fn the_parameter_comes_before_the_service_and_that_before_the_engine() {
        let mut facts = testing::container();
        assert_eq!(milliseconds(None, &facts), 10_000);
        facts.stop_grace_ms = Some(3000);
        assert_eq!(milliseconds(None, &facts), 3000);
        assert_eq!(milliseconds(Some(Duration::from_secs(2)), &facts), 2000);
        assert!(complaint(Some(Duration::from_secs(300))).is_none());
        assert!(complaint(Some(Duration::from_secs(301))).is_some());
    }
}
