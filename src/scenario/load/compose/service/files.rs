//! `secrets` and `configs`: files of the host that are mounted read-only, as Compose itself does it. A
//! secret lies below `/run/secrets`, a configuration at `/NAME`, unless the service says where.

use super::{
    super::build,
    Service,
    mounts::{Mounted, give},
};
use crate::scenario::load::{
    node::{Entry, Node, Value},
    problem::Problem,
};

pub(in crate::scenario::load::compose) fn files(service: &mut Service<'_, '_>, part: &Entry) {
    if !matches!(part.value.value, Value::List(_) | Value::Null) {
        service.wants(&part.key, "a list", &part.value);
    }
    for item in part.value.items() {
        let Some(name) = build::word(item.get("source").unwrap_or(item)) else {
            service.wants(&part.key, "names, or maps with `source`", item);
            continue;
        };
        let Some(path) = file_of(service, part, (name, item)) else { continue };
        let target = target(&part.key, name, item.get("target").and_then(build::word));
        let bind = build::single("bind", build::single("path", build::text(item.span, &path)));
        let volume = service.file.new_volume(service.name, &target, bind);
        give(service, part, &Mounted { target: &target, volume: &volume, read_only: true }, item);
    }
}

/// The file on the host that is meant; none where there is none, which was reported.
fn file_of(
    service: &mut Service<'_, '_>,
    part: &Entry,
    (name, item): (&str, &Node),
) -> Option<String> {
    let declared = service.file.declared(&part.key, name, item)?;
    let Some(file) = declared.value.entry("file") else {
        let text = format!(
            "`{name}` of `{}` is no file beside this one\n\nhint: do without it by `compose: {{ file: {}, without: [{}.{}] }}`",
            part.key, service.file.written, service.name, part.key
        );
        service.unfit(Problem::at(declared.key_span, text));
        return None;
    };
    let Some(path) = build::word(&file.value) else {
        service.wants("file", "a file's name", &file.value);
        return None;
    };
    service.file.host_path(path, &file.value)
}

fn target(kind: &str, name: &str, asked: Option<&str>) -> String {
    match (kind, asked) {
        (_, Some(path)) if path.starts_with('/') => path.to_owned(),
        ("secrets", asked) => format!("/run/secrets/{}", asked.unwrap_or(name)),
        (_, asked) => format!("/{}", asked.unwrap_or(name)),
    }
}
