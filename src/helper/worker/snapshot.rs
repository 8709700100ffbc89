//! Ops that take a snapshot of a btrfs volume of the run, and discard it.

use super::{
    super::HelperError,
    context::{Context, Done},
    facts::is_host,
    mount::same_dev,
    place::{dev_of, init, inside, ways},
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
pub(super) fn discard(place: &Place, dev: Dev, name: &str) -> Done {
    for way in ways(place)? {
        let done = inside(way.target, &way.path, |here| {
            if dev_of(here.path)? != dev {
                return Ok(None);
            }
            snapshot::discard(here.path, name).map(Some)
        });
        match done {
            Ok(Some(true)) => return Ok(Outcome::Done),
            Ok(Some(false)) => return Ok(Outcome::Already),
            Ok(None) => {}
            Err(error) if error.is(libc::ENOENT) || !way.target.is_alive() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Outcome::Already)
}
