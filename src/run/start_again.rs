//! Starts what has ended and what nothing else starts, as whoever runs it would.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use tokio::time::sleep;

use super::{
    setup::container_name,
    site::{container_ended, refresh},
    world::World,
};
use crate::{protocol::EngineOp, runtime::RestartPolicy};

/// Between two looks at a container.
const EVERY: Duration = Duration::from_millis(200);

/// One that ends again and again is not helped by one more start.
const MOST: u32 = 3;

/// Does so, each time with a note, until it is dropped.
pub(super) async fn what_ended(world: &World) -> Infallible {
    let mut starts: BTreeMap<&str, u32> = BTreeMap::new();
    loop {
        for service in left_alone(world) {
            let count = starts.entry(service).or_default();
            if *count == MOST {
                continue;
            }
            let container = container_name(world, service);
            if let Some(why) = container_ended(world, service, &container).await {
                *count += 1;
                start(world, service, container, &why).await;
            }
        }
        sleep(EVERY).await;
    }
}

/// Services that are the run's own, stay, and have no restart policy.
fn left_alone(world: &World) -> impl Iterator<Item = &str> {
    let scenario = &world.case.scenario;
    let own = |name: &str| !world.case.attached.contains_key(name) && !scenario.is_job(name);
    let all = scenario.services.iter();
    let left = all.filter(move |(name, one)| one.restart == RestartPolicy::No && own(name));
    left.map(|(name, _)| name.as_str())
}

async fn start(world: &World, service: &str, container: String, why: &str) {
    match world.runtime.perform(&EngineOp::Start { container }).await {
        Ok(()) => {
            refresh(world, service).await;
            world.note(format!("{why}, and was started again: `start: true`"));
        }
        Err(error) => world.note(format!("{why}, and could not be started again: {error}")),
    }
}
