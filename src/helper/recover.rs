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
    client::{ContainerLauncher, Helper, refused},
};
use crate::{
    protocol::{RollbackReport, Undone},
    runtime::{
        Docker, ObjectKind, ObjectRef, PROGRAM, RUN_DIRECTORY, Runtime, RuntimeError, labels,
    },
};

/// A lease that is older than this is not being renewed: expiry and some slack.
pub const STALE: Duration = Duration::from_millis(2500);
/// A run may take so long from its volume to its lease: the engine may be busy.
const BEGINNING: Duration = Duration::from_secs(30);
/// How long a keeper may take to say how old its lease is.
const LOOK: Duration = Duration::from_secs(10);
/// How long a keeper that is reverting by itself gets to come to its end.
const ENDING: Duration = Duration::from_secs(5);

/// How often a named run is looked for, and the pause between.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// How often in all what is left of a run is gone through.
const PASSES: u32 = 2;

/// A run that has left something, or is going on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// Its id.
    pub run: String,
    /// Its lease is being renewed, or nobody can tell: it is somebody's, and is left alone.
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

/// The same, but looks again for a while until `there` says that what is looked for is among them: an
/// engine that is removing something else may leave a volume out of a list.
///
/// # Errors
/// When the engine does not answer.
pub async fn list_until(
    docker: &Docker,
    there: impl Fn(&[RunState]) -> bool,
) -> Result<Vec<RunState>> {
    for _ in 1..LOOKS {
        let states = list(docker).await?;
        if there(&states) {
            return Ok(states);
        }
        sleep(PAUSE).await;
    }
    list(docker).await
}

/// A run lives while the keeper in one of its containers has a fresh lease. The keeper's own
/// container is asked, so that the clock is that of the engine's host.
async fn is_live(docker: &Docker, objects: &[ObjectRef]) -> bool {
    let command = [PROGRAM, "helper-lease", RUN_DIRECTORY].map(str::to_owned);
    for helper in objects.iter().filter(|object| is_helper(object)) {
        let told = docker.exec(&helper.id, &command, LOOK).await;
        if shows_life(told.as_ref().map(|output| output.stdout.as_str())) {
            return true;
        }
    }
    false
}

/// What a keeper's container says of its lease. An engine too busy to ask it says nothing of it.
fn shows_life(told: std::result::Result<&str, &RuntimeError>) -> bool {
    match told {
        Ok(text) => text.trim().parse().is_ok_and(|age| Duration::from_millis(age) <= STALE),
        Err(RuntimeError::Timeout { .. }) => true,
        Err(_) => false,
    }
}

fn is_helper(object: &ObjectRef) -> bool {
    object.kind == ObjectKind::Container && object.role == labels::ROLE_HELPER
}

/// Recovers every run that is neither live nor kept on purpose.
///
/// # Errors
/// When the engine does not answer.
pub async fn recover_all(docker: Arc<Docker>) -> Result<Vec<Recovered>> {
    recover_dead(&docker, Young::Await, |_| true).await
}

/// Removes the journals of runs that have nothing else left: what a keeper that reverted by itself
/// could not remove, because it was using it.
///
/// # Errors
/// When the engine does not answer.
pub async fn sweep(docker: Arc<Docker>) -> Result<Vec<Recovered>> {
    let journal = |object: &ObjectRef| object.role == labels::ROLE_JOURNAL;
    recover_dead(&docker, Young::Leave, |state| state.objects.iter().all(journal)).await
}

/// What is done with a run that may be about to begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Young {
    /// Wait until it must have a lease.
    Await,
    /// Leave it to the next one who looks.
    Leave,
}

async fn recover_dead(
    docker: &Arc<Docker>,
    young: Young,
    wanted: impl Fn(&RunState) -> bool,
) -> Result<Vec<Recovered>> {
    let dead = |state: &RunState| !state.live && !state.kept && wanted(state);
    let mut earlier = Vec::new();
    let mut wait = STALE;
    for state in list(docker).await?.into_iter().filter(dead) {
        // it has a volume before it has a lease
        let begins = beginning(docker, &state).await?;
        if young == Young::Await || begins.is_zero() {
            wait = wait.max(begins);
            earlier.push(state.run);
        }
    }
    if earlier.is_empty() {
        return Ok(Vec::new());
    }
    // one that is ending is gone by then
    sleep(wait).await;
    let mut recovered = Vec::new();
    for state in list(docker).await?.into_iter().filter(dead) {
        if earlier.contains(&state.run) {
            recovered.push(recover_or_say(docker, state).await);
        }
    }
    Ok(recovered)
}

/// What keeps one run from being recovered is no reason to leave the others.
async fn recover_or_say(docker: &Arc<Docker>, state: RunState) -> Recovered {
    let run = state.run.clone();
    recover_state(docker, state).await.unwrap_or_else(|error| {
        let problems = vec![error.to_string()];
        Recovered { problems, ..Recovered::nothing(&run) }
    })
}

/// How much longer a run may take to its lease. It makes nothing else before: one that has more
/// than a helper had a lease.
async fn beginning(docker: &Docker, state: &RunState) -> Result<Duration> {
    let own = |object: &ObjectRef| object.role == labels::ROLE_JOURNAL || is_helper(object);
    let journal = state.objects.iter().find(|object| object.role == labels::ROLE_JOURNAL);
    match journal {
        Some(journal) if state.objects.iter().all(own) => {
            let age = docker.volume_age(&journal.name).await.map_err(refused)?;
            Ok(BEGINNING.saturating_sub(age))
        }
        _ => Ok(Duration::ZERO),
    }
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

/// What one pass could not do, another may: an engine refuses what it does a moment later, leaves a
/// volume out of a list while it removes others, and whoever else looks for dead runs may have a
/// helper on the journal.
async fn recover_state(docker: &Arc<Docker>, mut state: RunState) -> Result<Recovered> {
    let mut recovered = Recovered::nothing(&state.run);
    recover_once(docker, &state, &mut recovered).await?;
    for _ in 1..PASSES {
        if recovered.problems.is_empty() {
            break;
        }
        let problems = std::mem::take(&mut recovered.problems);
        tracing::warn!(run = state.run, problems = problems.join("; "), "recovering once more");
        if let Err(error) = recover_again(docker, &mut state, &mut recovered).await {
            recovered.problems.extend(problems.into_iter().chain([error.to_string()]));
        }
    }
    Ok(recovered)
}

/// Whoever else has a helper on the journal is left to end first.
async fn recover_again(
    docker: &Arc<Docker>,
    state: &mut RunState,
    recovered: &mut Recovered,
) -> Result<()> {
    sleep(PAUSE).await;
    state.live = false;
    state.objects = left(docker, &state.run).await?;
    if is_live(docker, &state.objects).await {
        sleep(STALE + ENDING).await;
        state.objects = left(docker, &state.run).await?;
    }
    recover_once(docker, state, recovered).await?;
    // without its journal nobody knows what became of what was not undone
    let replayed = |object: &ObjectRef| object.role == labels::ROLE_JOURNAL;
    if !state.objects.is_empty() && !state.objects.iter().any(replayed) {
        recovered.problems.extend(recovered.undone.iter().flat_map(|it| it.problems.clone()));
    }
    Ok(())
}

async fn recover_once(
    docker: &Arc<Docker>,
    state: &RunState,
    recovered: &mut Recovered,
) -> Result<()> {
    stop_helpers(docker, state).await;
    let has_volume = |object: &ObjectRef| {
        object.kind == ObjectKind::Volume && object.role == labels::ROLE_JOURNAL
    };
    let mut helper = None;
    if state.objects.iter().any(has_volume) {
        match replay(docker, &state.run).await {
            Ok((started, report)) => {
                // of an entry that an earlier pass could not undo, what this one says counts
                recovered.undone.retain(|old| report.undone.iter().all(|new| new.id != old.id));
                recovered.undone.extend(report.undone);
                helper = Some(started);
            }
            Err(error) => recovered.problems.push(error.to_string()),
        }
    }
    remove_leftovers(docker, &state.run, recovered).await?;
    if let Some(helper) = helper {
        end(helper, recovered).await;
    }
    for object in left(docker, &state.run).await? {
        recovered.problems.push(format!("`{}` is left", object.name));
    }
    Ok(())
}

/// What carries the run's label. An image may outlive its run and serve the next one.
async fn left(docker: &Docker, run: &str) -> Result<Vec<ObjectRef>> {
    let mut objects = docker.objects(run).await.map_err(refused)?;
    objects.retain(|object| object.kind != ObjectKind::Image);
    Ok(objects)
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
    let engine: Arc<dyn Runtime> = Arc::clone(docker) as _;
    let launch = || Helper::launch(Arc::clone(&launcher) as _, Some(Arc::clone(&engine)), true);
    let helper = match launch().await {
        // it reverts before it says who it is
        Err(HelperError::Lost(_)) => launch().await?,
        other => other?,
    };
    let report = match helper.rollback().await {
        // the keeper died of it, or beside it: another goes on where it ended
        Err(HelperError::Lost(_)) => helper.rollback().await?,
        other => other?,
    };
    Ok((helper, report))
}

/// Whatever still carries the run's label, but the helper and its volume.
async fn remove_leftovers(docker: &Docker, run: &str, recovered: &mut Recovered) -> Result<()> {
    let mut objects = left(docker, run).await?;
    objects.retain(|object| {
        ![labels::ROLE_HELPER, labels::ROLE_JOURNAL].contains(&object.role.as_str())
    });
    for kind in [ObjectKind::Container, ObjectKind::Network, ObjectKind::Volume] {
        for object in objects.iter().filter(|object| object.kind == kind) {
            match docker.remove(object).await {
                Ok(()) if recovered.removed.contains(object) => {}
                Ok(()) => recovered.removed.push(object.clone()),
                Err(error) => recovered.problems.push(error.to_string()),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use serde_json::json;

    use super::*;
    use crate::runtime::scripted::{self, ScriptedEngine};

    #[test]
    fn a_lease_that_cannot_be_asked_for_is_taken_for_a_fresh_one() {
        let slow = RuntimeError::Timeout { seconds: 10, doing: "running".into() };
        let gone = RuntimeError::Gone { what: "container", name: "h".into() };
        assert!(shows_life(Ok("12\n")) && shows_life(Err(&slow)));
        assert!(!shows_life(Ok("2600\n")) && !shows_life(Ok("none\n")) && !shows_life(Err(&gone)));
    }

    /// An engine with the journal of a run, made at this second, and nothing else but `more`.
    fn engine(second: u32, more: serde_json::Value) -> ScriptedEngine {
        let time = move |second| format!("2026-01-01T00:00:{second:02}Z");
        let made = |name: &str, role: &str, second| {
            let labels = json!({ "keelhaul.run": "r", "keelhaul.role": role });
            json!({ "Name": name, "Labels": labels, "CreatedAt": time(second), "Driver": "local",
                    "Mountpoint": "/m", "Scope": "local", "Options": {} })
        };
        let journal = made("keelhaul-r", labels::ROLE_JOURNAL, second);
        ScriptedEngine::start(move |asked| match asked {
            "GET /info" => scripted::json(&json!({ "SystemTime": time(40) })),
            "GET /volumes/keelhaul-r" => scripted::json(&journal),
            _ if asked.starts_with("GET /volumes?") => {
                scripted::json(&json!({ "Volumes": [journal] }))
            }
            _ if asked.starts_with("GET /networks") => scripted::json(&more),
            _ => scripted::json(&json!([])),
        })
    }

    async fn begins(engine: &ScriptedEngine) -> Duration {
        let client = engine.client();
        let states = list(&client).await.unwrap();
        beginning(&client, &states[0]).await.unwrap()
    }

    #[tokio::test]
    async fn a_run_with_a_young_volume_alone_may_be_about_to_begin() {
        assert_eq!(begins(&engine(35, json!([]))).await, Duration::from_secs(26));
        assert_eq!(begins(&engine(1, json!([]))).await, Duration::ZERO);
        let labels = json!({ "keelhaul.run": "r", "keelhaul.role": "network" });
        let network = json!([{ "Id": "n", "Name": "n", "Labels": labels }]);
        assert_eq!(begins(&engine(35, network)).await, Duration::ZERO);
    }

    #[tokio::test]
    async fn a_sweep_leaves_a_run_that_may_be_about_to_begin() {
        let engine = engine(35, json!([]));
        assert_eq!(sweep(Arc::new(engine.client())).await.unwrap(), []);
        assert_eq!(engine.asked("DELETE"), Vec::<String>::new());
    }

    #[tokio::test]
    async fn an_engine_that_fails_in_one_recovery_is_its_problem_alone() {
        let engine = ScriptedEngine::start(|_| scripted::refuse(500, "broken"));
        let state = RunState { run: "r".into(), live: false, kept: false, objects: vec![] };
        let recovered = recover_or_say(&Arc::new(engine.client()), state).await;
        assert_eq!(recovered.run, "r");
        assert!(recovered.problems[0].contains("broken"), "{recovered:?}");
    }

    #[tokio::test]
    async fn what_a_list_left_out_is_removed_all_the_same() {
        let (lists, gone) = (AtomicU32::new(0), AtomicBool::new(false));
        let labels = json!({ "keelhaul.run": "r", "keelhaul.role": "volume" });
        let data = json!({ "Name": "r-data", "Labels": labels, "Driver": "local",
                           "Mountpoint": "/m", "Scope": "local", "Options": {} });
        let engine = ScriptedEngine::start(move |asked| match asked {
            "DELETE /volumes/r-data" => {
                gone.store(true, Ordering::Relaxed);
                Some((204, String::new()))
            }
            _ if !asked.starts_with("GET /volumes?") => scripted::json(&json!([])),
            _ if lists.fetch_add(1, Ordering::Relaxed) == 0 || gone.load(Ordering::Relaxed) => {
                scripted::json(&json!({ "Volumes": [] }))
            }
            _ => scripted::json(&json!({ "Volumes": [data] })),
        });
        let state = RunState { run: "r".into(), live: false, kept: true, objects: vec![] };
        let recovered = recover_state(&Arc::new(engine.client()), state).await.unwrap();
        assert_eq!((recovered.problems, recovered.removed.len()), (vec![], 1));
        assert_eq!(engine.asked("DELETE").len(), 1);
    }
}
