//! Whom a container's first process runs as, from what was chosen and the image's `/etc/passwd`. Pure.

use super::User;

/// The user of `uid`, `uid:gid`, `name` or `name:group`, as the engine resolves them; none for a
/// name that the files do not know. `added` are further groups, by id or name.
#[must_use]
pub fn resolve(chosen: &str, added: &[String], passwd: &str, group: &str) -> Option<User> {
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
    let name = line.as_ref().and_then(|fields| fields.first().copied()).unwrap_or(user);
    // a group that was chosen takes the place of all that the file knows of
    let mut groups = if chosen_group.is_none() { groups_of(name, group) } else { Vec::new() };
    groups.extend(
        added.iter().filter_map(|add| add.parse().ok().or_else(|| group_called(add, group))),
    );
    Some(User { uid, gid, groups })
}

/// Ids of the groups that list a user as a member.
fn groups_of(user: &str, group: &str) -> Vec<u64> {
    let lines = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let has = |fields: &Vec<&str>| {
        fields
            .get(3)
            .is_some_and(|members| members.split(',').any(|name| !name.is_empty() && name == user))
    };
    lines.filter(has).filter_map(|fields| fields.get(2)?.parse().ok()).collect()
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
        let user = |chosen| resolve(chosen, &[], passwd, group).map(|user| (user.uid, user.gid));
        assert_eq!(user(""), Some((0, 0)));
        assert_eq!(user("agent"), Some((1001, 1002)));
        assert_eq!(user("1001"), Some((1001, 1002)));
        assert_eq!(user("4711"), Some((4711, 0)));
        assert_eq!(user("4711:12"), Some((4711, 12)));
        assert_eq!(user("agent:wheel"), Some((1001, 10)));
        assert_eq!(user("nobody-here"), None);
    }

    #[test]
    fn further_groups_are_those_of_the_file_and_those_added() {
        let passwd = "agent:x:1001:1002::/:/bin/sh\n";
        let group = "agent:x:1002:\ndata:x:30:other,agent\nlogs:x:40:\n";
        let added = ["logs".to_owned(), "50".into(), "unknown".into()];
        let groups = |chosen| resolve(chosen, &added, passwd, group).unwrap().groups;
        assert_eq!(groups("agent"), [30, 40, 50]);
        assert_eq!(groups("1001"), [30, 40, 50]);
        assert_eq!(groups("agent:logs"), [40, 50], "a chosen group stands for the file's");
        assert_eq!(groups("4711"), [40, 50]);
    }
}
