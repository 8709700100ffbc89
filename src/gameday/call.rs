//! A fault as it is typed: one line of the scenario language, checked as `check` checks a scenario.
//!
//! Pure: the way to read a scenario is handed in.

use std::{path::Path, sync::Arc};

use super::draft::{Draft, Heading};
use crate::{
    diagnostic::Diagnostic,
    faults::{FaultSpec, Kind, Profile},
    scenario::{Action, InjectStep, Scenario, Step},
    units::Duration,
};

/// How long a fault lasts unless something else is typed.
pub(super) const LASTS: Duration = Duration::from_secs(60);

/// Longer than any game day: a draft is not refused for the time that it takes.
const NO_TIMEOUT: Duration = Duration::from_secs(7 * 86_400);

/// Reads the text of a scenario as `check` does where it is in this file.
pub type Checker = Arc<dyn Fn(&Path, &str) -> Result<Scenario, Vec<Diagnostic>> + Send + Sync>;

/// A fault that is called for.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its id: `read-only`, `read-only-2`.
    pub id: String,
    /// As it was typed: `{ read-only: { target: agent:/data } }`.
    pub typed: String,
    /// What it means.
    pub fault: FaultSpec,
    /// The keeper reverts it after this time; none for what is over as soon as it happened.
    pub lasts: Option<Duration>,
}

/// What a line is checked against.
pub(super) struct Against<'a> {
    /// The set-up.
    pub draft: &'a Draft,
    /// The file that it is in.
    pub file: &'a str,
    /// Steps that were done, as list items.
    pub steps: &'a [String],
    /// How a scenario is read.
    pub checker: &'a Checker,
    /// There is a steady state that `recover` can wait for.
    pub steady: bool,
}

impl Against<'_> {
    /// Whether the session could go on with these steps.
    ///
    /// # Errors
    /// What `check` says of them, in one line.
    pub(super) fn check(&self, more: &[String]) -> Result<Scenario, String> {
        let mut steps = self.steps.to_vec();
        steps.extend_from_slice(more);
        // an objective that nothing measures is refused, and so is a `recover` that waits for nothing
        if self.steady {
            steps.push("  - recover\n".to_owned());
        }
        (self.checker)(Path::new(self.file), &text(self.draft, &steps))
            .map_err(|found| first(&found))
    }

    /// Reads a line such as `inject: { read-only: { target: agent:/data } }, for: 60s`.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub(super) fn call(&self, line: &str, id: &str) -> Result<Call, String> {
        let line = line.trim();
        let Some(typed) = value_of(line, "inject:") else {
            return Err("a fault is typed as `inject: { NAME: { target: … } }`".into());
        };
        let step = format!("  - {{ {line}, as: {id} }}\n");
        let scenario = self.check(&[step])?;
        let mine = |step: &&Step| step.name.as_deref() == Some(id);
        let step = scenario.steps.iter().rfind(mine).map(|step| &step.action);
        let Some(Action::Inject(step)) = step else { return Err("no fault is typed".into()) };
        by_hand(step)?;
        Ok(Call {
            id: id.to_owned(),
            typed: typed.to_owned(),
            fault: step.fault.clone(),
            lasts: (step.fault.kind() != Kind::Event).then(|| step.lasts.unwrap_or(LASTS)),
        })
    }
}

/// A draft of steps that were done, for `check` alone.
pub(super) fn text(draft: &Draft, steps: &[String]) -> String {
    let heading = Heading { name: "by-hand", about: "A game day.", timeout: NO_TIMEOUT };
    draft.with(&heading, steps)
}

/// What belongs into a scenario, where nobody watches.
fn by_hand(step: &InjectStep) -> Result<(), String> {
    if step.when.is_some() {
        return Err("`when` is yours to decide: type it without, and inject when it is time".into());
    }
    if step.profile != Profile::Sustained {
        return Err(
            "`profile` is for scenarios: by hand a fault is in force until it is reverted".into()
        );
    }
    if step.fault.target().select.is_some() {
        return Err("by hand a fault hits one object: write `target: SERVICE:/path`".into());
    }
    Ok(())
}

/// The first problem and what to do about it, in one line.
fn first(found: &[Diagnostic]) -> String {
    let Some(problem) = found.first() else { return "it is refused".into() };
    match &problem.hint {
        Some(hint) => format!("{}; {hint}", problem.message),
        None => problem.message.clone(),
    }
}

/// The map in braces after a key, up to the brace that closes it.
fn value_of<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let value = line.strip_prefix(key)?.trim_start();
    let (mut depth, mut quote) = (0_u32, None);
    for (at, c) in value.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 1 => return Some(&value[..=at]),
            (None, '}') => depth = depth.checked_sub(1)?,
            (None, _) if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gameday::testing::{SOURCE, checker};

    fn call(line: &str) -> Result<Call, String> {
        let draft = Draft::of(SOURCE, &[], &Default::default()).unwrap();
        let steps =
            ["  - { inject: { read-only: { target: agent:/data } }, as: earlier }\n".into()];
        let checker = checker();
        Against { draft: &draft, file: "a.yaml", steps: &steps, checker: &checker, steady: true }
            .call(line, "mine")
    }

    #[test]
    fn a_line_is_a_fault_with_an_end() {
        let mine = call("inject: { read-only: { target: agent:/logs } }, for: 5s").unwrap();
        assert_eq!(mine.typed, "{ read-only: { target: agent:/logs } }");
        assert_eq!((mine.fault.name(), mine.lasts), ("read-only", Some(Duration::from_secs(5))));
        assert_eq!(call("inject: { pause: { target: agent } }").unwrap().lasts, Some(LASTS));
        assert_eq!(call("inject: { kill: { target: agent } }").unwrap().lasts, None);
    }

    #[test]
    fn a_line_is_refused_as_a_scenario_would_be() {
        let refused = |line| call(line).unwrap_err();
        assert!(refused("read-only").contains("is typed as"));
        assert!(
            refused("inject: { raed-only: { target: agent } }")
                .contains("did you mean `read-only`")
        );
        assert!(refused("inject: { read-only: { target: agnet:/data } }").contains("did you mean"));
        assert!(refused("inject: { kill: { target: agent } }, for: 5s").contains("cannot last"));
        let intermittent = "inject: { pause: { target: agent } }, for: 9s, profile: { intermittent: { on: 1s, off: 2s } }";
        assert!(refused(intermittent).contains("`profile` is for scenarios"));
        let when = "inject: { pause: { target: agent } }, when: [{ file: { service: agent, path: /x, exists: true } }]";
        assert!(refused(when).contains("yours to decide"));
        assert!(
            refused("inject: { pause: { target: { services: [agent] } } }").contains("one object")
        );
    }

    #[test]
    fn braces_in_quotes_do_not_count() {
        assert_eq!(value_of("inject: { a: \"}\" }, for: 1s", "inject:"), Some("{ a: \"}\" }"));
        assert_eq!(value_of("inject: { a: 1", "inject:"), None);
        assert_eq!(value_of("inject: a", "inject:"), None);
    }
}
