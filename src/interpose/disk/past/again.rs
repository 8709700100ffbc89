//! What happens to a state while it is shown, which is its recovery, so that it can be cut once more in the
//! midst of that.

use std::{path::Path, sync::Arc};

use super::{Pasts, Powered};
use crate::block::{Kept, Point};

/// Bytes of a recovery that are remembered: a journal is not longer.
const REMEMBERED: u64 = 64 << 20;

impl Pasts {
    fn on(&self, stage: u32) -> Option<Arc<Powered>> {
        let at = usize::try_from(stage).ok()?;
        self.state().stages.get(at).map(|stage| Arc::clone(&stage.disk))
    }

    /// Remembers from now on what happens to the state on this device. False where there is none.
    pub(in super::super) fn record_shown(&self, stage: u32) -> bool {
        self.state().again.remove(&stage);
        self.on(stage).is_some_and(|disk| disk.record(REMEMBERED, None))
    }

    /// Every moment since then at which it can be cut. None where nothing was recorded.
    pub(in super::super) fn past_of_shown(&self, stage: u32) -> Option<Vec<Point>> {
        let past = self.on(stage)?.past()?;
        let points = past.points().to_vec();
        self.state().again.insert(stage, Arc::new(past));
        Some(points)
    }

    /// Puts in its place what a cut at such a moment would have left; the digest of that.
    pub(in super::super) fn show_again(
        &self,
        stage: u32,
        cut: u64,
        kept: &[Kept],
    ) -> Option<[u8; 32]> {
        let past = self.state().again.get(&stage).map(Arc::clone)?;
        let image = past.image(cut, kept)?;
        let digest = image.digest();
        self.on(stage)?.show(image);
        Some(digest).filter(|_| self.lost().is_none())
    }

    /// Writes what is on this device to a file, packed.
    pub(in super::super) fn keep_shown(&self, stage: u32, to: &Path) -> Result<u64, String> {
        let disk = self.on(stage).ok_or("there is no such device")?;
        self.write_packed(&disk.image(), to)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Stage, StageFacts};
    use super::*;
    use crate::block::Image;

    /// A device that nobody else has, with a state on it.
    fn shown() -> (Pasts, Arc<Powered>) {
        let pasts = Pasts::new(Path::new("/nowhere"), "kh-data", None);
        let disk = Arc::new(Powered::new(Image::new(1 << 20)));
        let facts = StageFacts { node: "/nowhere/loop0".into(), connection: 0 };
        pasts.state().stages.push(Stage { disk: Arc::clone(&disk), facts });
        (pasts, disk)
    }

    fn first(disk: &Powered) -> u8 {
        let mut byte = [0];
        disk.read(0, &mut byte).unwrap();
        byte[0]
    }

    #[test]
    fn what_recovery_has_written_can_be_lost_by_a_second_cut() {
        let (pasts, disk) = shown();
        disk.write(0, &[1; 4096]).unwrap();
        assert_eq!(pasts.past_of_shown(0), None, "nobody has asked for it yet");
        assert!(pasts.record_shown(0) && !pasts.record_shown(1));
        disk.write(0, &[2; 4096]).unwrap();
        disk.flush().unwrap();
        disk.write(0, &[3; 4096]).unwrap();
        let points = pasts.past_of_shown(0).unwrap();
        assert_eq!(points.iter().map(|point| point.writes.len()).collect::<Vec<_>>(), [2, 1]);
        let show = |at: usize, kept: &[Kept]| pasts.show_again(0, points[at].cut, kept);
        for (at, kept, left) in [
            (0, vec![Kept::Nothing, Kept::Nothing], 0),
            (0, vec![Kept::Whole, Kept::Nothing], 1),
            (1, vec![Kept::Nothing], 2),
            (1, vec![Kept::Whole], 3),
        ] {
            let digest = show(at, &kept).unwrap();
            assert_eq!((first(&disk), disk.image().digest()), (left, digest));
        }
        assert_eq!(show(1, &[]), None);
        pasts.close();
        assert_eq!(show(1, &[Kept::Whole]), None);
    }
}
