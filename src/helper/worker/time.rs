//! Ops on clocks and on the times of files.

use super::{
    super::HelperError,
    clock,
    context::{Context, Done},
    metadata::change,
    place::{dev_of, init, inside},
};
use crate::{
    host::{
        fill::MARKER_PREFIX,
        metadata::{Change, Meant},
        times::{self, Times},
    },
    protocol::{Dev, FileTimes, Place, TimeOp, TimesFacts},
};

/// Among so many files those are looked for that were shifted.
const SEARCHED: usize = 100_000;

/// Performs one of these ops.
pub(super) fn act(op: &TimeOp, cx: &Context) -> Done {
    match op {
        TimeOp::ShiftFiles { place, dev, files, by } => shift_files(place, *dev, (files, *by), cx),
        TimeOp::SkewClock { place, mark, by } => clock::skew(place, mark, *by, cx),
        TimeOp::RestoreClock { place, mark, by } => clock::put_right(place, mark, *by),
    }
}

/// When files were used.
pub(super) fn times(place: &Place, most: usize) -> Result<TimesFacts, HelperError> {
    Ok(inside(init(place)?, &place.path, |here| {
        let (_, found, more) = times::list(here.path, most, MARKER_PREFIX)?;
        let files = found.into_iter().map(|one| FileTimes {
            inode: one.inode,
            mtime_ns: one.times.modified,
            atime_ns: one.times.read,
        });
        Ok(TimesFacts { dev: dev_of(here.path)?, files: files.collect(), more })
    })?)
}

/// Shifts every file that it can; the first failure is told when all were tried. A file is found by
/// its inode: who keeps files by number gives them other names all the time.
fn shift_files(place: &Place, on: Dev, (files, by): (&[FileTimes], i64), cx: &Context) -> Done {
    let dev = cx.number(on);
    change((place, Some(on)), cx, |top| {
        let (mut come_to, mut failed) = (Change::Elsewhere, None);
        for found in times::list(top, SEARCHED, MARKER_PREFIX)?.1 {
            let Some(file) = files.iter().find(|file| file.inode == found.inode) else { continue };
            let from = Times { modified: file.mtime_ns, read: file.atime_ns };
            match times::shift(&found.path, Meant { dev, inode: file.inode }, from, by) {
                Ok(one) => come_to = further(come_to, one),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(come_to), Err)
    })
}

/// Of two changes the one that came further.
fn further(one: Change, other: Change) -> Change {
    match (one, other) {
        (Change::Made, _) | (_, Change::Made) => Change::Made,
        (Change::LeftAlone, _) | (_, Change::LeftAlone) => Change::LeftAlone,
        _ => Change::Elsewhere,
    }
}
