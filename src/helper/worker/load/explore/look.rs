//! One state after the other on one device, as it is told to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use super::{
    Exploration,
    course::Course,
    fsck::Fsck,
    promises::Promises,
    recover::recover,
    recovered::Recovered,
    seen::Seen,
    stage::{Stage, claimed},
};
use crate::{
    block::{Kept, Point, Way, shrink},
    crash_state::hexadecimal,
    protocol::{Drawn, ExploreSpec, LostWrite, Reads, SecondCut, StageFacts, WrongState},
};

/// How long it may take to make a wrong state smaller.
const SHRINKING: Duration = Duration::from_secs(5);

/// By what was read, how many acknowledgements it was found to keep.
pub(super) type Sound = Arc<Mutex<HashMap<[u8; 32], usize>>>;

/// All that is needed to look.
pub(super) struct Look<'a> {
    pub(super) spec: &'a ExploreSpec,
    pub(super) shared: &'a Exploration,
    pub(super) stage: Stage,
    pub(super) promises: Promises,
    /// Shared by all who look.
    sound: Sound,
    /// Checks what was recovered, where that is asked for.
    fsck: Option<Fsck>,
    /// The second cut that has made the last state wrong, where one did.
    pub(super) second: Option<SecondCut>,
}

impl<'a> Look<'a> {
    /// On this device, by these promises.
    pub(super) fn new(
        spec: &'a ExploreSpec,
        shared: &'a Exploration,
        (stage, promises): (Stage, Promises),
        (sound, fsck): (Sound, Option<Fsck>),
    ) -> Self {
        Self { spec, shared, stage, promises, sound, fsck, second: None }
    }

    fn point(&self, way: &Way) -> &Point {
        &self.stage.past.points[way.point]
    }

    /// A program that does not read what no cut has touched says nothing of what one has.
    pub(super) fn untouched(&self) -> Result<(), String> {
        let (Reads::Program { .. }, Some(last)) = (&self.spec.reads, self.stage.past.points.last())
        else {
            return Ok(());
        };
        self.stage.show(last.cut, &vec![Kept::Whole; last.writes.len()])?;
        match self.read()? {
            Recovered::Unreadable(why) | Recovered::Crashed(why) => {
                Err(format!("the volume is not read even where nothing of it is lost: {why}"))
            }
            _ => Ok(()),
        }
    }

    /// Something is lost in it, and something was promised.
    pub(super) fn is_telling(&self, way: &Way) -> bool {
        let lost = way.kept.iter().any(|kept| !kept.is_whole());
        lost && self.promises.by(self.point(way).cut) > 0
    }

    /// It as it is drawn, for something more.
    pub(super) fn drawn(&self, way: &Way, wrong: Option<String>) -> Drawn {
        let cut = self.point(way).cut;
        let acknowledged = self.promises.by(cut) as u64;
        Drawn { cut, kept: way.kept.clone(), acknowledged, wrong }
    }

    /// Looks at one that is planned; none where nothing new can be seen in it.
    pub(super) fn one(
        &mut self,
        nth: usize,
        way: &Way,
        course: &Course,
    ) -> Result<Option<Seen>, String> {
        let cut = self.point(way).cut;
        let acknowledged = self.promises.by(cut);
        self.second = None;
        let shown = self.stage.show(cut, &way.kept);
        // whoever comes after it waits for this, also where it is not shown
        let digest = shown.as_ref().ok().copied();
        // what is refused beyond what a disk may do must not be where one in specification leaves the same
        let exceeds = self.stage.exceeds(cut, &way.kept);
        let says_of_others = exceeds == Ok(false);
        let is_new = course.is_new(nth, digest, (acknowledged, says_of_others));
        shown?;
        if !is_new? {
            return Ok(None);
        }
        self.recovered(cut, exceeds?).map(Some)
    }

    /// Looks at one for itself, whatever is known of others.
    pub(super) fn again(&mut self, way: &Way, kept: &[Kept]) -> Result<Seen, String> {
        let cut = self.point(way).cut;
        self.stage.show(cut, kept)?;
        let exceeds = self.stage.exceeds(cut, kept)?;
        self.recovered(cut, exceeds)
    }

    /// Has what is shown recovered, and judges it; and what a second cut leaves of that, where it is asked
    /// for. What is beyond a disk is cut once.
    fn recovered(&mut self, cut: u64, exceeds: bool) -> Result<Seen, String> {
        self.second = None;
        let acknowledged = self.promises.by(cut);
        let twice = self.spec.second_cuts > 0 && !exceeds;
        if twice {
            self.stage.record()?;
        }
        let seen = self.settled(acknowledged, exceeds)?;
        if twice && seen == Seen::Sound { self.cut_again(cut, acknowledged) } else { Ok(seen) }
    }

    /// Has what is shown recovered, once, and judges it.
    pub(super) fn settled(&mut self, acknowledged: usize, exceeds: bool) -> Result<Seen, String> {
        let recovered = self.read()?;
        let seen = self.judge(acknowledged, &recovered).of_a_state(exceeds, &recovered);
        // a disk that did what none may owes nobody a whole filesystem
        match &self.fsck {
            Some(fsck) if seen == Seen::Sound && !exceeds => self.checked(fsck),
            _ => Ok(seen),
        }
    }

    /// What its filesystem's own check says of what was recovered.
    fn checked(&self, fsck: &Fsck) -> Result<Seen, String> {
        let StageFacts { node, connection } = &self.stage.device;
        drop(claimed(node)?);
        let checked = self.shared.watched(*connection, || fsck.check(node));
        let errors = checked.unwrap_or_else(|| Err("a state was not checked in time".into()))?;
        self.shared.note(|report| report.checked += 1);
        Ok(errors.map_or(Seen::Sound, |why| Seen::Wrong { why, lost: 0, read: false }))
    }

    /// Has what is shown recovered, and reads it.
    pub(super) fn read(&self) -> Result<Recovered, String> {
        let (device, filesystem) = (&self.stage.device, &self.stage.past.filesystem);
        let recover = || recover(&device.node, filesystem, &self.spec.reads);
        let recovered = self.shared.watched(device.connection, recover);
        recovered.unwrap_or_else(|| Err("a state was not recovered in time".into()))
    }

    fn judge(&mut self, acknowledged: usize, recovered: &Recovered) -> Seen {
        let digest: Option<[u8; 32]> =
            recovered.records().map(|records| Sha256::digest(records).into());
        let lock = || self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        let known = digest.and_then(|digest| lock().get(&digest).copied());
        if known.is_some_and(|known| known >= acknowledged) {
            return Seen::Sound;
        }
        let promises = (&mut self.promises, acknowledged);
        let seen = Seen::of(recovered, promises, &self.spec.reads);
        if let (Seen::Sound, Some(digest)) = (&seen, digest) {
            let mut sound = lock();
            let known = sound.entry(digest).or_default();
            *known = acknowledged.max(*known);
            let recovered = sound.len() as u64;
            self.shared.note(|report| report.recovered = recovered);
        }
        if let Seen::Wrong { lost, .. } = seen {
            let worst = Some((lost, acknowledged as u64));
            self.shared.note(|report| report.worst = report.worst.max(worst));
        }
        seen
    }

    /// Gives back what need not be lost for a wrong state to be wrong, and looks at what is left of it once
    /// more.
    pub(super) fn shrink(&mut self, way: &Way, mut wrong: String) {
        let until = Instant::now() + SHRINKING;
        let least = shrink(&way.kept, |kept| {
            if Instant::now() >= until || self.shared.is_cancelled() {
                return None;
            }
            match self.again(way, kept).ok()? {
                Seen::Sound | Seen::Refused { .. } => Some(false),
                Seen::Wrong { why, .. } | Seen::Unmountable(why) => {
                    wrong = why;
                    Some(true)
                }
            }
        });
        // where it is not, the larger one stays, which was
        if self.again(way, &least).is_ok_and(|seen| is_wrong(&seen)) {
            let state = self.wrong(way, &least, &wrong);
            let state = state.map(|state| WrongState { confirmed: true, ..state });
            self.shared.note(|report| report.first = state.or(report.first.take()));
        }
    }

    /// It as it is reported.
    pub(super) fn wrong(&self, way: &Way, kept: &[Kept], wrong: &str) -> Option<WrongState> {
        let point = self.point(way);
        let is_lost = |kept: &&Kept| !kept.is_whole();
        let lost = point.writes.iter().zip(kept).filter(|(_, kept)| is_lost(kept));
        let lost = lost.map(|(write, kept)| LostWrite {
            offset: write.offset,
            length: write.data.map(|length| length as u64),
            torn: kept.is_torn(),
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
            second: self.second.clone(),
        })
    }
}

/// A promise is broken in it.
pub(super) fn is_wrong(seen: &Seen) -> bool {
    matches!(seen, Seen::Wrong { .. } | Seen::Unmountable(_))
}
