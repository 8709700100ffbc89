//! What I/O faults do that strike only for a while: they are looked at when they begin to, and end
//! without a revert.

use std::time;

use super::{
    Cx, Effect, FaultError,
    io::{Aim, Before},
};
use crate::{protocol::Trigger, units::Duration};

/// All operations.
pub(super) const ALWAYS: &Trigger = &Trigger {
    probability: None,
    nth: None,
    every: None,
    after: None,
    after_bytes: None,
    from: None,
    until: None,
};

/// It is waited for that they begin.
const LATEST: Duration = Duration::from_secs(10);
/// A look at them takes its time.
const SHORTEST: Duration = Duration::from_millis(500);

impl Aim<'_> {
    /// What is wrong with the time in which it strikes.
    pub(super) fn check_window(&self) -> Option<String> {
        let (name, from) = (self.name, self.when.from.unwrap_or_default());
        if from > LATEST {
            return Some(format!(
                "`{name}` is looked at when it begins to strike, and `from: {from}` is too late for \
                 that\n\nhint: write {LATEST} at most; `wait` before the step for more"
            ));
        }
        let until = self.when.until.filter(|until| until.0 < from.0 + SHORTEST.0)?;
        Some(format!(
            "`{name}` has no time to be looked at `until: {until}`\n\nhint: write {SHORTEST} more \
             than `from` at least"
        ))
    }

    /// Waits until it strikes, while it is in force.
    pub(super) async fn await_window(
        &self,
        before: &Before,
        cx: &Cx<'_>,
    ) -> Result<(), FaultError> {
        let Some(from) = self.when.from else { return Ok(()) };
        if let Some(facts) = cx.rule_facts(before).await?.filter(|facts| facts.armed) {
            let passed = time::Duration::from_millis(facts.since_ms);
            tokio::time::sleep(from.0.saturating_sub(passed)).await;
        }
        Ok(())
    }

    /// What was seen of it, with what it does not reach, or with why it cannot be seen any more.
    pub(super) async fn seen(
        &self,
        before: &Before,
        cx: &Cx<'_>,
        effect: Effect,
    ) -> Result<Effect, FaultError> {
        if effect.proven {
            return cx.with_reach(before, effect).await;
        }
        let Some(until) = self.when.until else { return Ok(effect) };
        let facts = cx.rule_facts(before).await?.unwrap_or_default();
        let over = time::Duration::from_millis(facts.since_ms) >= until.0;
        Ok(if over {
            effect.note(format!("it strikes `until: {until}`, which was over by then"))
        } else {
            effect
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        faults::{
            Fault as _, Prepared,
            io_error::IoError,
            testing::{self, Fake},
        },
        protocol::RuleFacts,
    };

    fn fault(when: &str) -> IoError {
        let yaml = format!("{{ target: 'agent:/data', when: {when} }}");
        serde_saphyr::from_str(&yaml).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_at_when_it_begins_and_not_again_when_it_ends() {
        let (fake, site) = (Fake::default(), testing::site("/data", "docker: { interpose: file }"));
        let (cx, fault) = (fake.cx(&site), fault("{ from: 3s, until: 5s }"));
        assert!(fault.subject_may_end_it());
        let Prepared { before, .. } = fault.prepare(&cx).await.unwrap();
        let facts = |since_ms| Some(RuleFacts { armed: true, since_ms, ..RuleFacts::default() });
        fake.world().beneath.interposed.rules = facts(1000);
        fake.world().beneath.interposed.struck = Some((Some("EIO"), 30));
        let began = tokio::time::Instant::now();
        assert!(fault.verify(&before, &[], &cx).await.unwrap().proven);
        assert_eq!(began.elapsed().as_secs(), 2);
        fake.world().beneath.interposed.rules = facts(6000);
        fake.world().beneath.interposed.struck = None;
        let late = fault.verify(&before, &[], &cx).await.unwrap();
        assert!(!late.proven && late.notes[0].contains("over"), "{late:?}");
    }

    #[test]
    fn it_must_begin_soon_and_leave_time_to_look() {
        let wrong = |when: &str| fault(when).aim().check_window().is_some();
        assert!(!wrong("{ from: 10s, until: 11s }") && !wrong("{ until: 500ms }"));
        assert!(wrong("{ from: 11s }") && wrong("{ from: 1s, until: 1s }"));
        assert!(wrong("{ until: 100ms }"));
    }
}
