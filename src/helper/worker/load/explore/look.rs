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
/// How long it may take to look at a wrong state once more: what is begun then is ended.
const CONFIRMING: Duration = Duration::from_secs(5);

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
    /// No second cut is made after this.
    pub(super) until: Instant,
    /// Decides which second cuts are made, where there are more.
    pub(super) seed: u64,
}

impl<'a> Look<'a> {
    /// On this device, by these promises.
    pub(super) fn new(
        spec: &'a ExploreSpec,
        shared: &'a Exploration,
        (stage, promises): (Stage, Promises),
        (sound, fsck): (Sound, Option<Fsck>),
    ) -> Self {
        let until = Instant::now();
        Self { spec, shared, stage, promises, sound, fsck, second: None, until, seed: 0 }
    }

    fn point(&self, way: &Way) -> &Point {
        &self.stage.past.points[way.point]
    }

    /// A program that does not read what no cut has touched says nothing of what one has; nor does a check that
    /// finds errors in it.
    pub(super) fn untouched(&self) -> Result<(), String> {
        let is_program = matches!(self.spec.reads, Reads::Program { .. });
        let last = self.stage.past.points.last();
        let Some(last) = last.filter(|_| is_program || self.fsck.is_some()) else { return Ok(()) };
        self.stage.show(last.cut, &vec![Kept::Whole; last.writes.len()])?;
        match self.read()? {
            Recovered::Unreadable(why) | Recovered::Crashed(why) if is_program => {
                Err(format!("the volume is not read even where nothing of it is lost: {why}"))
            }
            Recovered::Unmountable(_) => Ok(()),
            _ => self.whole(),
        }
    }

    fn whole(&self) -> Result<(), String> {
        let errors = self.fsck.as_ref().map(|fsck| self.errors(fsck)).transpose()?.flatten();
        errors.map_or(Ok(()), |why| {
            Err(format!(
                "the check of the filesystem does not pass even where nothing of it is lost, so that it says \
                 nothing of a state: {why}"
            ))
        })
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

    /// Looks at one for itself, whatever is known of others. Where a second cut has made it wrong before, that one
    /// is made first.
    fn again(
        &mut self,
        way: &Way,
        kept: &[Kept],
        known: Option<SecondCut>,
    ) -> Result<Seen, String> {
        let cut = self.point(way).cut;
        if let Some(second) = known
            && let Ok(seen) = self.twice((cut, kept), &second)
            && is_wrong(&seen)
        {
            self.second = Some(second);
            return Ok(seen);
        }
        self.stage.show(cut, kept)?;
        let exceeds = self.stage.exceeds(cut, kept)?;
        self.recovered(cut, exceeds)
    }

    /// What such a second cut makes of one. Another way of its recovery may not have that.
    fn twice(&mut self, state: (u64, &[Kept]), second: &SecondCut) -> Result<Seen, String> {
        self.show_second(state, second)?;
        let seen = self.settled(self.promises.by(state.0), false)?;
        Ok(seen.because(&second.to_string()))
    }

    /// What is wrong with one when it is looked at once more; none where nothing is.
    pub(super) fn confirmed(
        &mut self,
        way: &Way,
        kept: &[Kept],
        known: Option<SecondCut>,
    ) -> Option<String> {
        // the time for all states says nothing of the time for this
        let until = std::mem::replace(&mut self.until, Instant::now() + CONFIRMING);
        let seen = self.again(way, kept, known);
        self.until = until;
        seen.ok()?.why().map(str::to_owned)
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

    /// What its filesystem's own check finds in what was recovered.
    fn errors(&self, fsck: &Fsck) -> Result<Option<String>, String> {
        let StageFacts { node, connection } = &self.stage.device;
        drop(claimed(node)?);
        let checked = self.shared.watched(*connection, || fsck.check(node));
        checked.unwrap_or_else(|| Err("a state was not checked in time".into()))
    }

    fn checked(&self, fsck: &Fsck) -> Result<Seen, String> {
        let errors = self.errors(fsck)?;
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
    pub(super) fn shrink(&mut self, way: &Way, mut known: Option<SecondCut>) {
        self.until = Instant::now() + SHRINKING;
        let least = shrink(&way.kept, |kept| {
            if self.is_late() {
                return None;
            }
            let seen = self.again(way, kept, known.clone()).ok()?;
            let is_wrong = is_wrong(&seen);
            if is_wrong {
                known.clone_from(&self.second);
            }
            Some(is_wrong)
        });
        // where it is not, the larger one stays, which was
        if let Some(why) = self.confirmed(way, &least, known) {
            let state = self.wrong(way, &least, &why);
            let state = state.map(|state| WrongState { confirmed: true, ..state });
            self.shared.note(|report| report.first = state.or(report.first.take()));
        }
    }

    /// Nothing more is begun.
    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.until || self.shared.is_cancelled()
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
    seen.why().is_some()
}
