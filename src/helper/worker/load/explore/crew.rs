//! Several who look at the states of a plan side by side, each on a device of its own. What they find is told in
//! the order of the plan: it is the same, however many they are.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    super::marks::Marks,
    Exploration,
    course::{Course, InOrder},
    fsck::Fsck,
    look::Look,
    lots::Lots,
    promises::Promises,
    seen::Seen,
    stage::{CANCELLED, SHOWN, Stage},
};
use crate::{
    block::{Kept, Way, plan},
    protocol::{ExploreReport, ExploreSpec, Reads, SecondCut, WrongState},
};

/// The most that look side by side unless more are asked for: they share the disk's process.
const SOME: u32 = 4;

/// How many may look side by side. Programs of one service could come in each other's way.
fn workers(spec: &ExploreSpec) -> u32 {
    let processors = || thread::available_parallelism().map_or(1, std::num::NonZero::get);
    match (&spec.reads, spec.workers) {
        (Reads::Program { .. }, _) => 1,
        (Reads::File(_), Some(workers)) => workers.max(1),
        (Reads::File(_), None) => u32::try_from(processors()).unwrap_or(SOME).min(SOME),
    }
}

/// All who look.
pub(super) struct Crew<'a> {
    /// Does alone what is not done side by side.
    first: Look<'a>,
    others: Vec<Look<'a>>,
    /// The first state that is wrong whenever it is looked at.
    wrong: Option<Found>,
}

/// A wrong state, and why it is.
struct Found {
    way: Way,
    why: String,
    /// The second cut that it takes, where it takes one.
    second: Option<SecondCut>,
}

impl<'a> Crew<'a> {
    /// Opens the past of the disk, and says how much there is of it.
    pub(super) fn open(
        spec: &'a ExploreSpec,
        marks: &Marks,
        log: &Path,
        shared: &'a Exploration,
    ) -> Result<Self, String> {
        let stages = Stage::open(&marks.socket, workers(spec), || shared.is_cancelled())?;
        let promises = Promises::read(log, &marks.sorted())?;
        let filesystem = stages.first().map_or("", |stage| stage.past.filesystem.as_str());
        let fsck = spec.fsck.then(|| Fsck::find(filesystem)).transpose()?;
        let sound = Arc::default();
        let look = |stage| {
            let shares = (Arc::clone(&sound), fsck.clone());
            Look::new(spec, shared, (stage, promises.clone()), shares)
        };
        let mut looks = stages.into_iter().map(look);
        let first = looks.next().ok_or("there is no device to show its past on")?;
        let others = looks.collect();
        let points = &first.stage.past.points;
        shared.note(|report| {
            report.all_points = points.len() as u64;
            report.volatile = points.iter().map(|point| point.writes.len() as u64).sum();
            report.acknowledged = promises.by(u64::MAX) as u64;
            report.forgotten = first.stage.past.forgotten;
        });
        Ok(Self { first, others, wrong: None })
    }

    /// Looks at every state that is planned, while there is time.
    pub(super) fn all(&mut self, seed: u64) -> Result<(), String> {
        self.first.untouched()?;
        let (spec, shared) = (self.first.spec, self.first.shared);
        let budget = Budget { started: Instant::now(), shared, time_ms: spec.time_ms };
        let most = usize::try_from(spec.states).unwrap_or(usize::MAX);
        let points = &self.first.stage.past.points;
        let planned = plan(points, &spec.profiles, (most, seed), || budget.is_over());
        shared.note(|report| report.planned = planned.ways.len() as u64);
        let lots = spec.draw.map(|draw| Lots::new(draw, seed));
        let pass = Pass::new((budget, seed), planned.ways, lots);
        thread::scope(|scope| {
            let pass = &pass;
            // where there is no thread for one, the others do its work
            let begun = self.others.iter_mut().filter_map(|look| {
                let work = move || pass.work(look);
                thread::Builder::new().name("look".into()).spawn_scoped(scope, work).ok()
            });
            let workers = 1 + begun.count() as u64;
            shared.note(|report| report.workers = workers);
            pass.work(&mut self.first);
        });
        let is_over = pass.budget.is_over();
        let told = pass.told.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = told.failed {
            return Err(why);
        }
        if shared.is_cancelled() {
            return Err(CANCELLED.into());
        }
        self.wrong = told.wrong;
        let drawn = told.lots.map(Lots::drawn).unwrap_or_default();
        shared.note(|report| report.drawn = drawn);
        // a plan that was not made, or not gone through, to its end is exhaustive nowhere for sure
        if !is_over {
            shared.note(|report| report.exhaustive = planned.exhaustive as u64);
        }
        Ok(())
    }

    /// Makes the first wrong state smaller.
    pub(super) fn shrink(&mut self) {
        if let Some(Found { way, second, .. }) = self.wrong.take() {
            self.first.shrink(&way, second);
        }
    }

    /// Keeps the state that is reported, where it was wrong whenever it was looked at.
    pub(super) fn keep(&mut self, log: &Path) {
        self.first.keep(log);
    }
}

/// How long is looked at all.
struct Budget<'a> {
    started: Instant,
    time_ms: u64,
    shared: &'a Exploration,
}

impl Budget<'_> {
    fn until(&self) -> Instant {
        // no number of milliseconds that anybody writes is too large
        self.started.checked_add(Duration::from_millis(self.time_ms)).unwrap_or(self.started)
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until() || self.shared.is_cancelled()
    }
}

/// One way through a plan.
struct Pass<'a> {
    budget: Budget<'a>,
    seed: u64,
    course: Course,
    told: Mutex<Told>,
}

/// What came of one state.
struct Came {
    way: Way,
    seen: Result<Option<Seen>, String>,
    /// The second cut that has made it wrong, where one has.
    second: Option<SecondCut>,
}

/// What was found, in the order of the plan.
#[derive(Default)]
struct Told {
    came: InOrder<Came>,
    /// Moments of which a state was looked at.
    visited: HashSet<usize>,
    wrong: Option<Found>,
    /// Whom the service itself is to be started on.
    lots: Option<Lots>,
    /// Why it ended.
    failed: Option<String>,
}

impl<'a> Pass<'a> {
    fn new((budget, seed): (Budget<'a>, u64), ways: Vec<Way>, lots: Option<Lots>) -> Self {
        let told = Mutex::new(Told { lots, ..Told::default() });
        Self { budget, seed, course: Course::new(ways, SHOWN), told }
    }

    /// Looks at what nobody looks at yet, until nothing is left or it is over.
    fn work(&self, look: &mut Look<'_>) {
        (look.until, look.seed) = (self.budget.until(), self.seed);
        while !self.budget.is_over() && !self.budget.shared.is_broken() {
            let Some((nth, way)) = self.course.take() else { return };
            let seen = look.one(nth, &way, &self.course);
            let second = look.second.take();
            self.tell(look, nth, Came { way, seen, second });
        }
    }

    fn tell(&self, look: &mut Look<'_>, nth: usize, came: Came) {
        if came.seen.is_err() {
            self.course.stop();
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.came.put(nth, came);
        while told.failed.is_none()
            && let Some(Came { way, seen, second }) = told.came.take()
        {
            match seen {
                Ok(seen) => self.note(&mut told, look, (way, second), seen.as_ref()),
                Err(why) => told.failed = Some(why),
            }
        }
    }

    fn note(
        &self,
        told: &mut Told,
        look: &mut Look<'_>,
        (way, second): (Way, Option<SecondCut>),
        seen: Option<&Seen>,
    ) {
        told.visited.insert(way.point);
        let (points, is_telling) = (told.visited.len() as u64, look.is_telling(&way));
        let took_us = self.budget.started.elapsed().as_micros();
        self.budget.shared.note(|report| {
            report.points = points;
            report.took_us = u64::try_from(took_us).unwrap_or(u64::MAX);
            let says_something = seen.is_some_and(Seen::is_of_the_service);
            report.telling += u64::from(says_something && is_telling);
            tally(report, &way, seen);
        });
        if let (Some(lots), Some(seen)) = (&mut told.lots, seen) {
            draw(lots, look, &way, seen);
        }
        if told.wrong.is_none()
            && let Some(why) = seen.and_then(Seen::why)
        {
            told.wrong = self.remember(look, Found { way, why: why.to_owned(), second });
        }
    }

    /// The first that is wrong whenever it is looked at is kept; without one, the first that was once. Who
    /// tells of it looks again: it shows nothing else meanwhile.
    fn remember(&self, look: &mut Look<'_>, mut found: Found) -> Option<Found> {
        let confirmed = look.confirmed(&found.way, &found.way.kept, found.second.take());
        let is_confirmed = confirmed.is_some();
        found.second = look.second.clone();
        found.why = confirmed.unwrap_or(found.why);
        let state = look.wrong(&found.way, &found.way.kept, &found.why);
        let state = state.map(|state| WrongState { confirmed: is_confirmed, ..state });
        self.budget.shared.note(|report| {
            report.first =
                state.filter(|_| is_confirmed || report.first.is_none()).or(report.first.take());
        });
        is_confirmed.then_some(found)
    }
}

/// What lost something after an acknowledgement, or is wrong by what was read of it, may be drawn.
fn draw(lots: &mut Lots, look: &Look<'_>, way: &Way, seen: &Seen) {
    let says_nothing = *seen == Seen::Sound && !look.is_telling(way);
    // and what no disk may do, no service need survive
    if says_nothing || !seen.is_by_reading() || way.kept.iter().any(Kept::is_beyond) {
        return;
    }
    lots.pass(look.drawn(way, seen.why().map(str::to_owned)));
}

fn tally(report: &mut ExploreReport, way: &Way, seen: Option<&Seen>) {
    report.states += 1;
    if !report.profiles.contains(&way.profile) {
        report.profiles.push(way.profile);
    }
    match seen {
        None => report.alike += 1,
        Some(Seen::Sound) => {}
        Some(Seen::Refused { .. }) => report.refused += 1,
        Some(Seen::Wrong { .. }) => report.wrong += 1,
        Some(Seen::Unmountable(_)) => {
            report.wrong += 1;
            report.unmountable += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Place;

    #[test]
    fn programs_run_one_at_a_time_and_files_are_read_side_by_side() {
        let spec = |reads, workers| ExploreSpec {
            disk: String::new(),
            reads,
            profiles: Vec::new(),
            states: 1,
            time_ms: 1,
            log_writes: false,
            workers,
            fsck: false,
            second_cuts: 0,
            draw: None,
        };
        let file = || Reads::File("journal.log".into());
        let place = Place { container: "c".into(), pid: 1, path: "/data".into(), host_path: None };
        let program = Reads::Program { place, command: vec!["dump".into()] };
        assert_eq!(workers(&spec(file(), Some(8))), 8);
        assert!((1..=SOME).contains(&workers(&spec(file(), None))));
        assert_eq!(workers(&spec(program, Some(8))), 1);
    }
}
