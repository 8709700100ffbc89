//! Every key of a Compose service, and what becomes of it. One more: a line here.

use super::{
    extends::EXTENDS,
    networks,
    service::{Service, basics, environment, files, health, lists, mounts, ports, resources},
};
use crate::scenario::load::node::Entry;

/// What becomes of a key.
pub(super) enum Fate {
    /// It says something of the service under test.
    Taken(fn(&mut Service<'_, '_>, &Entry)),
    /// It changes nothing in a run, and tells something of the service all the same: taken where it can
    /// be read, and never a problem.
    Noted(fn(&mut Service<'_, '_>, &Entry)),
    /// It says nothing of a service in a run of its own: how it is built, found and watched by people.
    Idle,
    /// It changes what the service does, and a run cannot do it.
    Refused,
}

use Fate::{Idle, Noted, Refused, Taken};

pub(super) const KEYS: &[(&str, Fate)] = &[
    ("annotations", Idle),
    ("attach", Idle),
    ("build", Taken(basics::built)),
    ("cap_add", Refused),
    ("cap_drop", Taken(lists::cap_drop)),
    ("cgroup", Refused),
    ("cgroup_parent", Refused),
    ("command", Taken(lists::command)),
    ("configs", Taken(files::files)),
    ("container_name", Idle),
    ("cpu_quota", Refused),
    ("cpu_shares", Idle),
    ("cpus", Taken(resources::cpus)),
    ("cpuset", Refused),
    ("depends_on", Taken(lists::depends_on)),
    ("deploy", Taken(resources::deploy)),
    ("develop", Idle),
    ("device_cgroup_rules", Refused),
    ("devices", Refused),
    ("dns", Refused),
    ("domainname", Refused),
    ("entrypoint", Taken(lists::command)),
    ("env_file", Taken(environment::env_file)),
    ("environment", Taken(environment::environment)),
    ("expose", Idle),
    // was done when the files were read
    (EXTENDS, Idle),
    ("external_links", Refused),
    ("extra_hosts", Refused),
    ("gpus", Refused),
    ("group_add", Refused),
    ("healthcheck", Taken(health::check)),
    ("hostname", Taken(basics::plain)),
    ("image", Taken(basics::plain)),
    ("init", Taken(basics::switch)),
    ("ipc", Refused),
    ("labels", Taken(lists::labels)),
    ("links", Refused),
    ("logging", Idle),
    ("mem_limit", Taken(resources::memory)),
    ("mem_reservation", Idle),
    ("memswap_limit", Refused),
    ("network_mode", Taken(networks::mode)),
    ("networks", Taken(networks::joined)),
    ("oom_kill_disable", Refused),
    ("oom_score_adj", Idle),
    ("pid", Refused),
    ("pids_limit", Refused),
    ("platform", Idle),
    ("ports", Noted(ports::served)),
    ("privileged", Refused),
    ("profiles", Idle),
    ("pull_policy", Taken(basics::pull_policy)),
    ("read_only", Taken(basics::switch)),
    ("restart", Taken(resources::restart)),
    ("runtime", Refused),
    ("scale", Refused),
    ("secrets", Taken(files::files)),
    ("security_opt", Refused),
    ("shm_size", Refused),
    ("stdin_open", Idle),
    ("stop_grace_period", Taken(health::stop_grace)),
    ("stop_signal", Refused),
    ("sysctls", Refused),
    ("tmpfs", Taken(mounts::tmpfs)),
    ("tty", Idle),
    ("ulimits", Taken(resources::ulimits)),
    ("user", Taken(basics::plain)),
    ("userns_mode", Refused),
    ("volumes", Taken(mounts::volumes)),
    ("volumes_from", Refused),
    ("working_dir", Taken(basics::plain)),
];

/// Keys of a Compose file.
pub(super) const TOP: [&str; 8] =
    ["configs", "include", "name", "networks", "secrets", "services", "version", "volumes"];
