//! Keys that stand for themselves, and how a service comes to its image.

use super::{
    super::{build, file::ANYTHING},
    Service,
};
use crate::scenario::load::{
    gaps::Way,
    node::{Entry, Node, Value},
    problem::Problem,
};

/// The same key, and a switch.
pub(in crate::scenario::load::compose) fn switch(service: &mut Service<'_, '_>, part: &Entry) {
    let on = service.flag(Some(part), false);
    service.give(&part.key, part, build::flag(part.value.span, on));
}

/// The same key and value.
pub(in crate::scenario::load::compose) fn plain(service: &mut Service<'_, '_>, part: &Entry) {
    let value = match &part.value.value {
        Value::Bool(_) => part.value.clone(),
        _ => match build::word(&part.value) {
            Some(word) => build::text(part.value.span, word),
            None => return service.wants(&part.key, "text", &part.value),
        },
    };
    service.give(&part.key, part, value);
}

/// What is built needs an image all the same.
pub(in crate::scenario::load::compose) fn built(service: &mut Service<'_, '_>, part: &Entry) {
    let has = |node: Option<&Node>| node.is_some_and(|node| node.get("image").is_some());
    let has_image = has(service.file.service(service.name)) || has(service.over);
    if has_image {
        return;
    }
    let name = service.name;
    let image = service.file.built_image(name);
    if let Some(image) = image.as_ref().filter(|_| service.file.does_without(name, ANYTHING)) {
        service.give("image", part, build::text(part.key_span, image));
    } else {
        let text = format!(
            "service `{name}` is built, and a run builds nothing\n\nhint: `docker compose build`, and name the image that it makes: `services: {{ {name}: {{ image: … }} }}`"
        );
        let problem = Problem::at(part.key_span, text);
        match image {
            Some(image) => service.file.gap(Way::Image(name.to_owned(), image), problem),
            // nobody but the user knows it
            None => service.file.report(problem),
        }
    }
}

pub(in crate::scenario::load::compose) fn pull_policy(service: &mut Service<'_, '_>, part: &Entry) {
    let policy = match build::word(&part.value) {
        Some("always" | "build" | "daily" | "weekly") => "always",
        Some("never") => "never",
        _ => "missing",
    };
    service.give("pull", part, build::text(part.value.span, policy));
}
