//! The service manager: starts the engine, reaps whatever ends, and starts the engine again.

use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, thread, time::Duration};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{dockerd, furnish, say};

/// Before an engine that ended is started again; systemd's unit of it says two seconds.
const AGAIN: Duration = Duration::from_millis(500);
/// An engine stops its containers before it ends.
const STOPPING: Duration = Duration::from_secs(15);
/// Between two looks for children, when there are none.
const POLL: Duration = Duration::from_millis(50);

/// A process that ended.
type Ended = (Pid, ExitStatus);

/// Keeps an engine running until SIGTERM.
pub(super) fn run(args: &[String]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(keep(args))
}

async fn keep(args: &[String]) -> Result<(), String> {
    // as pid 1 the kernel delivers no signal without a handler
    let mut stop = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let (tell, mut ended) = mpsc::channel(64);
    thread::spawn(move || reap(&tell));
    loop {
        let child = dockerd::start(args)?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("no pid")?;
        thread::spawn(furnish::when_it_answers);
        let status = tokio::select! {
            status = end_of(pid, &mut ended) => status,
            _ = stop.recv() => {
                let _ = kill_process(pid, Signal::TERM);
                let _ = timeout(STOPPING, end_of(pid, &mut ended)).await;
                return Ok(());
            }
        };
        say(&format!("{}; again in {} ms", words(status), AGAIN.as_millis()));
        dockerd::clear_away();
        tokio::select! {
            () = sleep(AGAIN) => {}
            _ = stop.recv() => return Ok(()),
        }
    }
}

/// Waits for the end of one process among all that end.
async fn end_of(pid: Pid, ended: &mut mpsc::Receiver<Ended>) -> ExitStatus {
    loop {
        match ended.recv().await {
            Some((one, status)) if one == pid => return status,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

/// Whoever has lost their parent is ours to reap.
fn reap(tell: &mpsc::Sender<Ended>) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                let status = ExitStatus::from_raw(status.as_raw());
                if tell.blocking_send((pid, status)).is_err() {
                    return;
                }
            }
            _ => thread::sleep(POLL),
        }
    }
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_by_code_or_signal() {
        assert_eq!(words(ExitStatus::from_raw(9)), "ended by signal 9");
        assert_eq!(words(ExitStatus::from_raw(1 << 8)), "ended with code 1");
    }
}
