//! Ctrl-C and friends: the first asks for a rollback, the second does not wait for it.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output;
use crate::verdict::ExitCode;

/// Exit code of a process that was interrupted twice: the keeper rolls back by itself, and nobody
/// has seen yet that it did.
const IMPATIENT: i32 = ExitCode::RollbackIncomplete as i32;

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
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if token.is_cancelled() {
            output::say(
                "interrupted again: leaving the rollback to the helper; `keelhaul recover --list` shows what is left",
            );
            std::process::exit(IMPATIENT);
        }
        output::say("interrupted: rolling back (again to leave at once)");
        token.cancel();
    }
}
