//! What may end the steps of a case before their time: its timeout, a lost helper, stop conditions.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{
    event::Phase,
    world::{Stop, World},
};

/// Time between readings of the stop conditions.
const STOP_EVERY: Duration = Duration::from_secs(1);

/// Tasks that end with this value.
pub(super) struct Guards {
    _lost: AbortOnDropHandle<()>,
    _conditions: AbortOnDropHandle<()>,
}

impl Guards {
    /// Watches the helper and the stop conditions.
    pub(super) fn start(world: &Arc<World>) -> Self {
        let lost = spawn(world, |world| async move {
            let why = world.helper.lost().await;
            world.stop(Stop::HelperLost(why));
        });
        let conditions = spawn(world, watch_stop_conditions);
        Self { _lost: lost, _conditions: conditions }
    }

    /// Ends the case when this much time is over, as long as the value lives. Separate from the
    /// others: clean-up does not count, and a held case has no end.
    pub(super) fn timeout(world: &Arc<World>, left: Duration) -> AbortOnDropHandle<()> {
        spawn(world, move |world| async move {
            sleep(left).await;
            world.stop(Stop::Timeout);
        })
    }
}

fn spawn<F: Future<Output = ()> + Send + 'static>(
    world: &Arc<World>,
    work: impl FnOnce(Arc<World>) -> F,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(work(Arc::clone(world))))
}

async fn watch_stop_conditions(world: Arc<World>) {
    if world.case.scenario.stop_when.is_empty() {
        return;
    }
    let mut ticks = interval(STOP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match world.phase() {
            Phase::SetUp => continue,
            Phase::SteadyState | Phase::Steps => {}
            Phase::Rollback | Phase::Verify | Phase::TearDown => return,
        }
        for item in &world.case.scenario.stop_when {
            if let Ok(sample) = world.read_alongside(&item.probe).await
                && sample.holds()
            {
                let what = format!("{}: {}", item.probe.describe(), sample.observed);
                return world.stop(Stop::Condition(what));
            }
        }
    }
}
