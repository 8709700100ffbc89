//! Ctrl-C, and how much time everything after it may take. Decides nothing else.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::host::pressure::{Waited, excuse};

/// A step in progress may end by itself: dropping an act half-way leaves its outcome unknown.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Faults are reverted one by one, with proof; what is left after this goes with the rollback.
pub(super) const REVERTS: Duration = Duration::from_secs(2);

/// Logs of subjects are worth no more.
pub(super) const LOGS: Duration = Duration::from_millis(2500);

/// The rollback; what it leaves is named with the command that finishes it.
pub(super) const ROLLBACK: Duration = Duration::from_millis(4000);

/// The end of the helper. Reports are written within the rest of the five seconds.
pub(super) const CLOSE: Duration = Duration::from_millis(4600);

/// How much longer each may take where tasks of this machine wait for a processor or a disk: what is
/// cut off has to be finished by hand.
const EXCUSED: Duration = Duration::from_secs(8);

/// The user's wish to end, shared by everything that runs.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    token: CancellationToken,
    since: Arc<OnceLock<(Instant, Option<Waited>)>>,
    _clock: Arc<AbortOnDropHandle<()>>,
}

impl Interrupt {
    /// The clock starts with the user's wish, whatever is being done then.
    pub(super) fn new(token: CancellationToken) -> Self {
        let since = Arc::new(OnceLock::new());
        let (wish, clock) = (token.clone(), Arc::clone(&since));
        let task = tokio::spawn(async move {
            wish.cancelled().await;
            clock.get_or_init(now);
        });
        Self { token, since, _clock: Arc::new(AbortOnDropHandle::new(task)) }
    }

    /// A token that is cancelled by the user, and can be cancelled by others.
    pub(super) fn child(&self) -> CancellationToken {
        self.token.child_token()
    }

    pub(super) fn came(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits for `work`, at most `limit`; once the user has interrupted, at most until `after` from
    /// then on. None when it was cut off.
    pub(super) async fn bound<T>(
        &self,
        limit: Duration,
        after: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let hurried = async {
            self.token.cancelled().await;
            // the clock's own task may not have had its turn yet
            let (since, waited) = *self.since.get_or_init(now);
            let mut end = since + after;
            while Instant::now() < end {
                sleep_until(end).await;
                end = since + after + whole(excuse(waited, EXCUSED));
            }
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = sleep(limit) => None,
            () = hurried => None,
        }
    }
}

fn now() -> (Instant, Option<Waited>) {
    (Instant::now(), Waited::now())
}

/// A machine that is busy for a moment is not busy.
fn whole(excuse: Duration) -> Duration {
    Duration::from_secs(excuse.as_secs())
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn limits_after_an_interrupt_count_from_the_interrupt() {
        let token = CancellationToken::new();
        let interrupt = Interrupt::new(token.clone());
        let start = Instant::now();
        assert_eq!(interrupt.bound(LOGS, LOGS, async { 1 }).await, Some(1));
        assert_eq!(interrupt.bound(LOGS, LOGS, pending::<()>()).await, None);
        assert!(start.elapsed() >= LOGS && start.elapsed() < REVERTS * 2);
        token.cancel();
        let start = Instant::now();
        let long = Duration::from_secs(60);
        for after in [REVERTS, REVERTS, ROLLBACK, CLOSE] {
            assert_eq!(interrupt.bound(long, after, pending::<()>()).await, None);
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_nobody_bounded_counts_too() {
        let token = CancellationToken::new();
        let interrupt = Interrupt::new(token.clone());
        let start = Instant::now();
        token.cancel();
        sleep(GRACE).await;
        let long = Duration::from_secs(60);
        assert_eq!(interrupt.bound(long, REVERTS, pending::<()>()).await, None);
        assert_eq!(start.elapsed(), REVERTS);
    }
}
