//! `host-exposed`: the engine's socket or the host's own directories are in the container.

use std::path::Path;

use crate::{
    audit::{Rule, Seen, Subject, Weight},
    runtime::{ChosenSource, reaches_engine},
};

pub(super) const RULE: Rule = Rule {
    name: "host-exposed",
    weight: Weight::Danger,
    about: "The engine's socket or a directory of the host's system is mounted.",
    risk: "Who breaks into the service, or a slip in it, has the host and the engine that every other container needs.",
    proof: "engine/engine-comes-back",
    shows: "engine-kill",
    keys: &[],
    look,
};

/// Writable, each of them is the host. What lies below may be anybody's own: `/var/www`.
const SYSTEM: [&str; 7] = ["/dev", "/etc", "/home", "/usr", "/usr/local", "/var", "/var/lib"];

/// Whatever is below one of these decides what the host runs, and as whom; or is another container's.
const TREES: [&str; 38] = [
    "/bin",
    "/boot",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.monthly",
    "/etc/cron.weekly",
    "/etc/crontab",
    "/etc/docker",
    "/etc/group",
    "/etc/init.d",
    "/etc/kubernetes",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/modprobe.d",
    "/etc/pam.d",
    "/etc/passwd",
    "/etc/profile.d",
    "/etc/shadow",
    "/etc/ssh",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/systemd",
    "/etc/udev",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/sbin",
    "/sys",
    "/usr/bin",
    "/usr/lib",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/spool/cron",
];

/// In somebody's home: who may log in as them, and what runs when they do.
const LOGIN: [&str; 5] = [".ssh", ".bashrc", ".bash_profile", ".profile", ".zshrc"];

fn is_system(path: &str) -> bool {
    let path = Path::new(path);
    let in_home =
        path.strip_prefix("/home").ok().map(|below| below.components().collect::<Vec<_>>());
    let logs_in = in_home.is_some_and(|parts| match parts.as_slice() {
        // all of a home
        [_] => true,
        [_, first, ..] => LOGIN.iter().any(|name| first.as_os_str() == *name),
        [] => false,
    });
    logs_in
        || SYSTEM.iter().any(|system| path == Path::new(system))
        || TREES.iter().any(|tree| path.starts_with(tree))
}

fn look(subject: &Subject) -> Vec<Seen> {
    let found = subject.choices.mounts.iter().filter_map(|mount| {
        let ChosenSource::Bind(path) = &mount.source else { return None };
        if reaches_engine(path) {
            // a socket mounted read-only is as open as any
            let how = if path.ends_with(".sock") { "is" } else { "may hold" };
            return Some(Seen::at(mount, format!("the host's `{path}` {how} an engine's socket")));
        }
        let system = mount.writable && is_system(path);
        system.then(|| Seen::at(mount, format!("the host's `{path}` is mounted writable")))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_decides_over_the_host_is_known_by_where_it_lies() {
        for path in [
            "/etc",
            "/etc/",
            "/etc/cron.d",
            "/etc/systemd/system",
            "/root/.ssh",
            "/var/lib/docker/volumes",
        ] {
            assert!(is_system(path), "{path}");
        }
        for path in ["/etc/letsencrypt", "/var/www", "/var/lib/shop", "/srv", "/libs"] {
            assert!(!is_system(path), "{path}");
        }
        // of any user
        let home = |below: &str| is_system(&format!("/home/{}{below}", "u"));
        assert!(home("") && home("/.ssh") && home("/.ssh/authorized_keys") && !home("/shop"));
    }
}
