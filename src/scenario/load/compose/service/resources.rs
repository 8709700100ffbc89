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
        let most = part.value.get("restart_policy").and_then(|it| it.entry("max_attempts"));
        if let Some(most) = most.filter(|_| word == "on-failure") {
            attempts(service, most, build::word(&most.value).unwrap_or_default());
        }
    }
    if let Some(entry) = part.value.entry("replicas").filter(|entry| entry.value.raw != "1") {
        service.refuse(entry);
    }
}

/// `nofile: 1024`, or with `soft` and `hard`.
pub(in crate::scenario::load::compose) fn ulimits(service: &mut Service<'_, '_>, part: &Entry) {
    let mut limits = Vec::new();
    for entry in part.value.entries() {
        let side = |key: &str| entry.value.get(key).unwrap_or(&entry.value);
        let sides = ["soft", "hard"].map(|key| (key, side(key)));
        let number = |node: &Node| build::word(node)?.parse::<i64>().ok();
        if sides.iter().any(|(_, node)| number(node).is_none()) {
            service.wants(&entry.key, "a number, or `{ soft: 1024, hard: 4096 }`", &entry.value);
            continue;
        }
        let sides = sides.into_iter().filter_map(|(key, node)| {
            let value = Value::Int(number(node)?.into());
            let value = Node::new(node.span, value, build::word(node)?.to_owned());
            Some(build::entry(key, entry.key_span, value))
        });
        let limit = build::map(entry.value.span, sides.collect());
        limits.push(build::entry(&entry.key, entry.key_span, limit));
    }
    service.give("ulimits", part, build::map(part.value.span, limits));
}

/// `on-failure:3` has its number in a key of its own.
pub(in crate::scenario::load::compose) fn restart(service: &mut Service<'_, '_>, part: &Entry) {
    let span = part.value.span;
    let word = match &part.value.value {
        Value::Bool(false) => Some("no"),
        _ => build::word(&part.value),
    };
    let Some(word) = word else { return service.wants(&part.key, "a restart policy", &part.value) };
    let (policy, count) = match word.split_once(':') {
        Some((policy, count)) => (policy, Some(count)),
        None => (word, None),
    };
    service.give("restart", part, build::text(span, policy));
    if let Some(count) = count {
        attempts(service, part, count);
    }
}

/// None is without a limit, as the engine has it.
fn attempts(service: &mut Service<'_, '_>, part: &Entry, count: &str) {
    match count.parse::<u32>() {
        Ok(0) => {}
        Ok(count) => {
            let count = build::number(part.value.span, count.into());
            service.give("restart_attempts", part, count);
        }
        Err(_) => service.wants(&part.key, "a number of attempts, as `on-failure:3`", &part.value),
    }
}
