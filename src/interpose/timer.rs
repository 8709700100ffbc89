//! Operations that wait: a queue by time, and a few threads that do what is due.
//!
//! Whoever delays an operation puts it here and serves the next one. A thread that slept instead
//! would delay all that come behind it. What waits for the sake of a set of rules waits no longer
//! than the set is in force, and what hangs no longer than its caller lives.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering as Memory},
    },
    time::{Duration, Instant},
};

use super::rules::Sets;
use crate::host::task::is_killed;

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The time has come, or nothing is left to wait for.
    Due,
    /// Whoever waited was killed.
    Killed,
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// This time,
    pub(super) delay: Duration,
    /// or the end of all of these,
    pub(super) by: Sets,
    /// or the death of this task.
    pub(super) task: Option<u32>,
}

/// What is done then.
type Work = Box<dyn FnOnce(End) + Send>;

/// Threads that do what is due: it may wait for a disk.
const THREADS: usize = 4;
/// Between two looks at who was killed. The kernel would say so itself, by an interrupt, but fuser
/// (0.18) refuses those; a killed task waits until it is answered.
const LOOK: Duration = Duration::from_millis(50);

struct Job {
    /// When, and in which order of those at the same time.
    at: (Instant, u64),
    by: Sets,
    task: Option<u32>,
    end: End,
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
    /// Sets in force, and the number of the last one.
    in_force: Sets,
    set: u64,
}

impl Queue {
    /// Changes jobs that wait.
    fn change(&mut self, mut change: impl FnMut(&mut Job)) {
        let jobs = std::mem::take(&mut self.jobs).into_iter();
        let changed = jobs.map(|Reverse(mut job)| {
            change(&mut job);
            Reverse(job)
        });
        self.jobs = changed.collect();
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Something waits that hangs.
    hangs: Condvar,
    /// How many wait, for who must not wait for the queue.
    waiting: AtomicUsize,
}

/// The queue. Its threads live as long as the process.
#[derive(Clone)]
pub(super) struct Timer(Arc<Shared>);

impl Timer {
    /// Starts it.
    pub(super) fn start() -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let thread = |name: String| std::thread::Builder::new().name(name);
        for number in 0..THREADS {
            let shared = Arc::clone(&shared);
            let work = move || {
                loop {
                    shared.do_next();
                }
            };
            thread(format!("late-{number}")).spawn(work)?;
        }
        let looks = Arc::clone(&shared);
        let look = move || {
            loop {
                looks.let_killed_go();
                std::thread::sleep(LOOK);
            }
        };
        thread("killed".into()).spawn(look)?;
        Ok(Self(shared))
    }

    /// A set of rules comes into force: the one that waits are made for.
    pub(super) fn begin(&self) -> Sets {
        let mut queue = self.0.lock();
        // the next number that none in force has
        let free = |number: &u64| Sets::one(*number).among(queue.in_force).is_none();
        let number = (queue.set + 1..=queue.set + 64).find(free).unwrap_or(queue.set + 1);
        queue.set = number;
        let set = Sets::one(number);
        queue.in_force = queue.in_force.and(set);
        set
    }

    /// Sets are out of force: nothing waits for their sake any longer, nor what comes late.
    pub(super) fn end(&self, sets: Sets) {
        let mut queue = self.0.lock();
        queue.in_force = queue.in_force.without(sets);
        let now = Instant::now();
        queue.change(|job| {
            job.by = job.by.without(sets);
            if job.by.is_none() {
                job.at.0 = job.at.0.min(now);
            }
        });
        drop(queue);
        self.0.changed.notify_all();
    }

    /// Whether anything waits.
    pub(super) fn is_waited_for(&self) -> bool {
        self.0.waiting.load(Memory::Acquire) > 0
    }

    /// Has something done after a wait.
    pub(super) fn after(&self, wait: Wait, work: impl FnOnce(End) + Send + 'static) {
        // those that waited for a lock that another one held come one after the other
        if wait.task.is_some_and(is_killed) {
            return work(End::Killed);
        }
        let mut queue = self.0.lock();
        queue.number += 1;
        // a set may have ended while we were on the way here
        let by = wait.by.among(queue.in_force);
        let delay = if by.is_none() { Duration::ZERO } else { wait.delay };
        let at = (Instant::now() + delay, queue.number);
        let job = Job { at, by, task: wait.task, end: End::Due, work: Box::new(work) };
        queue.jobs.push(Reverse(job));
        self.0.waiting.fetch_add(1, Memory::AcqRel);
        drop(queue);
        self.0.changed.notify_one();
        if wait.task.is_some() {
            self.0.hangs.notify_one();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn do_next(&self) {
        let job = self.next();
        (job.work)(job.end);
    }

    /// Waits for what is due next.
    fn next(&self) -> Job {
        let mut queue = self.lock();
        loop {
            let now = Instant::now();
            let first = queue.jobs.peek().map(|Reverse(job)| job.at.0);
            match first {
                Some(at) if at <= now => {
                    if let Some(Reverse(job)) = queue.jobs.pop() {
                        self.waiting.fetch_sub(1, Memory::AcqRel);
                        return job;
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

    /// Tasks that wait, as soon as there are any.
    fn waiting(&self) -> Vec<u32> {
        let mut queue = self.lock();
        loop {
            let tasks: Vec<u32> = queue.jobs.iter().filter_map(|Reverse(job)| job.task).collect();
            if !tasks.is_empty() {
                return tasks;
            }
            queue = self.hangs.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the waits of tasks that were killed.
    fn let_killed_go(&self) {
        let mut killed = self.waiting();
        killed.retain(|task| is_killed(*task));
        if killed.is_empty() {
            return;
        }
        let now = Instant::now();
        self.lock().change(|job| {
            if job.task.is_some_and(|task| killed.contains(&task)) {
                (job.at.0, job.end) = (now, End::Killed);
            }
        });
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const PATIENCE: Duration = Duration::from_secs(10);

    fn wait(delay: Duration, by: Sets) -> Wait {
        Wait { delay, by, task: None }
    }

    #[test]
    fn what_is_due_first_is_done_first_and_many_wait_side_by_side() {
        let timer = Timer::start().unwrap();
        let set = timer.begin();
        let (done, order) = mpsc::channel();
        let started = Instant::now();
        for (name, millis) in [("late", 60), ("early", 20)] {
            let done = done.clone();
            let delay = wait(Duration::from_millis(millis), set);
            timer.after(delay, move |_| done.send(name).unwrap());
        }
        assert_eq!(order.recv().unwrap(), "early");
        assert!(started.elapsed() >= Duration::from_millis(20));
        assert_eq!(order.recv().unwrap(), "late");
        let started = Instant::now();
        for _ in 0..64 {
            let done = done.clone();
            let delay = wait(Duration::from_millis(50), set);
            timer.after(delay, move |_| done.send("").unwrap());
        }
        assert_eq!(order.iter().take(64).count(), 64);
        // one after the other they would take more than three seconds
        assert!(started.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn nothing_waits_longer_than_all_of_its_sets_are_in_force() {
        let timer = Timer::start().unwrap();
        let (one, other) = (timer.begin(), timer.begin());
        let (done, order) = mpsc::channel();
        for (name, by) in [("one", one), ("both", one.and(other)), ("other", other)] {
            let done = done.clone();
            timer.after(wait(HOUR, by), move |end| done.send((name, end)).unwrap());
        }
        timer.end(one);
        assert_eq!(order.recv_timeout(PATIENCE).unwrap(), ("one", End::Due));
        assert!(order.recv_timeout(Duration::from_millis(100)).is_err(), "the other is in force");
        timer.end(other);
        let mut rest = [order.recv_timeout(PATIENCE).unwrap().0, order.recv().unwrap().0];
        rest.sort_unstable();
        assert_eq!(rest, ["both", "other"]);
        // decided while it was in force, and here too late
        let late = done.clone();
        timer.after(wait(HOUR, other), move |end| late.send(("late", end)).unwrap());
        assert_eq!(order.recv_timeout(PATIENCE).unwrap(), ("late", End::Due));
    }

    #[test]
    fn a_set_in_force_shares_its_place_with_none_that_comes_and_goes() {
        let timer = Timer::start().unwrap();
        let lasts = timer.begin();
        let (done, order) = mpsc::channel();
        timer.after(wait(HOUR, lasts), move |end| done.send(end).unwrap());
        for _ in 0..200 {
            let set = timer.begin();
            timer.end(set);
        }
        assert!(order.recv_timeout(Duration::from_millis(50)).is_err(), "it was let go");
        timer.end(lasts);
        assert_eq!(order.recv_timeout(Duration::from_secs(10)).unwrap(), End::Due);
    }

    #[test]
    fn who_is_dead_does_not_wait() {
        let timer = Timer::start().unwrap();
        let set = timer.begin();
        let (done, order) = mpsc::channel();
        let mut child = std::process::Command::new("sleep").arg("3600").spawn().unwrap();
        for (name, task) in [("dead", child.id()), ("alive", std::process::id())] {
            let done = done.clone();
            let hang = Wait { task: Some(task), ..wait(HOUR, set) };
            timer.after(hang, move |end| done.send((name, end)).unwrap());
        }
        assert!(order.recv_timeout(Duration::from_millis(200)).is_err(), "both are alive");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(order.recv_timeout(PATIENCE).unwrap(), ("dead", End::Killed));
        assert!(order.recv_timeout(Duration::from_millis(200)).is_err());
    }
}
