//! What the health check of a container says of what was done to it. The engine's own word is that of
//! the last check, which may have been before that, and a check that fails once changes nothing of it.
//! Pure.

use std::time::Duration;

use crate::runtime::{Checked, ContainerFacts};

/// A container that the engine calls healthy.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Healthy {
    /// Nothing speaks against it.
    Yes,
    /// It is not, as of its last check.
    NoMore(String),
    /// No check began since: within this time there is one.
    NotAsked(Duration),
}

/// A check is run, and the engine writes it down, in this time beside its own.
const SLACK: Duration = Duration::from_secs(2);
/// Until the next check, where the engine does not say how often it looks: twice its default.
const SELDOM: Duration = Duration::from_secs(60);
/// Characters of what a check printed.
const OUTPUT: usize = 200;

/// Of a container that the engine calls healthy; `since` is when something was last done, by our clock.
pub(super) fn of(facts: &ContainerFacts, since: Option<i64>) -> Healthy {
    let (Some(since), Some(last)) = (since, &facts.checked) else { return Healthy::Yes };
    match (last.started_ns, facts.next_check_ms) {
        // nor does one that failed then say how it is now
        (Some(began), next) if began < since => {
            Healthy::NotAsked(next.map_or(SELDOM, Duration::from_millis) + SLACK)
        }
        _ if last.exit_code != 0 => Healthy::NoMore(failed(last)),
        _ => Healthy::Yes,
    }
}

fn failed(last: &Checked) -> String {
    let words: Vec<&str> = last.output.split_whitespace().collect();
    let text: String = words.join(" ").chars().take(OUTPUT).collect();
    let printed = if text.is_empty() { String::new() } else { format!(": `{text}`") };
    format!(
        "its last health check failed with {}{printed}, though the engine calls it healthy still",
        last.exit_code
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing;

    fn facts(exit_code: i64, started_ns: Option<i64>) -> ContainerFacts {
        let checked = Some(Checked { exit_code, output: "no\nanswer".into(), started_ns });
        ContainerFacts { checked, next_check_ms: Some(5000), ..testing::container() }
    }

    #[test]
    fn only_a_check_that_began_since_speaks_for_it() {
        let later = Healthy::NotAsked(Duration::from_secs(7));
        assert_eq!(of(&facts(0, Some(99)), Some(100)), later);
        assert_eq!(of(&facts(1, Some(99)), Some(100)), later, "it failed under what is over");
        assert_eq!(of(&facts(0, Some(100)), Some(100)), Healthy::Yes);
        assert_eq!(of(&facts(0, Some(99)), None), Healthy::Yes, "nothing was done");
    }

    #[test]
    fn one_that_failed_speaks_against_it_at_once() {
        for began in [Some(100), None] {
            let Healthy::NoMore(why) = of(&facts(1, began), Some(100)) else { panic!() };
            assert!(why.starts_with("its last health check failed with 1: `no answer`"), "{why}");
        }
        assert_eq!(of(&facts(1, Some(99)), None), Healthy::Yes, "its retries are for that");
    }

    #[test]
    fn an_engine_that_does_not_say_when_is_believed() {
        assert_eq!(of(&facts(0, None), Some(100)), Healthy::Yes);
        let bare = testing::container();
        assert_eq!(of(&bare, Some(100)), Healthy::Yes);
        let seldom = ContainerFacts { next_check_ms: None, ..facts(0, Some(99)) };
        assert_eq!(of(&seldom, Some(100)), Healthy::NotAsked(SELDOM + SLACK), "it says when");
    }
}
