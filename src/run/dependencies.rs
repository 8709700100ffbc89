//! Waits until what a service depends on is as far as it asks for, and says why it is not.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{setup::go_on, world::World};
use crate::{
    runtime::{Checked, ContainerFacts, Health, State},
    scenario::{Depends, Service},
};

/// A dependency that is not ready after this time is an error.
const DEADLINE: Duration = Duration::from_secs(60);

/// Between two looks.
const EVERY: Duration = Duration::from_millis(100);

/// Characters of what a health check printed.
const OUTPUT: usize = 500;

/// Waits for all of them, one after the other, with one deadline.
///
/// # Errors
/// In words, when one ended or the time is over.
pub(super) async fn wait(
    world: &World,
    service: &Service,
    stop: &CancellationToken,
) -> Result<(), String> {
    let began = Instant::now();
    for (name, condition) in &service.depends_on {
        let Some(container) = world.container(name) else { continue };
        loop {
            go_on(stop)?;
            let facts =
                world.runtime.inspect(&container).await.map_err(|error| error.to_string())?;
            if is_ready(*condition, &facts) {
                break;
            }
            if facts.state == State::Exited && *condition != Depends::ServiceStarted {
                let code = facts.exit_code;
                return Err(format!("service `{name}`, which others wait for, ended with {code}"));
            }
            if began.elapsed() > DEADLINE {
                return Err(not_ready(name, *condition, &facts, began.elapsed()));
            }
            sleep(EVERY).await;
        }
    }
    Ok(())
}

/// Whether all that it depends on runs, or has ended as it should, and is as far as it asks for: now.
pub(super) async fn are_there(world: &World, service: &Service) -> bool {
    for (name, condition) in &service.depends_on {
        let Some(container) = world.container(name) else { continue };
        let Ok(facts) = world.runtime.inspect(&container).await else { return false };
        let there = match condition {
            Depends::ServiceStarted => facts.state == State::Running,
            further => is_ready(*further, &facts),
        };
        if !there {
            return false;
        }
    }
    true
}

fn is_ready(condition: Depends, facts: &ContainerFacts) -> bool {
    match condition {
        Depends::ServiceStarted => true,
        Depends::ServiceHealthy => facts.health == Health::Healthy,
        Depends::ServiceCompletedSuccessfully => {
            facts.state == State::Exited && facts.exit_code == 0
        }
    }
}

/// What was waited for, for how long, and what its health check has to say.
fn not_ready(name: &str, condition: Depends, facts: &ContainerFacts, waited: Duration) -> String {
    let (what, why) = match condition {
        Depends::ServiceHealthy => ("healthy", said(facts.checked.as_ref())),
        Depends::ServiceCompletedSuccessfully => (
            "over",
            "; it still runs\n\nhint: wait for `service_healthy` of what goes on".to_owned(),
        ),
        Depends::ServiceStarted => ("started", String::new()),
    };
    let seconds = waited.as_secs();
    format!("service `{name}`, which others wait for, was not {what} after {seconds} s{why}")
}

fn said(last: Option<&Checked>) -> String {
    let Some(Checked { exit_code, output, .. }) = last else {
        return "; its health check never came to an end\n\nhint: see its `interval`, `timeout` and \
                `start_period`"
            .to_owned();
    };
    let words: Vec<&str> = output.split_whitespace().collect();
    let text: String = words.join(" ").chars().take(OUTPUT).collect();
    let output = if text.is_empty() { "nothing".to_owned() } else { format!("`{text}`") };
    format!("; its health check ended with {exit_code} the last time, and printed {output}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::testing;

    fn told(condition: Depends, checked: Option<(i64, &str)>) -> String {
        let checked = checked.map(|(exit_code, output)| {
            let output = output.into();
            Checked { exit_code, output, started_ns: None }
        });
        let facts = ContainerFacts { checked, ..testing::container() };
        not_ready("db", condition, &facts, Duration::from_secs(61))
    }

    #[test]
    fn a_service_that_is_not_healthy_says_what_its_check_printed() {
        assert_eq!(
            told(Depends::ServiceHealthy, Some((2, "no response\nfrom 5432\n"))),
            "service `db`, which others wait for, was not healthy after 61 s; its health check ended \
             with 2 the last time, and printed `no response from 5432`"
        );
        let silent = told(Depends::ServiceHealthy, Some((1, "")));
        assert!(silent.ends_with("ended with 1 the last time, and printed nothing"), "{silent}");
        let never = told(Depends::ServiceHealthy, None);
        assert!(never.contains("never came to an end\n\nhint: "), "{never}");
    }

    #[test]
    fn one_that_was_to_end_is_said_to_run() {
        let told = told(Depends::ServiceCompletedSuccessfully, Some((1, "no")));
        assert!(told.contains("was not over after 61 s; it still runs"), "{told}");
    }
}
