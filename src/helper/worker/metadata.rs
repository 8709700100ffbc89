//! Ops on owner, mode and name of a file, and the trial of what a subject may do with it.

use std::path::Path;

use super::{
    super::HelperError,
    context::{Context, Done},
    facts::refused,
    place::{beside, init, inside},
    reach::undo_on,
};
use crate::{
    errno::Errno,
    host::{
        access::{Refusals, try_access},
        aside,
        credentials::Credentials,
        error::HostResult,
        metadata::{self, Change},
        process::Identity,
        selinux,
    },
    protocol::{Access, AccessFacts, Dev, Op, Outcome, Place},
};

/// Performs one of these ops.
pub(super) fn act(op: &Op, cx: &Context) -> Done {
    match op {
        Op::SetOwner { place, file, from, to } => change((place, Some(file.dev)), cx, |path| {
            let (from, to) = ((from.uid, from.gid), (to.uid, to.gid));
            metadata::set_owner(path, cx.meant(*file), from, to)
        }),
        Op::SetMode { place, file, from, to } => change((place, Some(file.dev)), cx, |path| {
            metadata::set_mode(path, cx.meant(*file), *from, *to)
        }),
        Op::SetLabel { place, file, from, to } => change((place, Some(file.dev)), cx, |path| {
            selinux::set_label(path, cx.meant(*file), from, to)
        }),
        Op::SetAside { place, file, kept, content } => {
            change((place, Some(file.dev)), cx, |path| {
                let content = content.as_deref().map(str::as_bytes);
                aside::set_aside(path, cx.meant(*file), kept, content)
            })
        }
        Op::PutBack { place, dev, kept, content } => change((place, *dev), cx, |path| {
            aside::put_back(path, kept, content.as_deref().map(str::as_bytes))
        }),
        other => Err(HelperError::Refused(format!("{other:?} changes no file"))),
    }
}

/// Makes a change where the file can still be reached. Where it cannot, it is gone, or has another
/// name that the subject gave it: neither is for us to follow.
pub(super) fn change(
    at: (&Place, Option<Dev>),
    cx: &Context,
    make: impl Fn(&Path) -> HostResult<Change> + Sync,
) -> Done {
    let made = undo_on(at, cx, |way| match beside(way.target, &way.path, &make)? {
        Change::Made => Ok(Some(Outcome::Done)),
        Change::LeftAlone => Ok(Some(Outcome::Already)),
        Change::Elsewhere => Ok(None),
    })?;
    Ok(made.unwrap_or(Outcome::Already))
}

/// Tries what the container's init may do, and what it might without its capabilities.
pub(super) fn access(place: &Place) -> Result<AccessFacts, HelperError> {
    let target = init(place)?;
    let own = Credentials::of(target)?;
    let bare = own.without_overrides();
    Ok(AccessFacts {
        uid: own.uid,
        own: attempt(target, &place.path, &own)?,
        bare: attempt(target, &place.path, &bare)?,
    })
}

fn attempt(target: Identity, path: &str, who: &Credentials) -> Result<Access, HelperError> {
    let tried = inside(target, path, |here| {
        // the thread ends with this closure, and the credentials with it
        Ok(who.assume().and_then(|()| try_access(here.path)))
    });
    match tried {
        Ok(tried) => {
            let Refusals { read, write } = tried?;
            Ok(Access { read: read.map(name), write: write.map(name) })
        }
        Err(error) => {
            let errno = refused(error)?;
            Ok(Access { read: errno.clone(), write: errno })
        }
    }
}

fn name(errno: Errno) -> String {
    errno.name().map_or_else(|| errno.0.to_string(), str::to_owned)
}
