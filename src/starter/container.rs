//! A container as the lines of a scenario that make one like it. Pure.

use std::fmt::Write as _;

use super::{Over, yaml};
use crate::{
    runtime::{Choices, ChosenMount, ChosenSource},
    units::Size,
};

/// What stands in for a secret: in a run of its own, any will do.
const STAND_IN: &str = "keelhaul-starter";
/// Words of variables whose values must not get into a file.
const SECRETS: [&str; 6] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL", "PRIVATE"];

/// The `volumes` and `services` of a container, with this volume in place of the one of that name.
/// `inherited` is what its image says of the environment already.
#[must_use]
pub fn container(name: &str, choices: &Choices, inherited: &[String], over: Over<'_>) -> String {
    let mut text = String::from("volumes:\n");
    for mount in &choices.mounts {
        let Some(spec) = volume(mount) else { continue };
        let own = volume_name(mount);
        let spec = over.filter(|(name, _)| *name == own).map_or(spec, |(_, over)| over.to_owned());
        // writing to a string cannot fail
        let _ = writeln!(text, "  {own}: {spec}");
    }
    if choices.mounts.iter().all(|mount| volume(mount).is_none()) {
        text.clear();
    }
    let _ = writeln!(text, "services:\n  {name}:\n    image: {}", yaml::text(&choices.image));
    let _ = writeln!(text, "    pull: never");
    for (key, words) in [("entrypoint", &choices.entrypoint), ("command", &choices.command)] {
        if !words.is_empty() {
            let _ = writeln!(text, "    {key}: {}", yaml::list(words));
        }
    }
    environment(&mut text, choices, inherited);
    limits(&mut text, choices);
    let mounts: Vec<String> = choices.mounts.iter().filter_map(mounted).collect();
    if !mounts.is_empty() {
        let _ = writeln!(text, "    mounts: {{ {} }}", mounts.join(", "));
    }
    text
}

fn environment(text: &mut String, choices: &Choices, inherited: &[String]) {
    let own: Vec<&String> = choices.env.iter().filter(|pair| !inherited.contains(pair)).collect();
    if own.is_empty() {
        return;
    }
    let _ = writeln!(text, "    env:");
    for (key, value) in own.iter().filter_map(|pair| pair.split_once('=')) {
        let upper = key.to_uppercase();
        let secret = SECRETS.iter().any(|word| upper.contains(word)) && !upper.ends_with("_FILE");
        let (value, remark) =
            if secret { (STAND_IN, " # stands in for yours") } else { (value, "") };
        let _ = writeln!(text, "      {}: {}{remark}", yaml::text(key), yaml::text(value));
    }
}

fn limits(text: &mut String, choices: &Choices) {
    if !choices.user.is_empty() {
        let _ = writeln!(text, "    user: {}", yaml::text(&choices.user));
    }
    if let Some(memory) = choices.memory {
        let _ = writeln!(text, "    memory: {}", Size(memory));
    }
    let restart = serde_json::to_value(choices.restart).unwrap_or_default();
    let _ = writeln!(text, "    restart: {restart}");
    if let Some(check) = &choices.health {
        let command = yaml::list(check);
        let _ = writeln!(text, "    healthcheck: {{ command: {command}, timeout: 5s }}");
    }
}

/// `PATH: VOLUME`, or with the option that it is read-only.
fn mounted(mount: &ChosenMount) -> Option<String> {
    volume(mount)?;
    let (path, name) = (yaml::text(&mount.destination), volume_name(mount));
    Some(match mount.writable {
        true => format!("{path}: {name}"),
        false => format!("{path}: {{ volume: {name}, read_only: true }}"),
    })
}

/// A file or directory of the host is mounted as it is where it is only read.
#[must_use]
pub fn reads_host(choices: &Choices) -> bool {
    let bind = |mount: &ChosenMount| matches!(mount.source, ChosenSource::Bind(_));
    choices.mounts.iter().any(|mount| bind(mount) && !mount.writable)
}

/// The run's own and empty, where the container may write.
fn volume(mount: &ChosenMount) -> Option<String> {
    Some(match &mount.source {
        ChosenSource::Bind(path) if !mount.writable => {
            format!("{{ bind: {{ path: {} }} }}", yaml::text(path))
        }
        ChosenSource::Volume(_) | ChosenSource::Bind(_) => "{ docker: {} }".into(),
        ChosenSource::Tmpfs(size) => match size.as_deref().and_then(bytes) {
            Some(bytes) => format!("{{ tmpfs: {{ size: {} }} }}", Size(bytes)),
            None => "{ tmpfs: {} }".into(),
        },
        ChosenSource::Other(_) => return None,
    })
}

/// `64m` or `65536`, as mount options have it.
fn bytes(size: &str) -> Option<u64> {
    let end = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
    let shift = match size[end..].to_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    size[..end].parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// A name from the path: the volume's own may be none that a scenario can have.
fn volume_name(mount: &ChosenMount) -> String {
    let words = mount.destination.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<String> = words.filter(|it| !it.is_empty()).map(str::to_lowercase).collect();
    if words.is_empty() { "root".into() } else { words.join("-") }
}
