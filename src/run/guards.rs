//! What may end the steps of a case before their time: its timeout, a lost helper, stop conditions,
//! and a container of somebody else's that is removed.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{
    event::Phase,
    world::{Stop, World},
};
use crate::runtime::RuntimeError;

/// Time between readings of the stop conditions, and between looks at containers.
const STOP_EVERY: Duration = Duration::from_secs(1);

/// Tasks that end with this value.
pub(super) struct Guards {
    _lost: AbortOnDropHandle<()>,
    _conditions: AbortOnDropHandle<()>,
    _attached: AbortOnDropHandle<()>,
}

impl Guards {
    /// Watches the helper, the stop conditions, and the containers that the run did not make.
    pub(super) fn start(world: &Arc<World>) -> Self {
        let lost = spawn(world, |world| async move {
            let why = world.helper.lost().await;
            world.stop(Stop::HelperLost(why));
        });
        let conditions = spawn(world, watch_stop_conditions);
        let attached = spawn(world, watch_attached);
        Self { _lost: lost, _conditions: conditions, _attached: attached }
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

/// Whoever owns them may deploy anew at any time: what is asserted from then on is of no container.
async fn watch_attached(world: Arc<World>) {
    while !world.case.attached.is_empty() {
        sleep(STOP_EVERY).await;
        if matches!(world.phase(), Phase::Rollback | Phase::Verify | Phase::TearDown) {
            return;
        }
        for (service, facts) in world.as_found() {
            if let Err(RuntimeError::Gone { .. }) = world.runtime.inspect(&facts.id).await {
                return world.stop(Stop::Removed(service));
            }
        }
    }
}

async fn watch_stop_conditions(world: Arc<World>) {
    if world.case.scenario.stop_when.is_empty() {
        return;
    }
    let mut ticks = interval(STOP_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut blind = vec![false; world.case.scenario.stop_when.len()];
    loop {
        ticks.tick().await;
        match world.phase() {
            Phase::SetUp => continue,
            Phase::SteadyState | Phase::Steps => {}
            Phase::Rollback | Phase::Verify | Phase::TearDown => return,
        }
        for (item, blind) in world.case.scenario.stop_when.iter().zip(&mut blind) {
            match world.read_alongside(&item.probe).await {
                Ok(sample) if sample.holds() => {
                    let what = format!("{}: {}", item.probe.describe(), sample.observed);
                    return world.stop(Stop::Condition(what));
                }
                Ok(_) => *blind = false,
                // once for as long as it lasts: a guard that sees nothing stops nothing
                Err(error) if !std::mem::replace(blind, true) => world.note(format!(
                    "`stop_when` cannot be read, and stops nothing meanwhile: {}: {error}",
                    item.probe.describe()
                )),
                Err(_) => {}
            }
        }
    }
}
