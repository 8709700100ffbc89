//! `owner-mismatch`: the service's user may not write where it is to write.

use crate::{
    audit::{Rule, Seen, Subject, User, Weight},
    runtime::Owned,
};

pub(super) const RULE: Rule = Rule {
    name: "owner-mismatch",
    weight: Weight::Danger,
    about: "A writable mount belongs to another user than the one that the container runs as.",
    risk: "Every write there is refused with EACCES, at the start or at the first one that matters.",
    proof: "metadata/uid-mismatch",
    shows: "ownership",
    keys: &[],
    look,
};

const WRITE: u32 = 0o2;

fn look(subject: &Subject) -> Vec<Seen> {
    // root writes whatever the bits say
    let Some(user) = subject.user.as_ref().filter(|user| user.uid != 0) else { return Vec::new() };
    let mounts = subject.choices.mounts.iter().filter(|mount| mount.writable);
    let refused = mounts.filter_map(|mount| {
        let owner = subject.owners.get(&mount.destination)?;
        (!may_write(user, *owner)).then(|| {
            let evidence = format!(
                "it runs as {}:{}{}, and {} is owned by {}:{} with mode {:04o}",
                user.uid,
                user.gid,
                in_groups(&user.groups),
                mount.words(),
                owner.uid,
                owner.gid,
                owner.mode
            );
            Seen::at(mount, evidence)
        })
    });
    refused.collect()
}

fn in_groups(groups: &[u64]) -> String {
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    if groups.is_empty() { String::new() } else { format!(" with groups {}", groups.join(", ")) }
}

/// By the bits of the first class that fits, as the kernel looks at them.
fn may_write(user: &User, owner: Owned) -> bool {
    let class = match () {
        () if user.uid == owner.uid => 6,
        () if user.gid == owner.gid || user.groups.contains(&owner.gid) => 3,
        () => 0,
    };
    owner.mode >> class & WRITE != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_class_that_fits_decides() {
        let user = User { uid: 1001, gid: 1002, groups: vec![30] };
        let owner = |uid, gid, mode| Owned { uid, gid, mode, directory: true };
        assert!(may_write(&user, owner(1001, 0, 0o755)));
        assert!(may_write(&user, owner(0, 1002, 0o775)));
        assert!(may_write(&user, owner(0, 0, 0o1777)));
        assert!(!may_write(&user, owner(0, 0, 0o755)));
        assert!(!may_write(&user, owner(1001, 0, 0o577)));
    }

    #[test]
    fn a_group_that_was_added_counts_and_its_bits_decide() {
        let user = User { uid: 1001, gid: 1002, groups: vec![30] };
        let owner = |gid, mode| Owned { uid: 0, gid, mode, directory: true };
        assert!(may_write(&user, owner(30, 0o2770)));
        assert!(!may_write(&user, owner(30, 0o757)), "its class has no right to write");
        assert!(!may_write(&user, owner(31, 0o770)));
    }
}
