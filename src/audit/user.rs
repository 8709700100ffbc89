//! Whom a container's first process runs as, from what was chosen and the image's `/etc/passwd`. Pure.

use super::User;

/// The user of `uid`, `uid:gid`, `name` or `name:group`, as the engine resolves them; none for a
/// name that the files do not know.
pub(super) fn resolve(chosen: &str, passwd: &str, group: &str) -> Option<User> {
    let (user, chosen_group) = match chosen.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (chosen, None),
    };
    let line = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| {
        fields.first() == Some(&user) || user.parse::<u64>().is_ok() && fields.get(2) == Some(&user)
    });
    let field = |at: usize| line.as_ref()?.get(at)?.parse().ok();
    let uid = if user.is_empty() { Some(0) } else { user.parse().ok().or_else(|| field(2)) }?;
    let gid = match chosen_group.filter(|group| !group.is_empty()) {
        Some(chosen) => chosen.parse().ok().or_else(|| group_called(chosen, group))?,
        // of a user that no line tells of, the engine takes root's group
        None => field(3).unwrap_or(0),
    };
    Some(User { uid, gid })
}

fn group_called(name: &str, group: &str) -> Option<u64> {
    let mut lines = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.first() == Some(&name))?.get(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_resolved_as_the_engine_does() {
        let passwd = "root:x:0:0::/:/bin/sh\nagent:x:1001:1002::/:/bin/sh\n";
        let group = "root:x:0:\nwheel:x:10:\n";
        let user = |chosen| resolve(chosen, passwd, group).map(|user| (user.uid, user.gid));
        assert_eq!(user(""), Some((0, 0)));
        assert_eq!(user("agent"), Some((1001, 1002)));
        assert_eq!(user("1001"), Some((1001, 1002)));
        assert_eq!(user("4711"), Some((4711, 0)));
        assert_eq!(user("4711:12"), Some((4711, 12)));
        assert_eq!(user("agent:wheel"), Some((1001, 10)));
        assert_eq!(user("nobody-here"), None);
    }
}
