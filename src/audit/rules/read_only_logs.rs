//! `read-only-logs`: logs are to be written where nothing can be.

use std::path::Path;

use crate::{
    audit::{Rule, Seen, Subject, Weight, paths},
    runtime::{ChosenMount, ChosenSource},
};

pub(super) const RULE: Rule = Rule {
    name: "read-only-logs",
    weight: Weight::Danger,
    about: "The directory for logs is mounted read-only.",
    risk: "The first line of the log fails with EROFS, and many services end on it.",
    proof: "mount/readonly-log-dir",
    shows: "read-only",
    keys: &[],
    look,
};

/// The host and its services log there.
const HOST_LOGS: &str = "/var/log";

fn look(subject: &Subject) -> Vec<Seen> {
    let mounts = subject.choices.mounts.iter().filter(|mount| !mount.writable);
    let found = mounts.filter(|mount| paths::is_for_logs(&mount.destination));
    let own = found.filter(|mount| !of_others(subject, mount));
    own.map(|mount| Seen::at(mount, format!("{} is mounted read-only", mount.words()))).collect()
}

/// The logs are the host's or another container's, which is who writes them: whoever mounts them
/// read-only collects them.
fn of_others(subject: &Subject, mount: &ChosenMount) -> bool {
    let of_host = match &mount.source {
        ChosenSource::Bind(path) => Path::new(path).starts_with(HOST_LOGS),
        _ => false,
    };
    of_host || subject.writers.get(&mount.destination).is_some_and(|others| !others.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_reads_the_logs_of_others_is_not_warned() {
        let found = |source: &str, destination: &str, writer: Option<&str>| {
            let mount = ChosenMount {
                destination: destination.into(),
                source: ChosenSource::Bind(source.into()),
                writable: false,
            };
            let writers =
                [(destination.to_owned(), writer.map(str::to_owned).into_iter().collect())];
            let mut subject = Subject { writers: writers.into(), ..Subject::default() };
            subject.choices.mounts.push(mount);
            !look(&subject).is_empty()
        };
        assert!(found("/srv/logs", "/var/log/app", None));
        assert!(found("/var/logs", "/var/log/app", None));
        assert!(!found("/srv/logs", "/var/log/app", Some("app")), "the other writes them");
        assert!(!found("/var/log", "/var/log", None), "the host writes them");
        assert!(!found("/var/log/journal", "/logs", None), "the host writes them");
    }
}
