//! Who else uses a filesystem, and who only passes by: a container that is being started has every mount of the
//! host for a moment, and so has whatever the engine does in a namespace of its own.
//!
//! Patience never allows anything: only a look that finds nobody does.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::host::{error::HostResult, superblock_users::SuperblockUser};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Who is seen in so many looks is somebody.
const LOOKS: u32 = 5;
/// Looks at whom others follow, or who is still being started: containers are started one after the
/// other, and slowly on a busy host.
const MOST: u32 = 25;
/// Nor longer than this, on a host where a look takes its time: whoever asked waits for ten seconds.
const AT_MOST: Duration = Duration::from_secs(6);
/// What a process of runc is called until it is the container's own program.
const STARTING: &str = "runc:[";

/// Looks until nobody is there, or until somebody stays; what was seen last.
///
/// # Errors
/// When a look fails.
pub(super) fn wait_for(
    mut look: impl FnMut() -> HostResult<Vec<SuperblockUser>>,
    mut command: impl FnMut(u32) -> String,
    mut pause: impl FnMut(Duration),
) -> HostResult<Vec<SuperblockUser>> {
    let mut seen: BTreeMap<SuperblockUser, u32> = BTreeMap::new();
    let (mut looks, began) = (0, Instant::now());
    loop {
        let found = look()?;
        looks += 1;
        seen.retain(|user, _| found.contains(user));
        for user in &found {
            *seen.entry(user.clone()).or_default() += 1;
        }
        let stays = |(user, times): (&SuperblockUser, &u32)| {
            *times >= LOOKS && !command(user.pid).starts_with(STARTING)
        };
        let late = looks >= MOST || began.elapsed() >= AT_MOST;
        if found.is_empty() || late || seen.iter().any(stays) {
            return Ok(found);
        }
        pause(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::superblock_users::Held;

    fn user(pid: u32) -> SuperblockUser {
        SuperblockUser { pid, held: Held::Mount("/data".into()) }
    }

    /// Who is left after how many looks, where this is who is seen in each.
    fn left(seen: impl Fn(u32) -> Vec<u32>, command: &str) -> (Vec<u32>, u32) {
        let mut looks = 0;
        let look = || {
            looks += 1;
            Ok(seen(looks).into_iter().map(user).collect())
        };
        let found = wait_for(look, |_| command.to_owned(), |_| ()).unwrap();
        (found.into_iter().map(|user| user.pid).collect(), looks)
    }

    #[test]
    fn nobody_is_allowed_at_once_and_who_stays_is_somebody() {
        assert_eq!(left(|_| vec![], "tail"), (vec![], 1));
        assert_eq!(left(|_| vec![7], "tail"), (vec![7], LOOKS));
    }

    #[test]
    fn who_is_followed_by_others_is_waited_for() {
        let one_by_one = |look| if look < 12 { vec![100 + look] } else { vec![] };
        assert_eq!(left(one_by_one, "tail"), (vec![], 12));
        // one that stays is not hidden behind those that pass by
        let beside = |look: u32| if look < 3 { vec![100 + look] } else { vec![7, 100 + look] };
        assert_eq!(left(beside, "tail"), (vec![7, 107], 7));
        // and if they never end, nobody says that there is no one
        assert_eq!(left(|look| vec![100 + look], "tail"), (vec![100 + MOST], MOST));
    }

    #[test]
    fn who_is_being_started_has_longer_and_no_name_allows_anything() {
        let slow = |look| if look < 15 { vec![7] } else { vec![] };
        assert_eq!(left(slow, "runc:[2:INIT]"), (vec![], 15));
        assert_eq!(left(slow, "tail"), (vec![7], LOOKS));
        assert_eq!(left(|_| vec![7], "runc:[2:INIT]"), (vec![7], MOST));
    }
}
