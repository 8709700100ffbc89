//! `compose: FILE`: an existing Compose file as `services` and `volumes` of a scenario.
//!
//! What it says becomes a part of the scenario's own tree, at its places in its own file. So
//! overrides, controls, checks and messages treat it as if it stood there. What a run has no
//! counterpart for is a problem at its place, never left out in silence; what only says how a service
//! is built, found or watched is left out. Pure: the caller's [`Beside`] reads the files.

mod build;
mod extends;
mod file;
mod files;
mod interpolate;
mod keys;
mod merges;
mod networks;
mod service;
mod values;
mod volume;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use file::File;

use super::{
    de,
    gaps::{Part, Way},
    merge,
    node::{Entry, Node, Span, Value},
    parse,
    problem::{Problem, Sources},
    vars::Definitions,
};
use crate::scenario::Compose;

/// What reads a file: its bytes, or none where there is no such file.
pub type Reader<'a> = &'a dyn Fn(&Path) -> Result<Option<Vec<u8>>, String>;

/// The files beside a scenario.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// Reads one.
    pub read: Reader<'a>,
    /// Where relative paths begin.
    pub directory: &'a Path,
}

impl Beside<'static> {
    /// No file at all.
    #[must_use]
    pub fn nothing() -> Self {
        Self { read: &|_| Ok(None), directory: Path::new("/") }
    }
}

/// Names of the volumes that a Compose file declares; whatever else one of its services mounts from
/// the engine has none.
#[must_use]
pub fn compose_volumes(text: &str) -> BTreeSet<String> {
    let tree = parse::parse(text).0.map(|tree| merges::done(&tree));
    let volumes = tree.as_ref().and_then(|tree| tree.get("volumes")).map(Node::entries);
    volumes.unwrap_or_default().iter().map(|entry| entry.key.clone()).collect()
}

/// What an expansion needs.
pub(super) struct Given<'a> {
    /// The scenario's file.
    pub(super) scenario: &'a Path,
    pub(super) definitions: &'a Definitions<'a>,
    pub(super) beside: Beside<'a>,
}

/// What a Compose file comes to in a scenario.
pub(super) struct Translated {
    services: Node,
    volumes: Node,
    /// What has to be mended in the file.
    pub(super) problems: Vec<Problem>,
    /// What a run does not have, and how a scenario can go on without it.
    pub(super) gaps: Vec<(Way, Problem)>,
    /// Every key of its services that a scenario can do without.
    pub(super) parts: Vec<Part>,
    /// TCP ports that its services say they serve, by service.
    pub(super) ports: BTreeMap<String, Vec<u16>>,
}

/// The scenario's tree with what its Compose file says beneath what it says itself. The file, and all
/// that it leads to, join the sources.
pub(super) fn expand(
    tree: &Node,
    given: &Given<'_>,
    sources: &mut Sources,
) -> Result<Node, Vec<Problem>> {
    let Some(entry) = tree.entry("compose") else { return Ok(tree.clone()) };
    let file = read(tree, entry, given, sources)?;
    let mut problems = file.problems;
    problems.extend(file.gaps.into_iter().map(|(_, problem)| problem));
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut expanded = tree.clone();
    under(&mut expanded, "services", entry.key_span, file.services);
    under(&mut expanded, "volumes", entry.key_span, file.volumes);
    steady_state(&mut expanded, entry.key_span);
    Ok(expanded)
}

/// What the Compose file of a scenario comes to; none where it has none that can be read.
pub(super) fn translated(
    tree: &Node,
    given: &Given<'_>,
    sources: &mut Sources,
) -> Option<Translated> {
    read(tree, tree.entry("compose")?, given, sources).ok()
}

fn read(
    tree: &Node,
    entry: &Entry,
    given: &Given<'_>,
    sources: &mut Sources,
) -> Result<Translated, Vec<Problem>> {
    let label = Some(("compose", entry.key_span));
    let options = de::read::<Compose>(&entry.value, label).map_err(|problem| vec![problem])?;
    let at = entry.value.get("file").unwrap_or(&entry.value);
    let path = given.scenario.parent().unwrap_or(Path::new("")).join(&options.file);
    let whole = files::read(&path, at, given.beside, sources)?;
    let mut file = File::new(whole, &path, &options, (tree, given));
    let (services, volumes) = file.translated(&entry.value);
    let parts = file.parts();
    let File { problems, gaps, put_in, ports, .. } = file;
    for (span, written, value) in put_in {
        sources.hide(span, &written, &value);
    }
    Ok(Translated { services, volumes, problems, gaps, parts, ports })
}

/// A section of the scenario over what the file gives.
fn under(tree: &mut Node, section: &str, span: Span, below: Node) {
    let Value::Map(entries) = &mut tree.value else { return };
    match entries.iter_mut().find(|entry| entry.key == section) {
        Some(entry) => {
            entry.value = merge::put_section(&below, &entry.value, section == "volumes");
        }
        None if below.entries().is_empty() => {}
        None => entries.push(build::entry(section, span, below)),
    }
}

/// Where the scenario says nothing of it: everything that has a health check is healthy.
fn steady_state(tree: &mut Node, span: Span) {
    if tree.get("steady_state").is_some() {
        return;
    }
    let services = tree.get("services").map(Node::entries).unwrap_or_default();
    let healthy = services.iter().filter_map(|service| {
        let span = service.value.entry("healthcheck")?.key_span;
        let name = build::entry("service", span, build::text(span, &service.key));
        let health = build::entry("health", span, build::text(span, "healthy"));
        Some(build::single("container", build::map(span, vec![name, health])))
    });
    let healthy: Vec<Node> = healthy.collect();
    if let Value::Map(entries) = &mut tree.value
        && !healthy.is_empty()
    {
        entries.push(build::entry("steady_state", span, build::list(span, healthy)));
    }
}
