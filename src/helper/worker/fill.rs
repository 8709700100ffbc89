//! Ops that fill a filesystem, and the one that removes the filler.
//!
//! The engine's own filesystem is filled only with a reserve left: a fill op that would leave less
//! than max(1 GiB, 5 %) of it is refused here too, whatever the caller decided.

use super::{
    super::HelperError,
    context::{Context, Done},
    facts::is_host,
    mount::same_dev,
    place::{Way, dev_of, init, inside},
    reach::undo_on,
};
use crate::{
    host::{
        error::HostResult,
        fill::{self, Fill, Filled, Stop},
        statfs::FsUsage,
    },
    protocol::{Dev, Outcome, Place},
};

/// What stays free on the engine's own filesystem: bytes.
const HOST_RESERVE: u64 = 1 << 30;
/// What stays free on the engine's own filesystem: one part in this many.
const HOST_SHARE: u64 = 20;

/// Takes inodes.
pub(super) fn inodes(place: &Place, dev: Dev, marker: &str, leave: u64, cx: &Context) -> Done {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let reserve = |usage: &FsUsage| usage.inodes_total / HOST_SHARE;
    let filled =
        run(place, dev, marker, leave, cx, reserve, |fill| fill::fill_inodes(fill, threads))?;
    Ok(Outcome::Filled { files: filled.taken, bytes: 0, refused: refused(&filled) })
}

/// Takes bytes.
pub(super) fn bytes(place: &Place, dev: Dev, marker: &str, leave: u64, cx: &Context) -> Done {
    let reserve = |usage: &FsUsage| HOST_RESERVE.max(usage.bytes_total / HOST_SHARE);
    let filled = run(place, dev, marker, leave, cx, reserve, fill::fill_bytes)?;
    Ok(Outcome::Filled { files: 1, bytes: filled.taken, refused: refused(&filled) })
}

fn refused(filled: &Filled) -> Option<String> {
    match filled.stopped {
        Stop::Exhausted(errno) => Some(errno.to_string()),
        _ => None,
    }
}

fn run(
    place: &Place,
    dev: Dev,
    marker: &str,
    leave: u64,
    cx: &Context,
    reserve: impl Fn(&FsUsage) -> u64 + Sync,
    work: impl Fn(&Fill<'_>) -> HostResult<Filled> + Sync,
) -> Result<Filled, HelperError> {
    let target = init(place)?;
    let host = is_host(target, &place.path, &cx.dir)?;
    let filled = inside(target, &place.path, |here| {
        same_dev(here.path, dev)?;
        if host && leave < reserve(&FsUsage::of(here.path)?) {
            return Ok(None);
        }
        let fill = Fill {
            dir: here.path,
            marker,
            leave,
            cap: u64::MAX,
            deadline: cx.deadline,
            cancel: &cx.cancel,
        };
        work(&fill).map(Some)
    })?;
    let path = &place.path;
    match filled {
        None => Err(HelperError::Refused(format!(
            "`{path}` is on the engine's own filesystem: at least max(1 GiB, 5 %) must stay free"
        ))),
        Some(Filled { stopped: Stop::Deadline, .. }) => {
            Err(HelperError::Refused(format!("filling `{path}` took too long and was given up")))
        }
        Some(Filled { stopped: Stop::Cancelled, .. }) => {
            Err(HelperError::Refused(format!("filling `{path}` was cancelled")))
        }
        Some(filled) => Ok(filled),
    }
}

/// Removes the filler, wherever the filesystem can still be reached. Where it cannot, it has gone with
/// its last user, or with the run.
pub(super) fn remove(place: &Place, dev: Dev, marker: &str, cx: &Context) -> Done {
    Ok(remove_by_ways(place, dev, marker, cx)?.unwrap_or(Outcome::Already))
}

/// Removes the filler where the filesystem can be reached; none where it cannot.
pub(super) fn remove_by_ways(
    place: &Place,
    dev: Dev,
    marker: &str,
    cx: &Context,
) -> Result<Option<Outcome>, HelperError> {
    let removed =
        undo_on((place, Some(dev)), cx, |way| remove_at(way, (dev, cx.other_boot), marker))?;
    Ok(removed.map(|names| if names == 0 { Outcome::Already } else { Outcome::Done }))
}

/// It is known by its marker, which is the run's own, where the filesystem's number may have changed: it is
/// made up at each mount of some, and proves nothing on another boot.
fn remove_at(way: &Way, (dev, other_boot): (Dev, bool), marker: &str) -> HostResult<Option<u64>> {
    inside(way.target, &way.path, |here| {
        let now = dev_of(here.path)?;
        if now != dev && !other_boot && (now.major, dev.major) != (0, 0) {
            return Ok(None);
        }
        let names = fill::remove_filler(here.path, marker)?;
        Ok((now == dev || names > 0).then_some(names))
    })
}
