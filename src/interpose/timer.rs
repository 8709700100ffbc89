//! Operations that wait: a queue by time, and a few threads that do what is due.
//!
//! Whoever delays an operation puts it here and serves the next one. A thread that slept instead
//! would delay all that come behind it.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// What is done when its time has come.
type Work = Box<dyn FnOnce() + Send>;

/// Threads that do what is due: it may wait for a disk.
const THREADS: usize = 4;

struct Job {
    /// When, and in which order of those at the same time.
    at: (Instant, u64),
    work: Work,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Job {}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

#[derive(Default)]
struct Queue {
    jobs: BinaryHeap<Reverse<Job>>,
    number: u64,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// The queue. Its threads live as long as the process.
#[derive(Clone)]
pub(super) struct Timer(Arc<Shared>);

impl Timer {
    /// Starts it.
    pub(super) fn start() -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        for number in 0..THREADS {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("late-{number}"));
            thread.spawn(move || {
                loop {
                    shared.next()();
                }
            })?;
        }
        Ok(Self(shared))
    }

    /// Has something done after this time.
    pub(super) fn after(&self, delay: Duration, work: impl FnOnce() + Send + 'static) {
        let mut queue = self.0.lock();
        queue.number += 1;
        let at = (Instant::now() + delay, queue.number);
        queue.jobs.push(Reverse(Job { at, work: Box::new(work) }));
        drop(queue);
        self.0.changed.notify_one();
    }

    /// Has everything done at once that is waiting now.
    pub(super) fn hurry(&self) {
        let mut queue = self.0.lock();
        let now = Instant::now();
        let jobs = std::mem::take(&mut queue.jobs).into_iter();
        let due = |Reverse(Job { at: (at, number), work })| {
            Reverse(Job { at: (at.min(now), number), work })
        };
        queue.jobs = jobs.map(due).collect();
        drop(queue);
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what is due next.
    fn next(&self) -> Work {
        let mut queue = self.lock();
        loop {
            let now = Instant::now();
            let first = queue.jobs.peek().map(|Reverse(job)| job.at.0);
            match first {
                Some(at) if at <= now => {
                    if let Some(Reverse(job)) = queue.jobs.pop() {
                        return job.work;
                    }
                }
                Some(at) => {
                    let waited = self.changed.wait_timeout(queue, at - now);
                    queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => {
                    let waited = self.changed.wait(queue);
                    queue = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_is_due_first_is_done_first_and_many_wait_side_by_side() {
        let timer = Timer::start().unwrap();
        let (done, order) = mpsc::channel();
        let started = Instant::now();
        for (name, millis) in [("late", 60), ("early", 20)] {
            let done = done.clone();
            timer.after(Duration::from_millis(millis), move || done.send(name).unwrap());
        }
        assert_eq!(order.recv().unwrap(), "early");
        assert!(started.elapsed() >= Duration::from_millis(20));
        assert_eq!(order.recv().unwrap(), "late");
        let started = Instant::now();
        for _ in 0..64 {
            let done = done.clone();
            timer.after(Duration::from_millis(50), move || done.send("").unwrap());
        }
        assert_eq!(order.iter().take(64).count(), 64);
        // one after the other they would take more than three seconds
        assert!(started.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn in_a_hurry_nothing_waits_any_longer() {
        let timer = Timer::start().unwrap();
        let (done, order) = mpsc::channel();
        timer.after(Duration::from_secs(3600), move || done.send(()).unwrap());
        timer.hurry();
        order.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
