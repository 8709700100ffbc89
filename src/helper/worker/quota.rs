//! Ops on the quotas of a btrfs of the run.

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
        quota::{self, Group, Quota},
    },
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
pub(super) fn restore(place: &Place, dev: Dev, to: QuotaWas, cx: &Context) -> Done {
    let restored = undo_on((place, Some(dev)), cx, |way| match put_back(way, dev, to) {
        Err(error) if error.is(libc::EDQUOT) && to != QuotaWas::Off => anew(way, to).map(Some),
        // a quota that was set before this one was taken off first, and its limits with it
        Err(error) if error.is(libc::ENOTCONN) => Ok(Some(Outcome::Already)),
        other => other,
    })?;
    Ok(restored.unwrap_or(Outcome::Already))
}

fn put_back(way: &Way, dev: Dev, to: QuotaWas) -> HostResult<Option<Outcome>> {
    inside(way.target, &way.path, |here| {
        if dev_of(here.path)? != dev {
            return Ok(None);
        }
        match to {
            QuotaWas::Off => quota::disable(here.path)?,
            QuotaWas::NoParent => quota::remove_parent(here.path)?,
            QuotaWas::Limited { group, limit } => {
                quota::set_limit(here.path, of(group), limit)?;
            }
        }
        Ok(Some(Outcome::Done))
    })
}

/// A group that has next to nothing left refuses any change of groups, its own end too. Switched off they
/// are at once; then those come back that stay.
fn anew(way: &Way, to: QuotaWas) -> HostResult<Outcome> {
    let id = inside(way.target, &way.path, |here| quota::identify(here.path))?;
    let parent_stays = to != QuotaWas::NoParent && Quota::of(&id, Group::Parent)?.is_some();
    let mut limits = Vec::new();
    for group in [QuotaGroup::Own, QuotaGroup::Parent] {
        let now = Quota::of(&id, of(group))?.and_then(|quota| quota.limit);
        let limit = match to {
            QuotaWas::Limited { group: meant, limit } if meant == group => limit,
            QuotaWas::NoParent if group == QuotaGroup::Parent => None,
            _ => now,
        };
        limits.extend(limit.map(|limit| (limit, group)));
    }
    // the narrowest last: it would refuse the other
    limits.sort_by_key(|(limit, _)| std::cmp::Reverse(*limit));
    inside(way.target, &way.path, |here| {
        quota::disable(here.path)?;
        quota::enable(here.path)?;
        if parent_stays {
            quota::add_parent(here.path)?;
        }
        let set = |(limit, group): &(u64, QuotaGroup)| {
            quota::set_limit(here.path, of(*group), Some(*limit))
        };
        limits.iter().try_for_each(set)
    })?;
    Ok(Outcome::Done)
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
