//! What of a container is not as it was found, beside whether it runs. Pure.

use std::collections::BTreeSet;

use crate::runtime::{ContainerFacts, ContainerMount, RestartPolicy};

/// Every difference that a run could have made, in words: nothing of it comes back by itself.
pub(super) fn differences(before: &ContainerFacts, now: &ContainerFacts) -> Vec<String> {
    let mut found = Vec::new();
    let looks: [(&str, Look); 2] = [("memory limit", memory), ("restart policy", restart)];
    for (what, look) in looks {
        let (was, is) = (look(before), look(now));
        if was != is {
            found.push(format!("has the {what} {is}, and had {was}"));
        }
    }
    let looks: [(&str, Looks); 2] = [("network", networks), ("mount", mounts)];
    for (what, look) in looks {
        let (was, is) = (look(before), look(now));
        found.extend(was.difference(&is).map(|one| format!("has lost its {what} {one}")));
        found.extend(is.difference(&was).map(|one| format!("has got the {what} {one}")));
    }
    found
}

type Look = fn(&ContainerFacts) -> String;
type Looks = fn(&ContainerFacts) -> BTreeSet<String>;

fn memory(facts: &ContainerFacts) -> String {
    match facts.memory {
        None => "of nothing".to_owned(),
        Some(limit) => format!("{} B, with swap {} B", limit.memory, limit.with_swap),
    }
}

fn restart(facts: &ContainerFacts) -> String {
    let policy = match facts.restart {
        RestartPolicy::No => "no",
        RestartPolicy::OnFailure => "on-failure",
        RestartPolicy::Always => "always",
        RestartPolicy::UnlessStopped => "unless-stopped",
    };
    facts.restart_attempts.map_or(policy.to_owned(), |attempts| format!("{policy}:{attempts}"))
}

/// By name and aliases: the addresses are the engine's to choose with every start.
fn networks(facts: &ContainerFacts) -> BTreeSet<String> {
    let of = |network: &crate::runtime::ContainerNetwork| {
        let aliases: BTreeSet<&str> = network.aliases.iter().map(String::as_str).collect();
        let aliases: Vec<&str> = aliases.into_iter().collect();
        let as_which =
            if aliases.is_empty() { String::new() } else { format!(" as {}", aliases.join(", ")) };
        format!("{}{as_which}", network.name)
    };
    facts.networks.iter().map(of).collect()
}

fn mounts(facts: &ContainerFacts) -> BTreeSet<String> {
    let of = |mount: &ContainerMount| {
        let source = if mount.volume.is_empty() { &mount.source } else { &mount.volume };
        let only = if mount.writable { "" } else { ", read-only" };
        format!("{} ({} {source}{only})", mount.destination, mount.kind)
    };
    facts.mounts.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{faults::testing, runtime::MemoryLimit};

    #[test]
    fn whatever_is_not_put_back_is_named() {
        let before = testing::container();
        assert_eq!(differences(&before, &before), Vec::<String>::new());
        let mut now = before.clone();
        now.started_at = "later".into();
        now.networks[0].address = "172.30.0.9".into();
        now.networks[0].aliases.insert(0, "agent".into());
        assert_eq!(differences(&before, &now), Vec::<String>::new(), "of every start");
        now.networks[0].aliases = vec!["other".into()];
        now.memory = Some(MemoryLimit { memory: 1, with_swap: -1 });
        now.restart = RestartPolicy::OnFailure;
        now.restart_attempts = Some(3);
        now.mounts.push(ContainerMount {
            destination: "/data".into(),
            kind: "volume".into(),
            source: "/var/lib/docker/volumes/pg/_data".into(),
            volume: "pg".into(),
            writable: false,
            own: None,
        });
        assert_eq!(
            differences(&before, &now),
            [
                "has the memory limit 1 B, with swap -1 B, and had 134217728 B, with swap 134217728 B",
                "has the restart policy on-failure:3, and had no",
                "has lost its network keelhaul-r1-default as agent",
                "has got the network keelhaul-r1-default as other",
                "has got the mount /data (volume pg, read-only)",
            ]
        );
    }
}
