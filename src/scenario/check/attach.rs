//! Services that run already: the scenario says so, names one container, and nothing of how it is
//! made; and the faults on them can be given back.

use super::Cx;
use crate::{
    faults::{FaultSpec, complaints_anywhere, refused_on_attached, refused_with_attached},
    scenario::{
        Allow, Attach,
        load::{Node, Seg},
    },
};

/// Checks them.
pub(super) fn check(cx: &mut Cx<'_>) {
    for (name, service) in &cx.scenario.services {
        if let Some(attach) = &service.attach {
            allowed(cx, name);
            one_way(cx, name, attach);
            nothing_beside(cx, name);
        }
    }
}

fn allowed(cx: &mut Cx<'_>, name: &str) {
    if !cx.scenario.allow.contains(&Allow::Attach) {
        let text = format!(
            "`{name}` is a container that runs already, and the scenario does not say that it may be touched\n\nhint: add `allow: [attach]` to the scenario"
        );
        cx.report(&["services".into(), name.into(), "attach".into()], text);
    }
}

/// `container`, `label`, or `project` with `service`.
fn one_way(cx: &mut Cx<'_>, name: &str, attach: &Attach) {
    let given = attach.given();
    let keys: Vec<&str> = given.iter().map(|(key, _)| *key).collect();
    let text = match keys.as_slice() {
        ["container"] | ["label"] | ["project", "service"] => None,
        ["project"] => Some("a project has several containers\n\nhint: add `service: NAME`".to_owned()),
        ["service"] => Some("a service of which project?\n\nhint: add `project: NAME`; `docker compose ls` names them".to_owned()),
        [first, second, ..] => Some(format!(
            "`{first}` and `{second}` both say which container is meant\n\nhint: keep one"
        )),
        _ => Some("nothing says which container is meant\n\nhint: write `container: NAME`, `label: key=value`, or `project: NAME` and `service: NAME`".to_owned()),
    };
    if let Some(text) = text {
        cx.report(&["services".into(), name.into(), "attach".into()], text);
    }
    for (key, value) in given {
        if value.is_empty() {
            let path = ["services".into(), name.into(), "attach".into(), key.into()];
            cx.report(&path, format!("`{key}` is empty\n\nhint: give it a value"));
        }
    }
}

/// It is there: nothing of how it is made can be said, and a control cannot make it otherwise.
fn nothing_beside(cx: &mut Cx<'_>, name: &str) {
    let node = cx.tree.find(&["services".into(), name.into()]);
    let entries = node.map(Node::entries).unwrap_or_default();
    for key in entries.iter().map(|entry| entry.key.as_str()).filter(|key| *key != "attach") {
        let text = format!(
            "`{key}` says how a container is made, and `{name}` is there already\n\nhint: remove `{key}`, or `attach`"
        );
        cx.report(&["services".into(), name.into(), key.into()], text);
    }
}

/// A fault that is aimed at another service, and acts on one of them as well.
pub(super) fn peer(cx: &mut Cx<'_>, fault: &FaultSpec, peer: &str, path: &[Seg<'_>]) {
    let service = cx.scenario.services.get(peer);
    if service.is_some_and(|service| service.attach.is_some()) {
        cx.report(path, refused_with_attached(fault, peer));
    }
}

/// A fault on one of them. What is mounted there shows only when it is looked for: complaints are
/// those that stand whatever it is.
pub(super) fn fits(fault: &FaultSpec) -> Vec<String> {
    match refused_on_attached(fault) {
        Some(why) => vec![why],
        None => complaints_anywhere(fault),
    }
}
