//! Ops that take a snapshot of a btrfs volume of the run, and discard it.

use super::{
    super::HelperError,
    context::{Context, Done},
    facts::is_host,
    mount::same_dev,
    place::{dev_of, init, inside},
    reach::undo_on,
};
use crate::{
    host::snapshot,
    protocol::{Dev, Outcome, Place},
};

/// Takes one, of the subvolume whose root is at `place`.
pub(super) fn take(place: &Place, dev: Dev, name: &str, cx: &Context) -> Done {
    let target = init(place)?;
    if is_host(target, &place.path, &cx.dir)? {
        let path = &place.path;
        let refused = format!("`{path}` is on the engine's own filesystem, which gets no snapshot");
        return Err(HelperError::Refused(refused));
    }
    inside(target, &place.path, |here| {
        same_dev(here.path, dev)?;
        snapshot::take(here.path, name)
    })?;
    Ok(Outcome::Done)
}

/// Discards it, wherever the volume can still be reached. Where it cannot, it has gone with its last
/// user.
pub(super) fn discard(place: &Place, dev: Dev, name: &str, cx: &Context) -> Done {
    let discarded = undo_on((place, Some(dev)), cx, |way| {
        inside(way.target, &way.path, |here| {
            if dev_of(here.path)? != dev {
                return Ok(None);
            }
            snapshot::discard(here.path, name).map(Some)
        })
    })?;
    Ok(if discarded == Some(true) { Outcome::Done } else { Outcome::Already })
}
