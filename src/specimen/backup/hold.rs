//! The hooks before and after a snapshot that somebody else takes: hold still, go on.
//!
//! A filesystem's snapshot is of one moment, and still torn where the service was in the middle of
//! something. The second hook says whether the service held still all the way: if not, the snapshot
//! is of no use, and had better not be kept.

use super::super::weakness::Weakness;
use super::JobError;
use super::agent::Agent;
use super::args::{Bugs, HoldArgs, ReleaseArgs};

const NOTHING: &str = "nothing to be done";

pub(super) fn hold(args: &HoldArgs) -> Result<String, JobError> {
    let Some(agent) = agent(&args.agent, &args.bugs) else { return Ok(NOTHING.into()) };
    agent.gate()?;
    agent.hold(args.limit)?;
    Ok(format!("the service holds still for {} ms at most", args.limit.as_millis()))
}

pub(super) fn release(args: &ReleaseArgs) -> Result<String, JobError> {
    let Some(agent) = agent(&args.agent, &args.bugs) else { return Ok(NOTHING.into()) };
    let held = agent.let_go()?;
    Ok(format!("the service has held still for {} ms", held.as_millis()))
}

/// Whom to ask.
fn agent(address: &str, bugs: &Bugs) -> Option<Agent> {
    (!bugs.has(Weakness::NoHold)).then(|| Agent::new(address))
}
