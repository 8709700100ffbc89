//! Networks of a Compose file. A run makes networks of its own under these names; whatever a file
//! wants of one beyond that is a problem at its place.

use super::{File, build, service::Service, values};
use crate::scenario::load::{
    gaps::Way,
    node::{Entry, Node},
    problem::Problem,
};

/// The section, and what `without` calls its entries by: `networks.NAME`.
const SECTION: &str = "networks";
/// Without a way out.
const INTERNAL: &str = "internal";
const IPV6: &str = "enable_ipv6";

/// Names alone, or maps with options.
pub(super) fn joined(service: &mut Service<'_, '_>, part: &Entry) {
    let named = part.value.entries().iter().map(|entry| build::text(entry.key_span, &entry.key));
    let names = part.value.items().iter().cloned().chain(named).collect();
    service.give(&part.key, part, build::list(part.value.span, names));
    let options = part.value.entries().iter().flat_map(|network| network.value.entries());
    let mut aliases = Vec::new();
    for option in options {
        match option.key.as_str() {
            "aliases" => aliases.extend(option.value.items().iter().cloned()),
            // which of several is asked first, and what it is called inside
            "gw_priority" | "interface_name" | "priority" => {}
            key if key.starts_with("x-") => {}
            _ => service.refuse(option),
        }
    }
    if !aliases.is_empty() {
        service.give("aliases", part, build::list(part.value.span, aliases));
    }
}

/// The host's, or another's: a run cannot do it. That there is none keeps a service apart, and no one
/// gives it one unasked.
pub(super) fn mode(service: &mut Service<'_, '_>, part: &Entry) {
    match build::word(&part.value) {
        Some("none") => service.decide(part),
        _ => service.leave_out(part),
    }
}

/// What the file wants of the networks that its services join.
pub(super) fn declared(file: &mut File<'_>, services: &[Entry]) {
    let networks = file.section(SECTION);
    for network in networks {
        if !services.iter().any(|service| joins(service, &network.key)) {
            continue;
        }
        let Some(value) = file.interpolated(&network.value) else { continue };
        let what = format!("network `{}`", network.key);
        let wrong = values::no_switches(&what, &value, &[values::EXTERNAL, IPV6, INTERNAL]);
        if !wrong.is_empty() {
            if !file.does_without(SECTION, &network.key) {
                wrong.into_iter().for_each(|problem| file.report(problem));
            }
            continue;
        }
        // what keeps its services apart goes first: it is not left out with the rest
        let mut foreign: Vec<&Entry> = value.entries().iter().filter_map(foreign).collect();
        foreign.sort_by_key(|option| option.key != INTERNAL);
        if let Some(why) = foreign.first() {
            refuse(file, &network.key, why);
        }
    }
}

fn joins(service: &Entry, network: &str) -> bool {
    let joined = service.value.get(SECTION).map(Node::items).unwrap_or_default();
    let default = joined.is_empty() && network == "default";
    default || joined.iter().any(|name| build::word(name) == Some(network))
}

/// An option that makes another network of it than a run has.
fn foreign(option: &Entry) -> Option<&Entry> {
    let foreign = match option.key.as_str() {
        "driver" => build::word(&option.value).is_some_and(|driver| driver != "bridge"),
        // a map in old files: with its name
        values::EXTERNAL => values::flag(&option.value) != Some(false),
        IPV6 | INTERNAL => values::flag(&option.value) == Some(true),
        _ => false,
    };
    foreign.then_some(option)
}

fn refuse(file: &mut File<'_>, network: &str, option: &Entry) {
    if file.does_without(SECTION, network) || file.does_without("", super::file::ANYTHING) {
        return;
    }
    let text = format!(
        "`{}` of network `{network}` has no counterpart in a run, which makes its own\n\nhint: do without it by `compose: {{ file: {}, without: [{SECTION}.{network}] }}`",
        option.key, file.written
    );
    let problem = Problem::at(option.key_span, text);
    match option.key.as_str() {
        INTERNAL => file.report(problem),
        _ => file.gap(Way::Without(SECTION.to_owned(), network.to_owned()), problem),
    }
}
