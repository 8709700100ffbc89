//! Ctrl-C and friends: the first asks for a rollback, the second does not wait for it.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::output;
use crate::{gameday, verdict::ExitCode};

/// Exit code of a process that was interrupted twice: the keeper rolls back by itself, and nobody
/// has seen yet that it did.
const IMPATIENT: i32 = ExitCode::RollbackIncomplete as i32;
const LEAVING: &str = "interrupted again: leaving the rollback to the helper; `keelhaul recover --list` shows what is left";
/// The last words may take so long.
const SAYING: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(5);

/// A token that the first signal cancels.
pub(super) fn interrupt() -> CancellationToken {
    let token = CancellationToken::new();
    tokio::spawn(watch(token.clone()));
    token
}

/// The same where nothing is rolled back: a signal only ends the wait.
pub(super) fn quiet() -> CancellationToken {
    let token = CancellationToken::new();
    let first = token.clone();
    tokio::spawn(async move {
        let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals.map(signal) else {
            return;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        first.cancel();
    });
    token
}

async fn watch(token: CancellationToken) {
    let signals =
        [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = signals else { return };
    let mut was_asked = false;
    loop {
        let asks = tokio::select! {
            _ = interrupt.recv() => true,
            _ = terminate.recv() => true,
            // a terminal that closes says so twice, by its shell and by the kernel, and nobody has asked again
            _ = hangup.recv() => false,
        };
        // said by another thread: a terminal that takes nothing more keeps nothing else waiting
        if asks && was_asked {
            let said = std::thread::spawn(|| {
                output::say(LEAVING);
                gameday::print_panics();
            });
            let patience = Instant::now() + SAYING;
            while !said.is_finished() && Instant::now() < patience {
                sleep(LOOK).await;
            }
            std::process::exit(IMPATIENT);
        }
        was_asked |= asks;
        if token.is_cancelled() {
            continue;
        }
        token.cancel();
        std::thread::spawn(|| output::say("interrupted: rolling back (again to leave at once)"));
    }
}
