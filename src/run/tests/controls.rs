//! Controls: good only when they fail first where they must.

use super::*;
use crate::{runtime::State, verdict::Verdict};

/// A subject that goes on to answer when it was killed, as only one in memory can; and a control.
fn scenario(fails: &str) -> Bench {
    let parts = format!(
        "steps:
  - inject: {{ kill: {{ target: agent }} }}
    as: k
  - expect: [{{ http: {{ service: agent, path: /health, status: 200 }} }}]
    within: 300ms
    as: notices
verify: [{{ container: {{ service: agent, state: exited }} }}]
controls:
  - name: twin
    services: {{ agent: {{ args: [--bug] }} }}
    fails: [{fails}]
"
    );
    Bench::of(&parts)
}

/// The control stops answering when it is killed.
fn fragile(fails: &str) -> Bench {
    scenario(fails).on("control injecting k", 0, |scene| scene.health(503))
}

#[tokio::test(start_paused = true)]
async fn a_control_that_fails_where_it_must_is_good() {
    for listed in ["notices", "\"notices.expect[0]\""] {
        let ran = fragile(listed).run().await;
        assert_eq!(ran.case("t").verdict(), Verdict::Pass, "{}", ran.told());
        assert_eq!(ran.case("t@twin").verdict(), Verdict::Pass, "{}", ran.told());
        assert!(ran.reasons("t@twin").contains("failed as it must"));
        assert!(ran.is_clean().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_control_that_fails_elsewhere_proves_nothing() {
    let ran = fragile("\"verify[0]\"").run().await;
    assert_eq!(ran.case("t@twin").verdict(), Verdict::Inconclusive, "{}", ran.told());
    assert!(ran.reasons("t@twin").contains("failed first at `notices.expect[0]`"));
}

#[tokio::test(start_paused = true)]
async fn a_control_that_does_not_fail_proves_nothing() {
    let ran = scenario("notices").run().await;
    assert_eq!(ran.case("t@twin").verdict(), Verdict::Inconclusive, "{}", ran.told());
    assert!(ran.reasons("t@twin").contains("did not fail"));
}

#[tokio::test(start_paused = true)]
async fn a_control_that_breaks_before_injection_proves_nothing() {
    let ran =
        scenario("notices").on("control case t@twin 1", 0, |scene| scene.health(503)).run().await;
    assert_eq!(ran.case("t@twin").verdict(), Verdict::Inconclusive, "{}", ran.told());
    assert!(ran.reasons("t@twin").contains("steady_state[0]"), "{}", ran.reasons("t@twin"));
}

#[tokio::test(start_paused = true)]
async fn a_control_that_exits_under_a_state_fault_is_good() {
    let parts = "steps:
  - inject: { pause: { target: agent } }
    as: p
  - expect: [{ container: { service: agent, state: paused } }]
    within: 1s
    hold: 1s
    as: stays
controls:
  - name: twin
    services: { agent: { args: [--bug] } }
    fails: [stays]
";
    let ran = Bench::of(parts)
        .on("control injected p", 500, |scene| scene.agent(|facts| facts.state = State::Exited))
        .run()
        .await;
    assert_eq!(ran.case("t").verdict(), Verdict::Pass, "{}", ran.told());
    assert_eq!(ran.case("t@twin").verdict(), Verdict::Pass, "{}", ran.told());
}
