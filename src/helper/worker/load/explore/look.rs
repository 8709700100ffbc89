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
    stage::{Recovered, Stage},
};
use crate::{
    block::{Kept, Point, Way, plan, shrink},
    protocol::{ExploreReport, ExploreSpec, LostWrite, WrongState},
};

/// How long it may take to make a wrong state smaller.
const SHRINKING: Duration = Duration::from_secs(5);

/// What one state came to.
enum Seen {
    Sound,
    Wrong(String),
    Unmountable(String),
}

/// All that is needed to look.
pub(super) struct Look<'a> {
    spec: &'a ExploreSpec,
    shared: &'a Exploration,
    stage: Stage,
    promises: Promises,
    /// By content, how many acknowledgements it was found to keep, or to break.
    known: HashMap<[u8; 32], usize>,
    /// The same by the content of the file.
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
        let stage = Stage::open(&marks.socket)?;
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

    /// Looks at every state that is planned, while there is time.
    pub(super) fn all(&mut self, seed: u64) -> Result<(), String> {
        let most = usize::try_from(self.spec.states).unwrap_or(usize::MAX);
        let planned = plan(&self.stage.facts.points, &self.spec.profiles, most, seed);
        self.shared.note(|report| {
            report.planned = planned.ways.len() as u64;
            report.exhaustive = planned.exhaustive as u64;
        });
        let (started, mut points) = (Instant::now(), HashSet::new());
        let time = Duration::from_millis(self.spec.time_ms);
        for way in planned.ways {
            if started.elapsed() >= time {
                // a plan that was not gone through to its end is exhaustive nowhere for sure
                self.shared.note(|report| report.exhaustive = 0);
                break;
            }
            let seen = self.one(self.point(&way).cut, &way.kept)?;
            points.insert(way.point);
            let count = points.len() as u64;
            self.shared.note(|report| {
                report.points = count;
                report.took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                tally(report, &way, seen.as_ref());
            });
            self.remember(way, seen);
        }
        Ok(())
    }

    fn remember(&mut self, way: Way, seen: Option<Seen>) {
        if let Some(Seen::Wrong(why) | Seen::Unmountable(why)) = seen
            && self.first.is_none()
        {
            let state = self.wrong(&way, &way.kept, &why);
            self.shared.note(|report| report.first = state);
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
        let (stage, file) = (&self.stage, &self.spec.file);
        let recovered = self.shared.watched(stage.facts.connection, || stage.recover(file));
        // where it hung, what came of it is our doing
        if self.shared.is_broken() {
            return Err("a state was not recovered in time".into());
        }
        Ok(Some(self.judge(acknowledged, recovered?)))
    }

    fn judge(&mut self, acknowledged: usize, recovered: Recovered) -> Seen {
        let (file, there) = match recovered {
            Recovered::File(bytes) => (bytes, true),
            Recovered::NoFile => (Vec::new(), false),
            Recovered::Unreadable(why) => return Seen::Wrong(why),
            Recovered::Unmountable(why) => return Seen::Unmountable(why),
        };
        let digest = Sha256::digest(&file).into();
        if self.files.get(&digest).is_some_and(|known| *known >= acknowledged) {
            return Seen::Sound;
        }
        let report = self.promises.judge(acknowledged, &file);
        if report.is_sound() {
            self.files.insert(digest, acknowledged);
            let recovered = self.files.len() as u64;
            self.shared.note(|report| report.recovered = recovered);
            return Seen::Sound;
        }
        let lost = report.first_lost.map(|lost| format!(", first `{}`", lost.id));
        let gone =
            if there { String::new() } else { format!("; there is no `{}`", self.spec.file) };
        Seen::Wrong(format!("{report}{}{gone}", lost.unwrap_or_default()))
    }

    /// Gives back what need not be lost for the first wrong state to be wrong, and looks at what is left
    /// of it once more.
    pub(super) fn shrink(&mut self) {
        let Some((way, mut wrong)) = self.first.take() else { return };
        let (cut, until) = (self.point(&way).cut, Instant::now() + SHRINKING);
        let least = shrink(&way.kept, |kept| {
            if Instant::now() >= until {
                return None;
            }
            // it is looked at for itself, whatever is known of others
            self.known.clear();
            match self.one(cut, kept).ok()?? {
                Seen::Sound => Some(false),
                Seen::Wrong(why) | Seen::Unmountable(why) => {
                    wrong = why;
                    Some(true)
                }
            }
        });
        self.known.clear();
        let again = self.one(cut, &least);
        let is_wrong = matches!(again, Ok(Some(Seen::Wrong(_) | Seen::Unmountable(_))));
        let state = self.wrong(&way, &least, &wrong);
        let state = state.map(|state| WrongState { confirmed: is_wrong, ..state });
        self.shared.note(|report| report.first = state.or(report.first.take()));
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
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
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
        Some(Seen::Wrong(_)) => report.wrong += 1,
        Some(Seen::Unmountable(_)) => {
            report.wrong += 1;
            report.unmountable += 1;
        }
    }
}
