//! Starts what has ended and what nothing else starts, as whoever runs it would: what a service depends
//! on before it, and with a pause after a start that did not help.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{
    dependencies,
    setup::container_name,
    site::{container_ended, refresh},
    world::World,
};
use crate::{protocol::EngineOp, runtime::RestartPolicy, scenario::Service};

/// Between two looks at a container.
const EVERY: Duration = Duration::from_millis(200);

/// After each start of a service, before the next; one that ends again and again is not helped by more.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// How the note of a start ends.
pub(crate) const STARTED_AGAIN: &str = "was started again: `start: true`";

/// After a start that the engine refused, which is none: what it needs may not be free yet.
const REFUSED: Duration = Duration::from_secs(1);

/// What was done for a service.
#[derive(Default)]
struct Starts {
    done: usize,
    /// It is let alone until then.
    pause: Option<Instant>,
    /// Its refusal was told.
    told: bool,
}

/// Does so, each time with a note, until nobody waits any more. A start that is under way comes to
/// its end: nobody would tell of it otherwise.
pub(super) async fn what_ended(world: &World, over: &CancellationToken) {
    let mut starts: BTreeMap<&str, Starts> = BTreeMap::new();
    while !over.is_cancelled() {
        for (name, service) in left_alone(world) {
            let before = starts.entry(name).or_default();
            if before.is_due() && !over.is_cancelled() {
                look(world, (name, service), before).await;
            }
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = over.cancelled() => {}
        }
    }
}

/// Services that are the run's own, stay, and have no restart policy.
fn left_alone(world: &World) -> impl Iterator<Item = (&str, &Service)> {
    let scenario = &world.case.scenario;
    let own = |name: &str| !world.case.attached.contains_key(name) && !scenario.is_job(name);
    let all = scenario.services.iter();
    let left = all.filter(move |(name, one)| one.restart == RestartPolicy::No && own(name));
    left.map(|(name, one)| (name.as_str(), one))
}

impl Starts {
    fn is_due(&self) -> bool {
        self.done <= PAUSES.len() && self.pause.is_none_or(|until| Instant::now() >= until)
    }
}

/// Starts it where it has ended and what it needs is there.
async fn look(world: &World, (name, service): (&str, &Service), starts: &mut Starts) {
    let container = container_name(world, name);
    let Some(why) = container_ended(world, name, &container).await else { return };
    if !dependencies::are_there(world, service).await {
        return;
    }
    let pause = match world.runtime.perform(&EngineOp::Start { container }).await {
        Ok(()) => {
            refresh(world, name).await;
            world.note(format!("{why}, and {STARTED_AGAIN}"));
            starts.done += 1;
            PAUSES.get(starts.done - 1).copied().unwrap_or_default()
        }
        Err(error) => {
            if !std::mem::replace(&mut starts.told, true) {
                world.note(format!("{why}, and could not be started again: {error}"));
            }
            REFUSED
        }
    };
    starts.pause = Instant::now().checked_add(pause);
}
