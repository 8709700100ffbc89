//! The processes of a container: which there are, and the op that ends its init from the host.

use std::fs;

use super::{
    super::HelperError,
    context::Done,
    place::{find_init, short},
};
use crate::{
    host::{container_process::container_processes, process::Identity},
    protocol::{Init, Outcome, Place, ProcessFacts},
};

/// Kills this very init, and with it every process of its container; refuses another one.
pub(super) fn kill_init(place: &Place, init: Init) -> Done {
    let meant = Identity::from(init);
    if find_init(place)? != Some(meant) {
        let container = short(&place.container);
        return Err(HelperError::Refused(format!(
            "the init of container `{container}` is no longer process {}",
            meant.pid
        )));
    }
    meant.signal(libc::SIGKILL)?;
    Ok(Outcome::Done)
}

/// What runs in a container; one that has ended since it was seen is left out.
pub(super) fn processes(place: &Place) -> Result<Vec<ProcessFacts>, HelperError> {
    let found = container_processes(&place.container)?.into_iter();
    Ok(found.filter_map(facts).collect())
}

fn facts(process: Identity) -> Option<ProcessFacts> {
    let line = fs::read(process.proc_path("cmdline")).ok()?;
    let command = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
    // last, since it checks that it is still the same process
    let oom_score = process.oom_score().ok()?;
    Some(ProcessFacts { process: process.into(), command, oom_score })
}
