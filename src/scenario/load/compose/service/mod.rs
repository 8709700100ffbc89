//! A service of a Compose file as a service of a scenario. Every part keeps its place.

pub(super) mod basics;
pub(super) mod environment;
pub(super) mod files;
pub(super) mod health;
pub(super) mod lists;
pub(super) mod mounts;
pub(super) mod ports;
pub(super) mod resources;

use super::{
    File, build,
    file::{ANYTHING, NEEDED},
    keys::{Fate, KEYS},
    values,
};
use crate::{
    diagnostic::{closest, suggest},
    scenario::load::{
        gaps::Way,
        node::{Entry, Node, Span, Value},
        problem::Problem,
    },
};

/// One service while it is translated.
pub(super) struct Service<'f, 'a> {
    pub(super) file: &'f mut File<'a>,
    pub(super) name: &'f str,
    /// The key under way; none yet while it is looked at as a whole.
    key: String,
    /// What the scenario says of it itself.
    over: Option<&'f Node>,
    /// Keys of the result.
    out: Vec<Entry>,
}

/// The service as the scenario's language has it.
pub(super) fn translate(file: &mut File<'_>, entry: &Entry, over: Option<&Node>) -> Node {
    let mut service = Service { file, name: &entry.key, key: String::new(), over, out: Vec::new() };
    if !matches!(entry.value.value, Value::Map(_)) {
        service.wants(&entry.key, "a map", &entry.value);
    }
    for part in entry.value.entries() {
        service.part(part);
    }
    build::map(entry.value.span, service.out)
}

impl Service<'_, '_> {
    fn part(&mut self, part: &Entry) {
        let key = part.key.as_str();
        if key.starts_with("x-") || self.file.does_without(self.name, key) {
            return;
        }
        key.clone_into(&mut self.key);
        match KEYS.iter().find(|(name, _)| *name == key).map(|(_, fate)| fate) {
            Some(Fate::Taken(take)) => {
                if let Some(value) = self.file.interpolated(&part.value) {
                    take(self, &Entry { value, ..part.clone() });
                }
            }
            Some(Fate::Noted(note)) => note(self, part),
            Some(Fate::Idle) => {}
            Some(Fate::Refused) => self.leave_out(part),
            None => {
                let hint = suggest(key, KEYS.iter().map(|(name, _)| *name)).unwrap_or_default();
                // all of them would be a page
                let hint =
                    if hint.starts_with("did") { &hint } else { "Compose knows no such key" };
                let text =
                    format!("unknown key `{key}` in service `{}`\n\nhint: {hint}", self.name);
                let problem = Problem::at(part.key_span, text);
                // what is mistyped is meant
                match closest(key, KEYS.iter().map(|(name, _)| *name)) {
                    Some(_) => self.file.report(problem),
                    None => self.file.gap(self.without(key), problem),
                }
            }
        }
    }

    /// A key of the service that changes what it does, and a run cannot do it.
    pub(super) fn leave_out(&mut self, part: &Entry) {
        if let Some(problem) = self.refused(part, true) {
            self.file.gap(self.without(&part.key), problem);
        }
    }

    /// The same of one that nobody may leave out unasked.
    pub(super) fn decide(&mut self, part: &Entry) {
        if let Some(problem) = self.refused(part, true) {
            self.file.report(problem);
        }
    }

    /// The same of an option inside a key: nothing is left out by the name of another key, nor by
    /// what a variable stands for.
    pub(super) fn refuse(&mut self, part: &Entry) {
        let is_key = KEYS.iter().any(|(name, _)| *name == part.key);
        if !is_key && self.file.put_in.iter().all(|(at, ..)| *at != part.key_span) {
            self.leave_out(part);
        } else if let Some(problem) = self.refused(part, false) {
            self.file.report(problem);
        }
    }

    /// None where the scenario does without it.
    fn refused(&mut self, part: &Entry, has_name: bool) -> Option<Problem> {
        let (key, name) = (&part.key, self.name);
        if self.file.does_without(name, key) || self.file.does_without(name, ANYTHING) {
            return None;
        }
        let hint = if has_name {
            let written = &self.file.written;
            format!("do without it by `compose: {{ file: {written}, without: [{name}.{key}] }}`")
        } else {
            "remove it: no `without` means it".to_owned()
        };
        let text =
            format!("`{key}` of service `{name}` has no counterpart in a run\n\nhint: {hint}");
        Some(Problem::at(part.key_span, text))
    }

    /// A key that nobody knows, inside a key of the service: to leave it out by its name could leave
    /// out the service's own of that name.
    pub(super) fn unknown(&mut self, part: &Entry, text: String) {
        if !self.file.does_without(self.name, &part.key) {
            self.file.report(Problem::at(part.key_span, text));
        }
    }

    fn without(&self, key: &str) -> Way {
        Way::Without(self.name.to_owned(), key.to_owned())
    }

    /// The key under way cannot be had as it is written.
    pub(super) fn unfit(&mut self, problem: Problem) {
        if self.key.is_empty() || NEEDED.contains(&self.key.as_str()) {
            self.file.report(problem);
        } else {
            self.file.gap(self.without(&self.key), problem);
        }
    }

    /// Says what a key wants, and that this is not it.
    pub(super) fn wants(&mut self, key: &str, wanted: &str, node: &Node) {
        let text = format!("`{key}` wants {wanted}, not {}", node.words());
        self.unfit(Problem::on(node, text));
    }

    /// A switch, or what stands where there is none; what is no switch is reported.
    pub(super) fn flag(&mut self, entry: Option<&Entry>, otherwise: bool) -> bool {
        let Some(entry) = entry else { return otherwise };
        let found = values::flag(&entry.value);
        if found.is_none() {
            self.unfit(values::no_switch(&format!("`{}`", entry.key), &entry.value));
        }
        found.unwrap_or(otherwise)
    }

    /// A key of the result, at the place of the part that it comes from.
    pub(super) fn give(&mut self, key: &str, part: &Entry, value: Node) {
        match self.out.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => merge_in(&mut entry.value, value),
            None => self.out.push(build::entry(key, part.key_span, value)),
        }
    }

    /// Keys and values of a map, or of a list of `KEY=VALUE`.
    pub(super) fn pairs(&mut self, part: &Entry) -> Vec<(String, Span, Option<Node>)> {
        let mut pairs = Vec::new();
        for entry in part.value.entries() {
            let value = match build::word(&entry.value) {
                Some(word) => Some(build::text(entry.value.span, word)),
                None if entry.value.value == Value::Null => None,
                None => {
                    self.wants(&entry.key, "text", &entry.value);
                    continue;
                }
            };
            pairs.push((entry.key.clone(), entry.key_span, value));
        }
        for item in part.value.items() {
            let Some(word) = build::word(item) else {
                self.wants(&part.key, "texts like `KEY=VALUE`", item);
                continue;
            };
            let (key, value) = match word.split_once('=') {
                Some((key, value)) => (key, Some(build::text(item.span, value))),
                None => (word, None),
            };
            pairs.push((key.to_owned(), item.span, value));
        }
        if !matches!(part.value.value, Value::Map(_) | Value::List(_) | Value::Null) {
            self.wants(&part.key, "a map, or a list of `KEY=VALUE`", &part.value);
        }
        pairs
    }
}

/// The later of two maps goes over the earlier, key by key; of anything else the later stays.
fn merge_in(below: &mut Node, above: Node) {
    let (Value::Map(entries), Value::Map(over)) = (&mut below.value, &above.value) else {
        *below = above;
        return;
    };
    for entry in over {
        entries.retain(|known| known.key != entry.key);
        entries.push(entry.clone());
    }
}
