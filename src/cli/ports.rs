//! Which of the ports that a container declares it serves: an image exposes more than that.

use crate::{
    host::listening,
    runtime::{Choices, Docker, Runtime as _},
    starter::Ports,
};

/// What is published is meant to be served. What is only exposed is, where somebody listens now; of a
/// container of another host than this nobody here knows.
pub(super) async fn of(docker: &Docker, choices: &Choices) -> anyhow::Result<Ports> {
    let all = choices.ports.clone();
    if choices.published {
        return Ok(Ports { served: all, declared: Vec::new() });
    }
    if !choices.running {
        return Ok(Ports { served: Vec::new(), declared: all });
    }
    let pid = docker.inspect(&choices.id).await?.pid;
    let listening = listening::ports(&choices.id, Some(pid)).unwrap_or_default();
    let (served, declared) = all.into_iter().partition(|port| listening.contains(port));
    Ok(Ports { served, declared })
}
