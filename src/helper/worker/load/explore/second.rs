//! The power goes once more, while a state is being recovered: what recovery has written by then is cut
//! like anything else that is written to a disk.

use std::collections::HashSet;

use super::{look::Look, seen::Seen};
use crate::{
    block::{Kept, plan},
    protocol::{CutProfile, SecondCut},
};

/// So many times as many are planned as are looked at: a plan for more begins with one state of every moment.
const MORE: usize = 8;

impl Look<'_> {
    /// Cuts the recovery that was just seen, which was recorded; what the first of the states comes to that is
    /// not sound. No more was acknowledged meanwhile: nobody ran. Where time runs out, it is sound as far as it was
    /// seen.
    pub(super) fn cut_again(&mut self, cut: u64, acknowledged: usize) -> Result<Seen, String> {
        let points = self.stage.past_of_shown()?;
        // a second cut is one that any disk may come to
        let all = CutProfile::all_of_a_disk().into_iter().filter_map(CutProfile::of_disk);
        let profiles: Vec<_> = all.filter(|it| self.spec.profiles.contains(it)).collect();
        let most = usize::try_from(self.spec.second_cuts).unwrap_or(usize::MAX);
        let mut known = HashSet::new();
        let budget = (most.saturating_mul(MORE), self.seed ^ cut);
        let planned = plan(&points, &profiles, budget, || self.is_late());
        for way in planned.ways.into_iter().take(most) {
            if self.is_late() {
                break;
            }
            let second = SecondCut { cut: points[way.point].cut, kept: way.kept };
            let digest = self.stage.show_again(second.cut, &second.kept)?;
            if !known.insert(digest) {
                continue;
            }
            self.shared.note(|report| report.second += 1);
            let seen = self.settled(acknowledged, false)?;
            if seen != Seen::Sound {
                let seen = seen.because(&second.to_string());
                self.second = Some(second);
                return Ok(seen);
            }
        }
        Ok(Seen::Sound)
    }

    /// Puts on the device what such a second cut leaves of a state; its digest.
    pub(super) fn show_second(
        &mut self,
        (cut, kept): (u64, &[Kept]),
        second: &SecondCut,
    ) -> Result<[u8; 32], String> {
        self.stage.show(cut, kept)?;
        self.stage.record()?;
        self.read()?;
        self.stage.past_of_shown()?;
        self.stage.show_again(second.cut, &second.kept)
    }
}
