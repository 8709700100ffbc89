//! Attempts of operations that rules may strike: made until one is hit, side by side where they may
//! hang, and given up when one does not come back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::protocol::{IoOp, TriedOp};

/// All attempts of an operation together, where each comes back in time, may take so much longer.
const BUDGET: Duration = Duration::from_secs(3);

/// How far the attempts have come.
#[derive(Debug)]
pub(super) struct Progress(Mutex<(u64, Instant)>);

impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new((0, Instant::now())))
    }
}

impl Progress {
    fn now(&self) -> MutexGuard<'_, (u64, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next attempt: its number, and when it began.
    fn begin(&self) -> (u64, Instant) {
        let mut now = self.now();
        *now = (now.0 + 1, Instant::now());
        *now
    }

    fn attempts(&self) -> u64 {
        self.now().0
    }

    /// For how long this attempt has been under way.
    fn under_way(&self) -> Duration {
        self.now().1.elapsed()
    }
}

/// When attempts end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until {
    /// After so many.
    pub(super) most: u64,
    /// With one that takes this many microseconds, or fails.
    pub(super) slow_us: u64,
}

impl Until {
    /// Attempts an operation until it is hit.
    pub(super) fn hit(
        self,
        op: IoOp,
        progress: &Progress,
        mut attempt: impl FnMut() -> Result<(), Errno>,
    ) -> TriedOp {
        loop {
            let (attempts, started) = progress.begin();
            let done = attempt();
            let took_us = micros(started.elapsed());
            let hit = done.is_err() || took_us >= self.slow_us;
            if hit || attempts >= self.most {
                let errno = done.err().map(name_of);
                return TriedOp { op, attempts, hit, errno, took_us, hung: false };
            }
        }
    }
}

/// Tries operations side by side, and gives those up of which one attempt is not back in this time:
/// their threads end with the process, if they do not before.
pub(super) fn side_by_side(
    ops: &[IoOp],
    time: Duration,
    try_it: impl Fn(IoOp, &Progress) -> TriedOp + Clone + Send + 'static,
) -> Vec<TriedOp> {
    let end = Instant::now() + time + BUDGET;
    let begin = |op: &IoOp| {
        let (try_it, op) = (try_it.clone(), *op);
        let (answer, answered) = mpsc::channel();
        let progress = Arc::new(Progress::default());
        let noted = Arc::clone(&progress);
        // one that is not there answers nobody
        std::thread::spawn(move || drop(answer.send(try_it(op, &noted))));
        (op, answered, progress)
    };
    let under_way: Vec<_> = ops.iter().map(begin).collect();
    let wait_for = |(op, answered, progress): (IoOp, mpsc::Receiver<TriedOp>, Arc<Progress>)| {
        loop {
            let under_way = progress.under_way();
            let left = time.saturating_sub(under_way).min(end - Instant::now().min(end));
            if let Ok(tried) = answered.recv_timeout(left) {
                return tried;
            }
            let (attempts, under_way) = (progress.attempts(), progress.under_way());
            let hung = under_way >= time;
            if hung || Instant::now() >= end {
                let took_us = micros(under_way);
                return TriedOp { op, attempts, hit: hung, errno: None, took_us, hung };
            }
        }
    };
    under_way.into_iter().map(wait_for).collect()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// As users write it.
#[must_use]
pub fn name_of(errno: Errno) -> String {
    let errno = super::errno::Errno::from(errno);
    errno.name().map_or_else(|| errno.0.to_string(), str::to_owned)
}
