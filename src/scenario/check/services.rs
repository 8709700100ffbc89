//! Services and volumes: mounts, dependencies, and volumes that cannot be shared.

use std::collections::BTreeMap;

use super::Cx;
use crate::{
    diagnostic::suggest,
    runtime::ENGINE_DATA,
    scenario::Depends,
    volumes::{Filesystem, VolumeSpec},
};

/// What keelhaul's own labels begin with.
const OWN_LABELS: &str = "keelhaul.";

/// Checks them.
pub(super) fn check(cx: &mut Cx<'_>) {
    if cx.scenario.services.is_empty() {
        let text = "there is nothing to test\n\nhint: declare a service: `agent: { image: … }`";
        cx.report(&["services".into()], text);
    }
    volumes(cx);
    labels(cx);
    mounts(cx);
    depends(cx);
    engines(cx);
    cycles(cx);
}

/// By its own labels keelhaul finds again what it made, to remove it.
fn labels(cx: &mut Cx<'_>) {
    for (name, service) in &cx.scenario.services {
        for key in service.labels.keys().filter(|key| key.starts_with(OWN_LABELS)) {
            let text = format!(
                "labels that begin with `{OWN_LABELS}` are keelhaul's own: by them it finds what it made\n\nhint: give `{key}` another name"
            );
            let path = ["services".into(), name.into(), "labels".into(), key.into()];
            cx.report(&path, text);
        }
    }
}

/// An engine keeps its layers on a volume, and is what it is.
fn engines(cx: &mut Cx<'_>) {
    for (name, service) in cx.scenario.services.iter().filter(|(_, service)| service.is_engine()) {
        if !service.mounts.contains_key(ENGINE_DATA) {
            let text = format!(
                "an engine needs a volume for its data\n\nhint: write `mounts: {{ {ENGINE_DATA}: data }}`, and `volumes: {{ data: {{ ext4: {{ size: 512MiB }} }} }}`"
            );
            cx.report(&["services".into(), name.into()], text);
        }
        let fixed = [
            ("entrypoint", service.entrypoint.is_some()),
            ("command", service.command.is_some()),
            ("user", service.user.is_some()),
            ("read_only", service.read_only),
        ];
        for (key, _) in fixed.into_iter().filter(|(_, given)| *given) {
            let text = format!(
                "`{key}` cannot be given to an engine of the scenario's own\n\nhint: remove it; `args` are the engine's own, such as `[--live-restore]`"
            );
            cx.report(&["services".into(), name.into(), key.into()], text);
        }
    }
}

fn volumes(cx: &mut Cx<'_>) {
    for (name, volume) in &cx.scenario.volumes {
        for text in volume.check(cx.host_wide()) {
            cx.report_below(&["volumes".into(), name.into()], &text);
        }
        if let Some(lower) = volume.beneath() {
            beneath(cx, name, lower);
        }
    }
}

/// What a volume lies on is a directory of the run's own.
fn beneath(cx: &mut Cx<'_>, name: &str, lower: &str) {
    let volumes = &cx.scenario.volumes;
    let kind = cx.volume(lower).map(|spec| (spec.name(), spec.shares_host()));
    let text = match kind {
        Some(("bind", true)) => return,
        Some(_) => format!(
            "`{lower}` is no directory of the run's own\n\nhint: make it `{lower}: {{ bind: {{}} }}`"
        ),
        None => {
            let hint = suggest(lower, volumes.keys().map(String::as_str)).unwrap_or_else(|| {
                format!("declare it: `volumes: {{ {lower}: {{ bind: {{}} }} }}`")
            });
            format!("no volume is called `{lower}`\n\nhint: {hint}")
        }
    };
    let kind = volumes[name].name();
    cx.report(&["volumes".into(), name.into(), kind.into(), "lower".into()], text);
}

fn mounts(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    let mut tmpfs = Tmpfs::new();
    for (name, service) in &scenario.services {
        for (point, mount) in &service.mounts {
            let path = ["services".into(), name.into(), "mounts".into(), point.into()];
            if !point.starts_with('/') || point == "/" || point.contains("..") {
                let text = format!(
                    "`{point}` is not a place to mount at\n\nhint: write an absolute path below `/`"
                );
                cx.report(&path, text);
            }
            let Some(volume) = cx.volume(&mount.volume) else {
                let hint = suggest(&mount.volume, scenario.volumes.keys().map(String::as_str));
                let hint = hint.unwrap_or_else(|| {
                    format!("declare it: `volumes: {{ {}: {{ docker: {{}} }} }}`", mount.volume)
                });
                let text = format!("no volume is called `{}`\n\nhint: {hint}", mount.volume);
                cx.report(&path, text);
                continue;
            };
            if mount.relabel.is_some()
                && let Some(text) = relabelled(volume, point)
            {
                cx.report(&path, text);
            }
            if volume.filesystem() == Some(Filesystem::Tmpfs) {
                of_one_service(cx, &mut tmpfs, &mount.volume, (name, point));
            }
        }
    }
}

/// Who mounts a tmpfs first, and where.
type Tmpfs<'a> = BTreeMap<&'a str, (&'a str, &'a str)>;

/// No two services share a tmpfs.
fn of_one_service<'a>(
    cx: &mut Cx<'_>,
    tmpfs: &mut Tmpfs<'a>,
    volume: &'a str,
    (name, point): (&'a str, &'a str),
) {
    let (other, at) = *tmpfs.entry(volume).or_insert((name, point));
    if other == name {
        return;
    }
    let text = format!(
        "`{volume}` is a tmpfs, which each container has for itself, and `{other}` mounts it too\n\nhint: use a `docker` or `ext4` volume to share, or two tmpfs volumes"
    );
    let path = ["services".into(), name.into(), "mounts".into(), point.into()];
    let first = ["services".into(), other.into(), "mounts".into(), at.into()];
    cx.report_with(&path, text, "mounted first here", &first);
}

/// Why a volume is not labelled at a wish.
fn relabelled(volume: &VolumeSpec, point: &str) -> Option<String> {
    let (name, interposed) = (volume.name(), volume.interpose().is_some());
    match name {
        "bind" if !volume.shares_host() => Some(
            "`relabel` is for a directory that the run makes: the labels of yours would not come back\n\nhint: leave it out, or leave `path` out".to_owned(),
        ),
        "bind" if point.contains(':') => Some(
            "a mount with `relabel` cannot have a colon in its path\n\nhint: the engine takes it as `SOURCE:TARGET:OPTIONS`; mount it elsewhere".to_owned(),
        ),
        "bind" if !interposed => None,
        "bind" => Some("`relabel` and `interpose: file` do not go together: a filesystem of ours keeps no labels\n\nhint: leave one of them out".to_owned()),
        _ => Some(format!(
            "`relabel` is for a directory of the host, and this is a `{name}` volume, which the engine labels always\n\nhint: leave it out, or use a `bind` volume"
        )),
    }
}

fn depends(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    for (name, service) in &scenario.services {
        for (other, how) in &service.depends_on {
            let path = ["services".into(), name.into(), "depends_on".into(), other.into()];
            let Some(dependency) = scenario.services.get(other) else {
                let hint = suggest(other, scenario.services.keys().map(String::as_str));
                let hint = hint.unwrap_or_default();
                cx.report(&path, format!("no service is called `{other}`\n\nhint: {hint}"));
                continue;
            };
            let known = dependency.attach.is_none();
            if known && *how == Depends::ServiceHealthy && dependency.healthcheck.is_none() {
                let text = format!(
                    "`{other}` has no `healthcheck` here, so it may never become healthy\n\nhint: give it one, or write `{other}: service_started`"
                );
                cx.report(&path, text);
            }
        }
    }
}

/// Reports each cycle once, at its first service by name.
fn cycles(cx: &mut Cx<'_>) {
    let scenario = cx.scenario;
    for start in scenario.services.keys() {
        let Some(mut cycle) = way_back(cx, start) else { continue };
        if cycle.iter().any(|name| *name < start.as_str()) {
            continue;
        }
        cycle.push(start);
        let next = cycle[1];
        let way: Vec<String> = cycle.iter().map(|name| format!("`{name}`")).collect();
        let text = format!(
            "services wait for each other: {}\n\nhint: remove one of these dependencies",
            way.join(" → ")
        );
        cx.report(&["services".into(), start.into(), "depends_on".into(), next.into()], text);
    }
}

/// The services on the shortest way from a service back to itself, itself first.
fn way_back<'a>(cx: &Cx<'a>, start: &'a str) -> Option<Vec<&'a str>> {
    let scenario = cx.scenario;
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(name) = queue.pop_front() {
        for next in scenario.services.get(name)?.depends_on.keys() {
            if next == start {
                let mut way = vec![name];
                while let Some(previous) = came_from.get(way[way.len() - 1]) {
                    way.push(previous);
                }
                way.reverse();
                return Some(way);
            }
            if scenario.services.contains_key(next) && !came_from.contains_key(next.as_str()) {
                came_from.insert(next, name);
                queue.push_back(next);
            }
        }
    }
    None
}
