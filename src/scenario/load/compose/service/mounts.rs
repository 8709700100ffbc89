//! `volumes` and `tmpfs` of a service, in their short and long forms. What has no name in the file
//! becomes a volume called `SERVICE-PATH`.

use super::{
    super::{build, values},
    Service,
};
use crate::{
    diagnostic::suggest,
    scenario::load::node::{Entry, Node, Value},
    units::Size,
};

/// A mount as it is written.
struct Written<'n> {
    node: &'n Node,
    /// Name of a volume, or path on the host; none for an anonymous volume.
    source: Option<String>,
    target: String,
    read_only: bool,
    no_copy: bool,
}

pub(in crate::scenario::load::compose) fn volumes(service: &mut Service<'_, '_>, part: &Entry) {
    if !matches!(part.value.value, Value::List(_) | Value::Null) {
        service.wants(&part.key, "a list", &part.value);
    }
    for item in part.value.items() {
        let written = match &item.value {
            Value::Map(_) => long(service, item),
            _ => short(service, item),
        };
        if let Some(written) = written {
            mount(service, part, &written);
        }
    }
}

/// `TARGET`, `SOURCE:TARGET` or `SOURCE:TARGET:OPTIONS`.
fn short<'n>(service: &mut Service<'_, '_>, node: &'n Node) -> Option<Written<'n>> {
    // how files are labelled and cached changes nothing of what is in them
    const IDLE: [&str; 7] = ["", "rw", "z", "Z", "cached", "delegated", "consistent"];
    let words: Vec<&str> = build::word(node).unwrap_or_default().split(':').collect();
    let (source, target, options) = match words.as_slice() {
        [target] if !target.is_empty() => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, options] => (Some(*source), *target, *options),
        _ => {
            service.wants("volumes", "`SOURCE:TARGET` or a map with `target`", node);
            return None;
        }
    };
    let (mut read_only, mut no_copy) = (false, false);
    for option in options.split(',').filter(|option| !IDLE.contains(option)) {
        match option {
            "ro" => read_only = true,
            "nocopy" => no_copy = true,
            other => service.refuse(&build::entry(other, node.span, node.clone())),
        }
    }
    Some(Written {
        node,
        source: source.map(str::to_owned),
        target: target.to_owned(),
        read_only,
        no_copy,
    })
}

/// A map with `type`, `source` and `target`.
fn long<'n>(service: &mut Service<'_, '_>, node: &'n Node) -> Option<Written<'n>> {
    known_keys(service, node);
    let word = |key: &str| node.get(key).and_then(build::word).map(str::to_owned);
    let Some(target) = word("target") else {
        service.wants("volumes", "a map with `target`", node);
        return None;
    };
    let of = |outer: &str, inner: &str| node.get(outer).and_then(|it| it.entry(inner));
    let read_only = service.flag(node.entry("read_only"), false);
    if word("type").as_deref() == Some("tmpfs") {
        let size = of("tmpfs", "size").and_then(|it| build::word(&it.value));
        memory(service, node, &Memory { target: &target, size, mode: None, read_only });
        return None;
    }
    let no_copy = service.flag(of("volume", "nocopy"), false);
    let source = match (word("type").as_deref(), word("source")) {
        (Some("bind"), Some(path)) if !is_path(&path) => Some(format!("./{path}")),
        (_, source) => source,
    };
    Some(Written { node, source, target, read_only, no_copy })
}

/// What a mount may say, and what it may say of its kind.
fn known_keys(service: &mut Service<'_, '_>, node: &Node) {
    const KNOWN: [&str; 8] =
        ["type", "source", "target", "read_only", "bind", "volume", "tmpfs", "consistency"];
    // what else is said of a kind changes what the service finds there
    const TAKEN: [(&str, &[&str]); 3] = [
        ("bind", &["create_host_path", "selinux"]),
        ("volume", &["nocopy", "labels"]),
        ("tmpfs", &["size"]),
    ];
    for entry in node.entries().iter().filter(|entry| !KNOWN.contains(&&*entry.key)) {
        let hint = suggest(&entry.key, KNOWN).unwrap_or_default();
        let text = format!("unknown key `{}` in a mount\n\nhint: {hint}", entry.key);
        service.unknown(entry, text);
    }
    for (kind, taken) in TAKEN {
        let options = node.get(kind).map(Node::entries).unwrap_or_default();
        for option in options.iter().filter(|option| !taken.contains(&&*option.key)) {
            service.refuse(option);
        }
    }
}

fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~'])
}

/// Gives the service its mount, and the scenario the volume, where the file has none of that name.
fn mount(service: &mut Service<'_, '_>, part: &Entry, written: &Written<'_>) {
    let span = written.node.span;
    let volume = match &written.source {
        Some(source) if source.starts_with('~') => {
            let (name, target) = (service.name, &written.target);
            let Some(volume) = service.file.home(name, target, (source, written.node)) else {
                return;
            };
            volume
        }
        Some(source) if is_path(source) => {
            let Some(path) = service.file.host_path(source, written.node) else { return };
            let bind = build::single("bind", build::single("path", build::text(span, &path)));
            service.file.new_volume(service.name, &written.target, bind)
        }
        Some(name) => {
            if !service.file.use_volume(name, written.node, written.no_copy) {
                return;
            }
            name.clone()
        }
        None => {
            let empty = build::single("docker", build::map(span, Vec::new()));
            service.file.new_volume(service.name, &written.target, empty)
        }
    };
    let (target, read_only) = (&written.target, written.read_only);
    give(service, part, &Mounted { target, volume: &volume, read_only }, written.node);
}

/// A volume at its place.
pub(super) struct Mounted<'n> {
    pub(super) target: &'n str,
    pub(super) volume: &'n str,
    pub(super) read_only: bool,
}

/// Mounts a volume of the scenario.
pub(super) fn give(
    service: &mut Service<'_, '_>,
    part: &Entry,
    &Mounted { target, volume, read_only }: &Mounted<'_>,
    node: &Node,
) {
    let name = build::text(node.span, volume);
    let value = match read_only {
        false => name,
        true => build::map(
            node.span,
            vec![
                build::entry("volume", node.span, name),
                build::entry("read_only", node.span, build::flag(node.span, true)),
            ],
        ),
    };
    let path = match target {
        "/" => target,
        target => target.trim_end_matches('/'),
    };
    let mount = build::map(node.span, vec![build::entry(path, node.span, value)]);
    service.give("mounts", part, mount);
}

/// `tmpfs`: a path with options, or a list of such.
pub(in crate::scenario::load::compose) fn tmpfs(service: &mut Service<'_, '_>, part: &Entry) {
    let items = match &part.value.value {
        Value::List(items) => items.as_slice(),
        _ => std::slice::from_ref(&part.value),
    };
    for item in items {
        let Some(word) = build::word(item) else {
            service.wants(&part.key, "a path, or a list of paths", item);
            continue;
        };
        let asked = asked(service, item, word);
        memory(service, item, &asked);
    }
}

/// A tmpfs as it is asked for.
#[derive(Default)]
struct Memory<'n> {
    target: &'n str,
    size: Option<&'n str>,
    mode: Option<&'n str>,
    read_only: bool,
}

/// `TARGET` or `TARGET:OPTIONS`.
fn asked<'n>(service: &mut Service<'_, '_>, item: &Node, word: &'n str) -> Memory<'n> {
    // the engine's own choices
    const IDLE: [&str; 5] = ["", "rw", "noexec", "nosuid", "nodev"];
    let (target, options) = word.split_once(':').unwrap_or((word, ""));
    let mut asked = Memory { target, ..Memory::default() };
    for option in options.split(',').filter(|option| !IDLE.contains(option)) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", size) => asked.size = Some(size),
            ("mode", mode) => asked.mode = Some(mode),
            ("ro", _) => asked.read_only = true,
            (other, _) => service.refuse(&build::entry(other, item.span, item.clone())),
        }
    }
    asked
}

fn memory(service: &mut Service<'_, '_>, node: &Node, asked: &Memory<'_>) {
    let mut limits = Vec::new();
    if let Some(size) = asked.size {
        match values::bytes(size) {
            Some(bytes) => {
                let size = build::text(node.span, &Size(bytes).to_string());
                limits.push(build::entry("size", node.span, size));
            }
            None => service.wants("size", "a size like `64m`", node),
        }
    }
    if let Some(mode) = asked.mode {
        let mode = format!("{:0>4}", mode.trim_start_matches('0'));
        limits.push(build::entry("mode", node.span, build::text(node.span, &mode)));
    }
    let volume = build::single("tmpfs", build::map(node.span, limits));
    let name = service.file.new_volume(service.name, asked.target, volume);
    let part = build::entry("tmpfs", node.span, node.clone());
    let (target, read_only) = (asked.target, asked.read_only);
    give(service, &part, &Mounted { target, volume: &name, read_only }, node);
}
