//! Whether a disk in specification might have left the same. Pure.

use std::ops::Range;

use super::{CHUNK, Candidate, Disk, Kept};

impl Disk {
    /// Whether what is left then is beyond what a disk may do. What it is called does not say so: zeros
    /// where nothing was yet are a write that is lost, and what was written over cannot be taken back. It
    /// is not where something in specification is found that leaves the same.
    #[must_use]
    pub fn exceeds(&self, kept: &[Kept]) -> bool {
        let left = self.left(kept).digest();
        let (writes, ranges) = (self.volatile(), self.volatile_ranges());
        let mut instead = kept.to_vec();
        // one after the other, each on top of those before: two may hide one another
        for at in 0..kept.len() {
            if !instead[at].is_beyond() {
                continue;
            }
            let others = in_specification(at, &instead, (&writes, &ranges));
            match others.into_iter().find(|other| self.left(other).digest() == left) {
                Some(other) => instead = other,
                None => return true,
            }
        }
        false
    }
}

/// What a disk may do instead that comes closest.
fn in_specification(
    at: usize,
    kept: &[Kept],
    (writes, ranges): (&[Candidate], &[Range<u64>]),
) -> Vec<Vec<Kept>> {
    let with = |instead: Kept| {
        let mut all = kept.to_vec();
        all[at] = instead;
        all
    };
    match &kept[at] {
        Kept::Nothing | Kept::Whole | Kept::Sectors(_) => Vec::new(),
        Kept::Overtakes(_) => vec![with(Kept::Whole)],
        Kept::Filled(sectors, _) => vec![with(Kept::Sectors(sectors.clone())), with(Kept::Whole)],
        Kept::Bytes(from, to) => {
            let length = writes[at].data.unwrap_or_default();
            let sectors = |is_there: fn(usize, usize, (usize, usize)) -> bool| {
                let sector =
                    |start: usize| is_there(start, (start + CHUNK).min(length), (*from, *to));
                Kept::Sectors((0..length).step_by(CHUNK).map(sector).collect())
            };
            let whole = sectors(|start, end, (from, to)| from <= start && end <= to);
            let touched = sectors(|start, end, (from, to)| from < end && start < to);
            vec![with(whole), with(touched)]
        }
        Kept::Erased { block, .. } => {
            let start = writes[at].offset / block * block;
            let is_in = |range: &Range<u64>| range.start < start + block && start < range.end;
            let lost = ranges.iter().zip(kept);
            let lost =
                lost.map(|(range, kept)| if is_in(range) { Kept::Nothing } else { kept.clone() });
            // or it has taken nothing back
            vec![lost.collect(), with(Kept::Whole)]
        }
    }
}
