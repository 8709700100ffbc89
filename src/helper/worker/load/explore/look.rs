//! One state after the other, as planned, until the budget is used up.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use super::{
    super::marks::Marks,
    Exploration,
    promises::Promises,
    recover::recover,
    recovered::Recovered,
    seen::Seen,
    stage::{CANCELLED, Stage},
};
use crate::{
    block::{Kept, Point, Way, plan, shrink},
    crash_state::hexadecimal,
    protocol::{ExploreReport, ExploreSpec, LostWrite, Reads, WrongState},
};

/// How long it may take to make a wrong state smaller.
const SHRINKING: Duration = Duration::from_secs(5);

/// All that is needed to look.
pub(super) struct Look<'a> {
    pub(super) spec: &'a ExploreSpec,
    pub(super) shared: &'a Exploration,
    pub(super) stage: Stage,
    pub(super) promises: Promises,
    /// By content, how many acknowledgements it was found to keep, or to break.
    known: HashMap<[u8; 32], usize>,
    /// The same by what was read.
    files: HashMap<[u8; 32], usize>,
    first: Option<(Way, String)>,
}

impl<'a> Look<'a> {
    /// Opens the past of the disk, and says how much there is of it.
    pub(super) fn open(
        spec: &'a ExploreSpec,
        marks: &Marks,
        log: &Path,
        shared: &'a Exploration,
    ) -> Result<Self, String> {
        let stage = Stage::open(&marks.socket, || shared.is_cancelled())?;
        let marks = marks.sorted();
        let promises = Promises::read(log, &marks)?;
        let points = &stage.facts.points;
        shared.note(|report| {
            report.all_points = points.len() as u64;
            report.volatile = points.iter().map(|point| point.writes.len() as u64).sum();
            report.acknowledged = promises.by(u64::MAX) as u64;
            report.forgotten = stage.facts.forgotten;
        });
        let (known, files) = (HashMap::new(), HashMap::new());
        Ok(Self { spec, shared, stage, promises, known, files, first: None })
    }

    fn point(&self, way: &Way) -> &Point {
        &self.stage.facts.points[way.point]
    }

    /// A program that does not read what no cut has touched says nothing of what one has.
    fn untouched(&self) -> Result<(), String> {
        let (Reads::Program { .. }, Some(last)) =
            (&self.spec.reads, self.stage.facts.points.last())
        else {
            return Ok(());
        };
        self.stage.show(last.cut, &vec![Kept::Whole; last.writes.len()])?;
        match self.read()? {
            Recovered::Unreadable(why) => {
                Err(format!("the volume is not read even where nothing of it is lost: {why}"))
            }
            _ => Ok(()),
        }
    }

    /// Looks at every state that is planned, while there is time.
    pub(super) fn all(&mut self, seed: u64) -> Result<(), String> {
        self.untouched()?;
        let most = usize::try_from(self.spec.states).unwrap_or(usize::MAX);
        let started = Instant::now();
        let (shared, time) = (self.shared, Duration::from_millis(self.spec.time_ms));
        let is_over = || started.elapsed() >= time || shared.is_cancelled();
        let (points, profiles) = (&self.stage.facts.points, &self.spec.profiles);
        let planned = plan(points, profiles, (most, seed), is_over);
        shared.note(|report| report.planned = planned.ways.len() as u64);
        let mut visited = HashSet::new();
        for way in planned.ways {
            if shared.is_cancelled() {
                return Err(CANCELLED.into());
            }
            if is_over() {
                return Ok(());
            }
            let seen = self.one(self.point(&way).cut, &way.kept)?;
            visited.insert(way.point);
            let (points, is_telling) = (visited.len() as u64, self.is_telling(&way));
            shared.note(|report| {
                report.points = points;
                report.took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                report.telling += u64::from(seen.is_some() && is_telling);
                tally(report, &way, seen.as_ref());
            });
            self.remember(way, seen);
        }
        // a plan that was not made, or not gone through, to its end is exhaustive nowhere for sure
        if !is_over() {
            shared.note(|report| report.exhaustive = planned.exhaustive as u64);
        }
        Ok(())
    }

    /// Something is lost in it, and something was promised.
    fn is_telling(&self, way: &Way) -> bool {
        let lost = way.kept.iter().any(|kept| !kept.is_whole());
        lost && self.promises.by(self.point(way).cut) > 0
    }

    /// Keeps the first that is wrong whenever it is looked at; without one, the first that was once.
    fn remember(&mut self, way: Way, seen: Option<Seen>) {
        let Some(Seen::Wrong { why, .. } | Seen::Unmountable(why)) = seen else { return };
        if self.first.is_some() {
            return;
        }
        let again = self.look(self.point(&way).cut, &way.kept);
        let confirmed = matches!(again, Ok(Seen::Wrong { .. } | Seen::Unmountable(_)));
        let state = self.wrong(&way, &way.kept, &why);
        let state = state.map(|state| WrongState { confirmed, ..state });
        self.shared.note(|report| {
            report.first =
                state.filter(|_| confirmed || report.first.is_none()).or(report.first.take());
        });
        if confirmed {
            self.first = Some((way, why));
        }
    }

    /// Looks at one; none where nothing new can be seen in it.
    fn one(&mut self, cut: u64, kept: &[Kept]) -> Result<Option<Seen>, String> {
        let acknowledged = self.promises.by(cut);
        let digest = self.stage.show(cut, kept)?;
        if self.known.get(&digest).is_some_and(|known| *known >= acknowledged) {
            return Ok(None);
        }
        self.known.insert(digest, acknowledged);
        self.recovered(acknowledged).map(Some)
    }

    /// Looks at one for itself, whatever is known of others.
    fn look(&mut self, cut: u64, kept: &[Kept]) -> Result<Seen, String> {
        self.stage.show(cut, kept)?;
        self.recovered(self.promises.by(cut))
    }

    /// Has what is shown recovered, and judges it.
    fn recovered(&mut self, acknowledged: usize) -> Result<Seen, String> {
        let recovered = self.read()?;
        Ok(self.judge(acknowledged, &recovered))
    }

    /// Has what is shown recovered, and reads it.
    fn read(&self) -> Result<Recovered, String> {
        let (facts, reads) = (&self.stage.facts, &self.spec.reads);
        let recover = || recover(&facts.node, &facts.filesystem, reads);
        let recovered = self.shared.watched(facts.connection, recover);
        // where it hung, what came of it is our doing
        if self.shared.is_broken() {
            return Err("a state was not recovered in time".into());
        }
        recovered
    }

    fn judge(&mut self, acknowledged: usize, recovered: &Recovered) -> Seen {
        let digest: Option<[u8; 32]> =
            recovered.records().map(|records| Sha256::digest(records).into());
        let known = digest.and_then(|digest| self.files.get(&digest));
        if known.is_some_and(|known| *known >= acknowledged) {
            return Seen::Sound;
        }
        let promises = (&mut self.promises, acknowledged);
        let seen = Seen::of(recovered, promises, &self.spec.reads);
        if let (Seen::Sound, Some(digest)) = (&seen, digest) {
            self.files.insert(digest, acknowledged);
            let recovered = self.files.len() as u64;
            self.shared.note(|report| report.recovered = recovered);
        }
        if let Seen::Wrong { lost, .. } = seen {
            let worst = Some((lost, acknowledged as u64));
            self.shared.note(|report| report.worst = report.worst.max(worst));
        }
        seen
    }

    /// Gives back what need not be lost for the first wrong state to be wrong, and looks at what is left
    /// of it once more.
    pub(super) fn shrink(&mut self) {
        let Some((way, mut wrong)) = self.first.take() else { return };
        let (cut, until) = (self.point(&way).cut, Instant::now() + SHRINKING);
        let least = shrink(&way.kept, |kept| {
            if Instant::now() >= until || self.shared.is_cancelled() {
                return None;
            }
            match self.look(cut, kept).ok()? {
                Seen::Sound => Some(false),
                Seen::Wrong { why, .. } | Seen::Unmountable(why) => {
                    wrong = why;
                    Some(true)
                }
            }
        });
        let again = self.look(cut, &least);
        // where it is not, the larger one stays, which was
        if matches!(again, Ok(Seen::Wrong { .. } | Seen::Unmountable(_))) {
            let state = self.wrong(&way, &least, &wrong);
            let state = state.map(|state| WrongState { confirmed: true, ..state });
            self.shared.note(|report| report.first = state.or(report.first.take()));
        }
    }

    fn wrong(&self, way: &Way, kept: &[Kept], wrong: &str) -> Option<WrongState> {
        let point = self.point(way);
        let is_lost = |kept: &&Kept| !kept.is_whole();
        let lost = point.writes.iter().zip(kept).filter(|(_, kept)| is_lost(kept));
        let lost = lost.map(|(write, kept)| LostWrite {
            offset: write.offset,
            length: write.data.map(|length| length as u64),
            torn: matches!(kept, Kept::Sectors(_)),
        });
        let digest = self.stage.show(point.cut, kept).ok()?;
        Some(WrongState {
            cut: point.cut,
            profile: way.profile,
            acknowledged: self.promises.by(point.cut) as u64,
            kept: kept.to_vec(),
            lost_at_first: way.kept.iter().filter(is_lost).count() as u64,
            lost: lost.collect(),
            digest: hexadecimal(&digest),
            wrong: wrong.to_owned(),
            confirmed: false,
        })
    }
}

fn tally(report: &mut ExploreReport, way: &Way, seen: Option<&Seen>) {
    report.states += 1;
    if !report.profiles.contains(&way.profile) {
        report.profiles.push(way.profile);
    }
    match seen {
        None => report.alike += 1,
        Some(Seen::Sound) => {}
        Some(Seen::Wrong { .. }) => report.wrong += 1,
        Some(Seen::Unmountable(_)) => {
            report.wrong += 1;
            report.unmountable += 1;
        }
    }
}
