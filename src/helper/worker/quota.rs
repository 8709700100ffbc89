//! Ops on the quotas of a btrfs of the run.

use super::{
    super::HelperError,
    context::{Context, Done},
    facts::is_host,
    mount::same_dev,
    place::{dev_of, init, inside, ways},
};
use crate::{
    host::quota::{self, Group, Quota},
    protocol::{Dev, Outcome, Place, QuotaFacts, QuotaGroup, QuotaWas},
    units::Percent,
};

fn of(group: QuotaGroup) -> Group {
    match group {
        QuotaGroup::Own => Group::Own,
        QuotaGroup::Parent => Group::Parent,
    }
}

/// What a quota group of the filesystem's top subvolume says.
pub(super) fn quota(place: &Place, group: QuotaGroup) -> Result<Option<QuotaFacts>, HelperError> {
    let quota = inside(init(place)?, &place.path, |here| quota::identify(here.path))?;
    let found = Quota::of(&quota, of(group))?;
    Ok(found.map(|Quota { referenced, limit }| QuotaFacts { referenced, limit }))
}

/// Limits the volume so that a share of its quota is in use.
pub(super) fn set(place: &Place, dev: Dev, group: QuotaGroup, used: Percent, cx: &Context) -> Done {
    let target = init(place)?;
    if is_host(target, &place.path, &cx.dir)? {
        let path = &place.path;
        let refused = format!("`{path}` is on the engine's own filesystem, which gets no quota");
        return Err(HelperError::Refused(refused));
    }
    let id = inside(target, &place.path, |here| {
        same_dev(here.path, dev)?;
        quota::enable(here.path)?;
        if group == QuotaGroup::Parent {
            quota::add_parent(here.path)?;
        }
        quota::identify(here.path)
    })?;
    let held = Quota::of(&id, of(group))?.map_or(0, |quota| quota.referenced);
    let limit = limit(held, used);
    inside(target, &place.path, |here| quota::set_limit(here.path, of(group), Some(limit)))?;
    Ok(Outcome::Limited { size: limit, inodes: 0 })
}

/// The limit of which `held` is this share.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size, above 0")]
fn limit(held: u64, used: Percent) -> u64 {
    (held as f64 / used.0.max(1.0) * 100.0) as u64
}

/// Puts back what was there, wherever the filesystem can still be reached. Where it cannot, it has
/// gone with its last user.
pub(super) fn restore(place: &Place, dev: Dev, to: QuotaWas) -> Done {
    for way in ways(place)? {
        let done = inside(way.target, &way.path, |here| {
            if dev_of(here.path)? != dev {
                return Ok(false);
            }
            match to {
                QuotaWas::Off => quota::disable(here.path)?,
                QuotaWas::NoParent => quota::remove_parent(here.path)?,
                QuotaWas::Limited { group, limit } => {
                    quota::set_limit(here.path, of(group), limit)?;
                }
            }
            Ok(true)
        });
        match done {
            Ok(true) => return Ok(Outcome::Done),
            Ok(false) => {}
            // a quota that was set before this one was taken off first, and its limits with it
            Err(error) if error.is(libc::ENOTCONN) => return Ok(Outcome::Already),
            Err(error) if error.is(libc::ENOENT) || !way.target.is_alive() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Outcome::Already)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_the_share_of_the_limit() {
        assert_eq!(limit(1000, Percent(100.0)), 1000);
        assert_eq!(limit(1000, Percent(50.0)), 2000);
        assert_eq!(limit(0, Percent(92.0)), 0);
    }
}
