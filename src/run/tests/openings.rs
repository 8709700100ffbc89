//! A helper that does not come to be: what its start has left is ended, or named.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, pending, ready};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::bench::cases;
use crate::{
    run::{
        Recorder,
        suite::{self, OpenStage, Options, Stages, Unopened},
    },
    verdict::{Ending, ExitCode},
};

const CASE: &str = "keelhaul: 1
name: t
services: { agent: { image: app } }
steps: [{ wait: 1s }]
";

type End = fn() -> BoxFuture<'static, Result<(), String>>;

/// A start that never ends, or fails.
struct Stuck {
    fails: bool,
    end: End,
}

impl Stages for Stuck {
    fn open(&self, _: usize) -> BoxFuture<'_, Result<OpenStage, String>> {
        if self.fails { ready(Err("no start".into())).boxed() } else { pending().boxed() }
    }

    fn unopened(&self, _: usize) -> Option<Unopened> {
        Some(Unopened { run: "r0".into(), end: (self.end)() })
    }
}

/// Exit code, and what was said; interrupted after a second.
async fn open(fails: bool, end: End) -> (ExitCode, String) {
    let options = Options {
        jobs: 1,
        retries: 0,
        max_time: None,
        require: false,
        keep: false,
        hold: false,
        trace_io: false,
        again: None,
    };
    let (recorder, interrupt) = (Recorder::new(None, Vec::new()), CancellationToken::new());
    let user = interrupt.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(1)).await;
        user.cancel();
    });
    let started = Instant::now();
    let stages = Stuck { fails, end };
    let (verdict, ending) = suite::run(cases(CASE), options, &stages, &recorder, &interrupt).await;
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
    let ending: Ending = ending;
    (ExitCode::of(verdict, ending), recorder.record().notes.join("\n"))
}

#[tokio::test(start_paused = true)]
async fn an_opening_that_is_interrupted_is_ended_or_named() {
    let (exit, said) = open(false, || ready(Ok(())).boxed()).await;
    assert_eq!(exit, ExitCode::Interrupted, "{said}");
    let left: [End; 2] = [|| ready(Err("`v` is left".into())).boxed(), || pending().boxed()];
    for end in left {
        let (exit, said) = open(false, end).await;
        assert_eq!(exit, ExitCode::RollbackIncomplete, "{said}");
        assert!(said.contains("`keelhaul recover r0`"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_opening_that_fails_and_leaves_something_is_named() {
    let (exit, said) = open(true, || ready(Ok(())).boxed()).await;
    assert_eq!((exit, said.as_str()), (ExitCode::Error, "no start"));
    let (exit, said) = open(true, || ready(Err("`v` is left".into())).boxed()).await;
    assert_eq!(exit, ExitCode::RollbackIncomplete, "{said}");
    assert!(said.contains("`v` is left; `keelhaul recover r0` finishes it"), "{said}");
}
