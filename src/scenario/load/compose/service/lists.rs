//! Keys that Compose takes in a short and in a long form: lists, maps and texts.

use super::{
    super::{build, values},
    Service,
};
use crate::scenario::load::node::{Entry, Node, Value};

/// `command` and `entrypoint`: a list, or a text that is split as a shell does.
pub(in crate::scenario::load::compose) fn command(service: &mut Service<'_, '_>, part: &Entry) {
    let span = part.value.span;
    let words = match &part.value.value {
        // the image's own
        Value::Null => return,
        Value::List(items) => {
            items.iter().map(|item| build::word(item).map(str::to_owned)).collect()
        }
        _ => build::word(&part.value).and_then(values::words),
    };
    match words {
        Some(words) => {
            let words = words.iter().map(|word| build::text(span, word)).collect();
            service.give(&part.key, part, build::list(span, words));
        }
        None => service.wants(&part.key, "a command, as a text or as a list of words", &part.value),
    }
}

pub(in crate::scenario::load::compose) fn cap_drop(service: &mut Service<'_, '_>, part: &Entry) {
    service.give(&part.key, part, part.value.clone());
}

/// A map, or a list of `KEY=VALUE`.
pub(in crate::scenario::load::compose) fn labels(service: &mut Service<'_, '_>, part: &Entry) {
    let empty = || build::text(part.key_span, "");
    let pairs = service.pairs(part).into_iter();
    let entries =
        pairs.map(|(key, span, value)| build::entry(&key, span, value.unwrap_or_else(empty)));
    let entries = entries.collect();
    service.give(&part.key, part, build::map(part.value.span, entries));
}

/// Names alone, or maps with a `condition`.
pub(in crate::scenario::load::compose) fn depends_on(service: &mut Service<'_, '_>, part: &Entry) {
    let started = |item: &Node| build::text(item.span, "service_started");
    let items = part
        .value
        .items()
        .iter()
        .filter_map(|item| Some(build::entry(build::word(item)?, item.span, started(item))));
    let maps = part.value.entries().iter().map(|entry| {
        let condition =
            entry.value.get("condition").cloned().unwrap_or_else(|| started(&entry.value));
        build::entry(&entry.key, entry.key_span, condition)
    });
    // one that is left out need not be waited for
    let known = items.chain(maps).filter(|entry| !service.file.is_left_out(&entry.key));
    let known = known.collect();
    service.give(&part.key, part, build::map(part.value.span, known));
}
