//! What the lifecycle faults share: waiting, within bounds, for the engine to notice.
//!
//! Changes nothing; the engine ops belong to the faults.

use std::time::Duration;

use super::{Cx, Effect, FaultError, observe::word};
use crate::{
    protocol::{EngineOp, Op},
    runtime::{ContainerFacts, State},
};

/// A container that gets a signal may take a while to end; what takes longer is not seen to end.
const LOOKS: u32 = 100;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 100 });

/// Looks at the container until `seen`, for ten seconds at most; returns the last look.
pub(super) async fn until(
    cx: &Cx<'_>,
    seen: impl Fn(&ContainerFacts) -> bool,
) -> Result<ContainerFacts, FaultError> {
    let mut facts = cx.facts().await?;
    for _ in 1..LOOKS {
        if seen(&facts) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        facts = cx.facts().await?;
    }
    Ok(facts)
}

/// Starts what was running.
pub(super) fn start_again(cx: &Cx<'_>) -> Vec<Op> {
    vec![Op::Engine(EngineOp::Start { container: cx.site.place.container.clone() })]
}

/// Whether the container runs, which is all that can be brought back after an event.
pub(super) async fn runs(cx: &Cx<'_>) -> Result<Effect, FaultError> {
    let facts = cx.facts().await?;
    let proven = facts.state == State::Running;
    Ok(Effect { proven, evidence: word(facts.state), notes: Vec::new() })
}
