//! Ops on names and hard links.

use std::path::Path;

use super::{
    super::HelperError,
    context::Done,
    place::{beside, init, ways},
};
use crate::{
    host::{
        error::{HostError, HostResult},
        file,
        hardlink::{self, LinkChange},
        probe_write::sweep_probes,
    },
    protocol::{Dev, LinkState, Outcome, Place},
};

/// Contents are compared up to this many bytes before a name is put back without its outcome.
const COMPARED: u64 = 1 << 30;

impl From<hardlink::LinkState> for LinkState {
    fn from(state: hardlink::LinkState) -> Self {
        let dev = Dev { major: rustix::fs::major(state.dev), minor: rustix::fs::minor(state.dev) };
        Self { dev, inode: state.inode, links: state.links }
    }
}

impl From<LinkState> for hardlink::LinkState {
    fn from(state: LinkState) -> Self {
        let dev = rustix::fs::makedev(state.dev.major, state.dev.minor);
        Self { dev, inode: state.inode, links: state.links }
    }
}

fn outcome(change: LinkChange) -> Outcome {
    Outcome::Linked { before: change.before.into(), after: change.after.into() }
}

/// Replaces a name by a copy.
pub(super) fn replace_by_copy(place: &Place) -> Done {
    Ok(outcome(beside(init(place)?, &place.path, hardlink::copy_and_replace)?))
}

/// Makes overlayfs copy a file up.
pub(super) fn copy_up(place: &Place) -> Done {
    Ok(outcome(beside(init(place)?, &place.path, hardlink::copy_up)?))
}

/// Puts a name back.
///
/// Without the state that the fault left, the name is put back only while it has the very bytes of
/// its sibling: then nothing that the subject wrote can be lost.
pub(super) fn relink(place: &Place, of: &str, ours: Option<LinkState>) -> Done {
    let Some(way) = ways(place)?.into_iter().next() else { return Ok(Outcome::Already) };
    if way.path != place.path {
        return Err(HelperError::Refused(format!(
            "the container of `{}` is gone, and its names with it",
            place.path
        )));
    }
    let relinked = beside(way.target, &way.path, |path| {
        sweep_probes(path.parent().unwrap_or(Path::new("/")))?;
        let of = Path::new(of);
        let now = hardlink::LinkState::of(path)?;
        let expected = match ours {
            Some(ours) => ours.into(),
            None if now.same_file(hardlink::LinkState::of(of)?) || same_bytes(path, of)? => now,
            None => {
                let detail = "its content has changed since it was replaced".to_owned();
                return Err(HostError::NotOurs { path: path.to_owned(), detail });
            }
        };
        match hardlink::relink(path, of, expected) {
            // the subject has put something of its own there: nothing of ours is left
            Err(HostError::NotOurs { .. }) if ours.is_some() => Ok(None),
            other => other.map(Some),
        }
    })?;
    let Some(change) = relinked else { return Ok(Outcome::Already) };
    if change.before.same_file(change.after) {
        return Ok(Outcome::Already);
    }
    Ok(outcome(change))
}

fn same_bytes(one: &Path, other: &Path) -> HostResult<bool> {
    Ok(file::sha256(one, COMPARED)? == file::sha256(other, COMPARED)?)
}
