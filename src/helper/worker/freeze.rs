//! Freezing a filesystem of the run, and thawing it by whatever way is left.
//!
//! Only what lies on one of the run's own images is ever frozen: such a superblock holds nothing of
//! anybody else's.

use std::path::{Path, PathBuf};

use super::{
    super::HelperError,
    context::{Context, Done},
    errand::{self, Errand, TouchErrand},
    image::{self, nodes},
    mount::same_dev,
    place::{dev_of, init, inside, undo_ways},
};
use crate::{
    host::{
        error::HostError,
        freeze::{freeze_by, thaw, thaw_device},
        loop_device::{self, Backing},
    },
    protocol::{Dev, Outcome, Place},
};

/// Freezes the filesystem at `place`, which must lie on this image of the run.
pub(super) fn stall(place: &Place, dev: Dev, name: &str, cx: &Context) -> Done {
    let devices = devices(cx, name)?;
    inside(init(place)?, &place.path, |here| {
        same_dev(here.path, dev)?;
        let table = here.mounts.read()?;
        let source = table.covering(here.path).map(|mount| PathBuf::from(&mount.source));
        let source = source.as_deref().and_then(Path::file_name).map(ToOwned::to_owned);
        let ours = devices.iter().any(|node| node.file_name() == source.as_deref());
        if !ours {
            let detail = format!("it does not lie on the run's image `{name}`");
            return Err(HostError::NotOurs { path: here.path.to_owned(), detail });
        }
        freeze_by(here.path, cx.deadline)
    })?;
    Ok(Outcome::Done)
}

/// Thaws it: through its container, through the engine's mount, or, when nobody has it mounted any
/// more, through its device, which a frozen filesystem stays on.
pub(super) fn resume(place: &Place, dev: Dev, name: &str, fs_type: &str, cx: &Context) -> Done {
    if let Some(done) = resume_by_ways(place, dev)? {
        return Ok(done);
    }
    let mut done = Outcome::Already;
    for node in devices(cx, name)? {
        if thaw_device(&node, fs_type)? {
            done = Outcome::Done;
        }
    }
    Ok(done)
}

/// Thaws it where it is mounted; none where it is not.
pub(super) fn resume_by_ways(place: &Place, dev: Dev) -> Result<Option<Outcome>, HelperError> {
    for way in undo_ways(place)? {
        let thawed = inside(way.target, &way.path, |here| {
            if dev_of(here.path)? == dev { thaw(here.path).map(Some) } else { Ok(None) }
        });
        if let Ok(Some(thawed)) = thawed {
            return Ok(Some(if thawed { Outcome::Done } else { Outcome::Already }));
        }
    }
    Ok(None)
}

/// The loop devices of an image of the run.
fn devices(cx: &Context, name: &str) -> Result<Vec<PathBuf>, HelperError> {
    let backing = match Backing::of(&image::path(cx, name)?) {
        Ok(backing) => backing,
        Err(error) if error.is(libc::ENOENT) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let devices = loop_device::find(&nodes(), backing)?;
    Ok(devices.into_iter().map(|device| device.node).collect())
}

/// After how many microseconds a change at `place` comes back; `None` when it does not in time.
pub(super) fn answers(place: &Place, within_ms: u64) -> Result<Option<u64>, HelperError> {
    let errand = TouchErrand { target: init(place)?, path: place.path.clone() };
    errand::send(&Errand::Touch(errand), std::time::Duration::from_millis(within_ms))
}
