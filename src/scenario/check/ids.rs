//! The ids of assertions, as reports, `fails` and the runner name them.
//!
//! | assertion | id |
//! |---|---|
//! | a steady-state probe before injection | `as`, or `steady_state[0]` |
//! | an `expect`, `exec` or `await` step as a whole | `as`, or `steps[2]` |
//! | a probe of an `expect` step | its `as`, or `STEP.expect[0]` |
//! | a probe that an injection waits for | its `as`, or `STEP.when[0]` |
//! | a fault's effect, and its end | `STEP.effect`, `STEP.revert`; `STEP.lasting` where it ended early |
//! | likewise, of several injections | `STEP[OBJECT].effect`, `STEP[1/3].effect`, `STEP[OBJECT 1/3].effect` |
//! | a `recover` step | `as`, or `recover`; further ones `recover[1]` |
//! | a probe read alongside | `as`, or `observe[0]` |
//! | a probe in the end | `as`, or `verify[0]` |
//! | an objective | `objectives.rpo`, `objectives.rto_p50`, `objectives.rto_p95`; `rto` is what `recover` asserts |

use super::super::{Action, Hypothesis, Scenario};

/// One assertion of a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Its id, unique in the scenario.
    pub id: String,
    /// The group it is reported in.
    pub group: Hypothesis,
    /// What it stands for.
    pub spot: Spot,
}

/// Where in the scenario an assertion stands; numbers count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spot {
    /// A steady-state probe.
    SteadyState(usize),
    /// A step as a whole: `expect`, `exec`, `await`.
    Step(usize),
    /// A probe of an `expect` step.
    Expect {
        /// The step.
        step: usize,
        /// The probe.
        probe: usize,
    },
    /// A probe that an injection waits for.
    When {
        /// The step.
        step: usize,
        /// The probe.
        probe: usize,
    },
    /// The proof that a fault is in force or happened.
    Effect(usize),
    /// The proof that a fault is gone.
    Reverted(usize),
    /// A `recover` step.
    Recover(usize),
    /// A probe read alongside.
    Observe(usize),
    /// A probe in the end.
    Verify(usize),
    /// Data loss.
    Rpo,
    /// Median recovery time over repeats.
    RtoP50,
    /// 95th percentile of recovery time over repeats.
    RtoP95,
}

impl Spot {
    /// True when a control may list it: a steady state or a condition that is not reached and an
    /// effect that is not proven are `inconclusive`, so they are not what a known bug breaks.
    #[must_use]
    pub fn can_fail(self) -> bool {
        !matches!(
            self,
            Self::SteadyState(_) | Self::When { .. } | Self::Effect(_) | Self::Reverted(_)
        )
    }
}

/// Every assertion of a scenario, in the order in which they are judged.
#[must_use]
pub fn assertion_ids(scenario: &Scenario) -> Vec<Assertion> {
    let mut all = Vec::new();
    let mut add = |id: String, group, spot| all.push(Assertion { id, group, spot });
    let named = |name: &Option<String>, section: &str, i: usize| {
        name.clone().unwrap_or_else(|| format!("{section}[{i}]"))
    };
    for (i, item) in scenario.steady_state.iter().enumerate() {
        let id = named(&item.name, "steady_state", i);
        add(id, Hypothesis::SteadyState, Spot::SteadyState(i));
    }
    let mut recovers = 0;
    for (i, step) in scenario.steps.iter().enumerate() {
        let base = named(&step.name, "steps", i);
        match &step.action {
            Action::Inject(_) => {
                for (j, probe) in step.probes().1.iter().enumerate() {
                    let id = probe.name.clone().unwrap_or_else(|| format!("{base}.when[{j}]"));
                    add(id, Hypothesis::Fault, Spot::When { step: i, probe: j });
                }
                add(format!("{base}.effect"), Hypothesis::Fault, Spot::Effect(i));
                add(format!("{base}.revert"), Hypothesis::Fault, Spot::Reverted(i));
            }
            Action::Expect { probes, .. } => {
                for (j, probe) in probes.iter().enumerate() {
                    let id = probe.name.clone().unwrap_or_else(|| format!("{base}.expect[{j}]"));
                    add(id, Hypothesis::Step, Spot::Expect { step: i, probe: j });
                }
                add(base, Hypothesis::Step, Spot::Step(i));
            }
            Action::Recover(_) => {
                let unnamed = match recovers {
                    0 => "recover".to_owned(),
                    n => format!("recover[{n}]"),
                };
                recovers += 1;
                let id = step.name.clone().unwrap_or(unnamed);
                add(id, Hypothesis::Step, Spot::Recover(i));
            }
            // nothing is asserted; whether a revert worked is `FAULT.revert`
            Action::Wait(_) | Action::Revert(_) => {}
            Action::Exec(_) | Action::Await { .. } => {
                add(base, Hypothesis::Step, Spot::Step(i));
            }
        }
    }
    for (i, item) in scenario.observe.iter().enumerate() {
        add(named(&item.name, "observe", i), Hypothesis::Observe, Spot::Observe(i));
    }
    for (i, item) in scenario.verify.iter().enumerate() {
        add(named(&item.name, "verify", i), Hypothesis::Verify, Spot::Verify(i));
    }
    let objectives = &scenario.objectives;
    let given = [
        // without a load nothing can be lost
        ("rpo", objectives.rpo.is_some() && !scenario.workloads.is_empty(), Spot::Rpo),
        ("rto_p50", objectives.rto_p50.is_some(), Spot::RtoP50),
        ("rto_p95", objectives.rto_p95.is_some(), Spot::RtoP95),
    ];
    for (name, given, spot) in given {
        if given {
            add(format!("objectives.{name}"), Hypothesis::Objective, spot);
        }
    }
    all
}

/// True when a control lists the assertion that failed: by its id, or by the step it belongs to.
#[must_use]
pub fn is_listed(listed: &str, failed: &str) -> bool {
    failed == listed || failed.strip_prefix(listed).is_some_and(|rest| rest.starts_with('.'))
}
