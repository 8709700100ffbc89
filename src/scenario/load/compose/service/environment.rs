//! `environment` and `env_file`.

use super::{
    super::{build, values},
    Service,
};
use crate::scenario::load::node::{Entry, Node, Value};

/// A map, or a list of `KEY=VALUE`; a key without a value is the caller's own.
pub(in crate::scenario::load::compose) fn environment(service: &mut Service<'_, '_>, part: &Entry) {
    let mut env = Vec::new();
    for (key, span, value) in service.pairs(part) {
        let value =
            value.or_else(|| service.file.variable(&key).map(|value| build::text(span, &value)));
        env.extend(value.map(|value| build::entry(&key, span, value)));
    }
    service.give("env", part, build::map(part.value.span, env));
}

/// Files of variables; what `environment` says goes over them.
pub(in crate::scenario::load::compose) fn env_file(service: &mut Service<'_, '_>, part: &Entry) {
    let items = match &part.value.value {
        Value::List(items) => items.clone(),
        _ => vec![part.value.clone()],
    };
    let mut env = Vec::new();
    for item in &items {
        let path = item.get("path").unwrap_or(item);
        let optional = !service.flag(item.entry("required"), true);
        let Some(word) = build::word(path) else {
            service.wants(&part.key, "a file's name", path);
            continue;
        };
        let Some(text) = service.file.text_beside(word, path, optional) else { continue };
        for (key, value, literal) in values::variables(&text) {
            let value = Node::new(path.span, Value::Text(value.clone()), value);
            // in quotes that keep it, it stands as it is
            let found = if literal { Some(value) } else { service.file.interpolated(&value) };
            let Some(found) = found else { continue };
            let found = build::text(path.span, build::word(&found).unwrap_or_default());
            env.retain(|entry: &Entry| entry.key != key);
            env.push(build::entry(&key, path.span, found));
        }
    }
    let given = service.out.iter().position(|entry| entry.key == "env");
    let over = given.map(|at| service.out.remove(at).value);
    service.give("env", part, build::map(part.value.span, env));
    if let Some(over) = over {
        service.give("env", part, over);
    }
}
