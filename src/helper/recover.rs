//! Bringing the host back to what it was after a run that nobody lives to end.
//!
//! Finds runs by their label at the engine, tells dead ones from live ones, starts a helper on what
//! a dead one has left, which replays its journal, and removes what still carries its label; the
//! run's own volume last. Done twice, the second time changes nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::{
    HelperError, HelperLink as _, Result,
    client::{ContainerLauncher, Helper, Launcher as _, refused},
};
use crate::{
    protocol::{RollbackReport, Undone},
    runtime::{Docker, ObjectKind, ObjectRef, PROGRAM, RUN_DIRECTORY, Runtime as _, labels},
};

/// A lease that is older than this is not being renewed: expiry and some slack.
const STALE: Duration = Duration::from_millis(2500);
/// How long a keeper may take to say how old its lease is.
const LOOK: Duration = Duration::from_secs(10);
/// How long a keeper that is reverting by itself gets to come to its end.
const ENDING: Duration = Duration::from_secs(5);

/// How often a named run is looked for, and the pause between.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// A run that has left something, or is going on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Its id.
    pub run: String,
    /// Its lease is being renewed: it is somebody's, and is left alone.
    pub live: bool,
    /// It was kept on purpose: nothing but its own name recovers it.
    pub kept: bool,
    /// What it has at the engine.
    pub objects: Vec<ObjectRef>,
}

/// What a recovery came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recovered {
    /// The run.
    pub run: String,
    /// Entries that were undone, or could not be.
    pub undone: Vec<Undone>,
    /// What was removed at the engine.
    pub removed: Vec<ObjectRef>,
    /// What could not be done, and why; empty when nothing is left.
    pub problems: Vec<String>,
}

/// Every run that has something at the engine.
///
/// # Errors
/// When the engine does not answer.
pub async fn list(docker: &Docker) -> Result<Vec<RunState>> {
    let mut runs: BTreeMap<String, Vec<ObjectRef>> = BTreeMap::new();
    for object in docker.all_objects().await.map_err(refused)? {
        // an image may outlive its run and serve the next one
        if object.kind != ObjectKind::Image {
            runs.entry(object.run.clone()).or_default().push(object);
        }
    }
    let mut states = Vec::new();
    for (run, objects) in runs {
        let live = is_live(docker, &objects).await;
        let kept = !live && objects.iter().any(|object| object.role == labels::ROLE_KEPT);
        states.push(RunState { run, live, kept, objects });
    }
    Ok(states)
}

/// A run lives while the keeper in one of its containers has a fresh lease. The keeper's own
/// container is asked, so that the clock is that of the engine's host.
async fn is_live(docker: &Docker, objects: &[ObjectRef]) -> bool {
    let command = [PROGRAM, "helper-lease", RUN_DIRECTORY].map(str::to_owned);
    for helper in objects.iter().filter(|object| is_helper(object)) {
        let Ok(output) = docker.exec(&helper.id, &command, LOOK).await else { continue };
        let age = output.stdout.trim().parse().map(Duration::from_millis);
        if age.is_ok_and(|age| age <= STALE) {
            return true;
        }
    }
    false
}

fn is_helper(object: &ObjectRef) -> bool {
    object.kind == ObjectKind::Container && object.role == labels::ROLE_HELPER
}

/// Recovers every run that is neither live nor kept on purpose.
///
/// # Errors
/// When the engine does not answer.
pub async fn recover_all(docker: Arc<Docker>) -> Result<Vec<Recovered>> {
    recover_dead(&docker, |_| true).await
}

/// Removes the journals of runs that have nothing else left: what a keeper that reverted by itself
/// could not remove, because it was using it.
///
/// # Errors
/// When the engine does not answer.
pub async fn sweep(docker: Arc<Docker>) -> Result<Vec<Recovered>> {
    let journal = |object: &ObjectRef| object.role == labels::ROLE_JOURNAL;
    recover_dead(&docker, |state| state.objects.iter().all(journal)).await
}

async fn recover_dead(
    docker: &Arc<Docker>,
    wanted: impl Fn(&RunState) -> bool,
) -> Result<Vec<Recovered>> {
    let mut dead = list(docker).await?;
    dead.retain(|state| !state.live && !state.kept && wanted(state));
    if dead.is_empty() {
        return Ok(Vec::new());
    }
    // a run that has just begun has a volume before it has a lease: it has one by now
    sleep(STALE).await;
    let now = list(docker).await?;
    let mut recovered = Vec::new();
    for state in now.into_iter().filter(|state| !state.live && !state.kept && wanted(state)) {
        if dead.iter().any(|earlier| earlier.run == state.run) {
            recovered.push(recover_state(docker, state).await?);
        }
    }
    Ok(recovered)
}

/// Recovers one run. `force`: also a live one.
///
/// # Errors
/// When the run is live, or the engine does not answer. A run of which nothing is left is fine.
pub async fn recover(docker: Arc<Docker>, run: &str, force: bool) -> Result<Recovered> {
    let mut looks = 0;
    let state = loop {
        let found = list(&docker).await?.into_iter().find(|state| state.run == run);
        looks += 1;
        if looks == LOOKS {
            break found;
        }
        match &found {
            // somebody died a moment ago, or is alive: the lease will tell
            Some(state) if state.live && !force => sleep(STALE).await,
            Some(_) => break found,
            // an engine that is removing something else may leave a volume out of a list
            None => sleep(PAUSE).await,
        }
    };
    let Some(state) = state else { return Ok(Recovered::nothing(run)) };
    if state.live && !force {
        return Err(HelperError::Refused(format!(
            "run `{run}` is still going on\n\nhint: end it, or recover it all the same with --force"
        )));
    }
    recover_state(&docker, state).await
}

impl Recovered {
    fn nothing(run: &str) -> Self {
        Self { run: run.to_owned(), undone: vec![], removed: vec![], problems: vec![] }
    }
}

async fn recover_state(docker: &Arc<Docker>, state: RunState) -> Result<Recovered> {
    let mut recovered = Recovered::nothing(&state.run);
    stop_helpers(docker, &state).await;
    let has_volume = |object: &ObjectRef| {
        object.kind == ObjectKind::Volume && object.role == labels::ROLE_JOURNAL
    };
    let mut helper = None;
    if state.objects.iter().any(has_volume) {
        match replay(docker, &state.run).await {
            Ok((started, report)) => {
                recovered.undone = report.undone;
                helper = Some(started);
            }
            Err(error) => recovered.problems.push(error.to_string()),
        }
    }
    remove_leftovers(docker, &state.run, &mut recovered).await?;
    if let Some(helper) = helper {
        end(helper, &mut recovered).await;
    }
    for object in docker.objects(&state.run).await.map_err(refused)? {
        if object.kind != ObjectKind::Image {
            recovered.problems.push(format!("`{}` is left", object.name));
        }
    }
    Ok(recovered)
}

/// The journal goes last, and only when it has nothing more to say.
async fn end(helper: Helper, recovered: &mut Recovered) {
    let incomplete = |undone: &Undone| !undone.problems.is_empty() || !undone.pending.is_empty();
    if recovered.undone.iter().any(incomplete) {
        // what lay under containers can go now that they are gone
        match helper.rollback().await {
            Ok(report) => {
                recovered.undone.retain(|undone| !incomplete(undone));
                recovered.undone.extend(report.undone);
            }
            Err(error) => recovered.problems.push(error.to_string()),
        }
    }
    for undone in &recovered.undone {
        recovered.problems.extend(undone.problems.iter().cloned());
        recovered.problems.extend(undone.pending.iter().map(|op| format!("still to do: {op:?}")));
    }
    if !recovered.problems.is_empty() {
        helper.abandon();
    } else if let Err(error) = helper.finish().await {
        recovered.problems.push(error.to_string());
    }
}

/// A keeper that has lost its lease is on its way out by itself; one that hangs is removed.
async fn stop_helpers(docker: &Docker, state: &RunState) {
    for helper in state.objects.iter().filter(|object| is_helper(object)) {
        let gone = async {
            while docker.inspect(&helper.id).await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let hangs = state.live || timeout(ENDING, gone).await.is_err();
        if hangs && let Err(error) = docker.remove(helper).await {
            tracing::warn!(%error, "a helper of an earlier run could not be removed");
        }
    }
}

/// A new helper on an old journal, and everything undone.
async fn replay(docker: &Arc<Docker>, run: &str) -> Result<(Helper, RollbackReport)> {
    let launcher = Arc::new(ContainerLauncher::on(Arc::clone(docker), run).await?);
    let engine = Arc::clone(docker);
    let started = Helper::launch(Arc::clone(&launcher) as _, Some(engine), true).await;
    let helper = match started {
        Ok(helper) => helper,
        Err(error) => {
            launcher.dispose().await;
            return Err(error);
        }
    };
    let report = helper.rollback().await?;
    Ok((helper, report))
}

/// Whatever still carries the run's label, but the helper and its volume.
async fn remove_leftovers(docker: &Docker, run: &str, recovered: &mut Recovered) -> Result<()> {
    let mut objects = docker.objects(run).await.map_err(refused)?;
    objects.retain(|object| {
        object.kind != ObjectKind::Image
            && ![labels::ROLE_HELPER, labels::ROLE_JOURNAL].contains(&object.role.as_str())
    });
    for kind in [ObjectKind::Container, ObjectKind::Network, ObjectKind::Volume] {
        for object in objects.iter().filter(|object| object.kind == kind) {
            match docker.remove(object).await {
                Ok(()) => recovered.removed.push(object.clone()),
                Err(error) => recovered.problems.push(error.to_string()),
            }
        }
    }
    Ok(())
}
