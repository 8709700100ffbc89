//! What a service may use, and who starts it again.

use super::{
    super::{build, values},
    Service,
};
use crate::{
    scenario::load::node::{Entry, Node, Value},
    units::Size,
};

pub(in crate::scenario::load::compose) fn memory(service: &mut Service<'_, '_>, part: &Entry) {
    let bytes = build::word(&part.value).and_then(values::bytes);
    match bytes {
        Some(0) => {}
        Some(bytes) => {
            let size = build::text(part.value.span, &Size(bytes).to_string());
            service.give("memory", part, size);
        }
        None => service.wants(&part.key, "a size like `512m` or `1g`", &part.value),
    }
}

pub(in crate::scenario::load::compose) fn cpus(service: &mut Service<'_, '_>, part: &Entry) {
    let number = build::word(&part.value).and_then(|word| word.trim().parse::<f64>().ok());
    match number {
        Some(number) => {
            let value = Node::new(part.value.span, Value::Float(number), number.to_string());
            service.give("cpus", part, value);
        }
        None => service.wants(&part.key, "a number of CPUs like `0.5`", &part.value),
    }
}

/// The limits, the policy and the number; the rest says where a service is put, of which a run has
/// one place.
pub(in crate::scenario::load::compose) fn deploy(service: &mut Service<'_, '_>, part: &Entry) {
    let limits = part.value.get("resources").and_then(|it| it.get("limits"));
    for entry in limits.map(Node::entries).unwrap_or_default() {
        match entry.key.as_str() {
            "memory" => memory(service, entry),
            "cpus" => cpus(service, entry),
            _ => service.refuse(entry),
        }
    }
    let policy = part.value.get("restart_policy").and_then(|it| it.entry("condition"));
    if let Some(entry) = policy {
        let word = match build::word(&entry.value) {
            Some("none") => "no",
            Some("on-failure") => "on-failure",
            _ => "always",
        };
        service.give("restart", entry, build::text(entry.value.span, word));
    }
    if let Some(entry) = part.value.entry("replicas").filter(|entry| entry.value.raw != "1") {
        service.refuse(entry);
    }
}

/// `on-failure:3` counts; in a run it is started again as long as the case lasts.
pub(in crate::scenario::load::compose) fn restart(service: &mut Service<'_, '_>, part: &Entry) {
    let policy = match &part.value.value {
        Value::Bool(false) => Some("no"),
        _ => build::word(&part.value).and_then(|word| word.split(':').next()),
    };
    match policy {
        Some(policy) => service.give("restart", part, build::text(part.value.span, policy)),
        None => service.wants(&part.key, "a restart policy", &part.value),
    }
}
