//! Faults with `for:`: the keeper reverts them by itself, whoever lives; here it is noticed, proven
//! and recorded. Only where the keeper could not, the revert is called from here.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::{
    event::Origin,
    injection::{Injection, ended_early},
    revert::{conclude, is_looked_for_again, lasting, leave},
    site::ended,
    starts,
    world::World,
};
use crate::{helper::Result, protocol::Undone};

/// The effect is looked for again this long before the time is up: later, and the look might meet
/// the revert.
const BEFORE: Duration = Duration::from_millis(400);

/// Between two questions to the keeper.
const EVERY: Duration = Duration::from_millis(50);

/// A keeper that has not reverted by then does not do its work.
const LATE: Duration = Duration::from_secs(5);

/// Follows a fault that expires until it is over; ends when dropped.
pub(super) fn follow(
    world: &Arc<World>,
    injection: &Arc<Injection>,
) -> Option<AbortOnDropHandle<()>> {
    let at = injection.expires?;
    let (world, injection) = (Arc::clone(world), Arc::clone(injection));
    Some(AbortOnDropHandle::new(tokio::spawn(async move {
        still_in_force(&world, &injection, at).await;
        sleep_until(at).await;
        expire(&world, &injection).await;
    })))
}

async fn still_in_force(world: &World, injection: &Injection, at: Instant) {
    // the first quarter of a short time is too early to say that it lasted
    sleep_until(at - BEFORE.min(at.saturating_duration_since(Instant::now()) / 4)).await;
    let over = injection.over.lock().await;
    if *over || !injection.proven || world.is_over() {
        return;
    }
    let started = Instant::now();
    // a look that does not come back in time may have met the revert: it says nothing
    let looked = timeout_at(at, async {
        starts::outlived(world, injection).await?;
        if !is_looked_for_again(injection) || ended(world, &injection.site).await.is_some() {
            return Ok(());
        }
        lasting(world, injection).await
    });
    if let Ok(Err(why)) = looked.await
        && ended(world, &injection.site).await.is_none()
        && Instant::now() < at
    {
        ended_early(world, injection, &why, started);
    }
}

async fn expire(world: &World, injection: &Injection) {
    let mut over = injection.over.lock().await;
    if *over {
        return;
    }
    let started = Instant::now();
    leave(world, injection, Origin::Expiry);
    let undone = match by_keeper(world, injection).await {
        Some(undone) if undone.problems.is_empty() && undone.pending.is_empty() => Ok(undone),
        // what it could not do without the engine is done from here
        Some(_) => world.helper.revert(injection.entry).await,
        None => by_force(world, injection).await,
    };
    let gone = conclude(world, injection, Origin::Expiry, undone, started).await;
    *over = gone.is_over(world);
}

/// Waits until the keeper says that it has reverted the entry.
async fn by_keeper(world: &World, injection: &Injection) -> Option<Undone> {
    let end = Instant::now() + LATE;
    while Instant::now() < end {
        if let Ok(told) = world.helper.expired().await
            && let Some(undone) = world.take_expired(told, injection.entry)
        {
            return Some(undone);
        }
        sleep(EVERY).await;
    }
    None
}

async fn by_force(world: &World, injection: &Injection) -> Result<Undone> {
    let mut undone = world.helper.revert(injection.entry).await?;
    undone.problems.push("the keeper did not revert it when its time was up".into());
    Ok(undone)
}
