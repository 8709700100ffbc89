//! Scenarios that prove nothing: without an assertion, or with one that nothing leads up to.

use super::Cx;
use crate::scenario::Action;

/// Checks them.
pub(super) fn check(cx: &mut Cx<'_>) {
    nothing_at_all(cx);
    recovery_from_nothing(cx);
}

/// A run without a step and without an assertion would pass whatever the service does.
fn nothing_at_all(cx: &mut Cx<'_>) {
    let it = cx.scenario;
    let asserts = !(it.steady_state.is_empty() && it.verify.is_empty() && it.observe.is_empty());
    if it.steps.is_empty() && !asserts {
        cx.report(
            &["name".into()],
            "this scenario asserts nothing, so it cannot fail\n\nhint: add `steps` with a fault, and \
             what must be true under `steady_state` and `verify`",
        );
    }
}

/// Recovery is a time: it needs something from which it runs.
fn recovery_from_nothing(cx: &mut Cx<'_>) {
    for (index, step) in cx.scenario.steps.iter().enumerate() {
        match &step.action {
            Action::Inject(..) | Action::Exec(..) => return,
            Action::Recover(..) => {
                let path = ["steps".into(), index.into()];
                let text = "nothing was done before this that the service could recover from\n\n\
                            hint: put `recover` after an `inject` or an `exec`";
                return cx.report(&path, text);
            }
            _ => {}
        }
    }
}
