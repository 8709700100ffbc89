//! Variables: `${X}` in parsed scalars, never in text, keys, names or `fails`.

use std::collections::BTreeMap;

use super::{
    node::{Entry, Node, Origin, Seg, Span, Value},
    parse::MAX_NODES,
    problem::Problem,
    scalar,
};
use crate::diagnostic::suggest;

/// Keys of a scenario in which nothing is substituted.
const VERBATIM: [&str; 7] = ["keelhaul", "name", "tags", "vars", "matrix", "controls", "compose"];
/// Variables defined by each other.
const MAX_CHAIN: usize = 16;
/// Bytes of a text with its variables put in.
const MAX_TEXT: usize = 64 << 10;

/// What variables may be resolved from.
pub(crate) struct Definitions<'a> {
    /// `vars:` of the file, with a control's overrides merged in.
    pub(crate) vars: Option<&'a Node>,
    /// The values of a matrix cell.
    pub(crate) cell: &'a [(String, Node)],
    /// `--set`, less what a control overrides.
    pub(crate) sets: &'a BTreeMap<String, String>,
    /// What `${env:X}` may see.
    pub(crate) env: &'a BTreeMap<String, String>,
}

/// Puts every variable in; problems are collected and leave a hole.
pub(crate) fn substitute(
    tree: &Node,
    definitions: &Definitions<'_>,
    problems: &mut Vec<Problem>,
) -> Node {
    let mut resolver = Resolver::new(definitions, problems);
    let mut tree = tree.clone();
    if let Value::Map(entries) = &mut tree.value {
        for entry in entries {
            if entry.key == "vars" {
                entry.value = resolver.definitions_of(&entry.value);
            } else if VERBATIM.contains(&entry.key.as_str()) {
                resolver.refuse_below(&entry.value, &entry.key);
            } else {
                let path = [Seg::Key(&entry.key)];
                resolver.refuse_key(entry);
                entry.value = resolver.walk(&entry.value, &path);
            }
        }
    }
    tree
}

/// What a variable stands for, as text; none where it is not defined. One that is defined wrongly
/// is empty here: [`substitute`] says what is wrong.
pub(crate) fn text_of(name: &str, definitions: &Definitions<'_>) -> Option<String> {
    let in_cell = definitions.cell.iter().any(|(axis, _)| axis == name);
    if !in_cell && definitions.vars.and_then(|vars| vars.entry(name)).is_none() {
        return None;
    }
    let mut problems = Vec::new();
    let mut resolver = Resolver::new(definitions, &mut problems);
    let found = resolver.lookup(name, Span::default());
    Some(found.map(|(node, _)| node.raw).unwrap_or_default())
}

/// A part of a scalar.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Text(String),
    Variable(&'a str),
}

/// Splits a scalar at its variables.
fn parts(text: &str) -> Result<Vec<Part<'_>>, &'static str> {
    let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            plain.push_str(&rest[..at - 1]);
            plain.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        plain.push_str(&rest[..at]);
        let (name, after) = rest[at + 2..].split_once('}').ok_or("`${` is never closed")?;
        if name.trim().is_empty() {
            return Err("`${}` names no variable");
        }
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(Part::Variable(name));
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() || parts.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// True when a scalar names a variable.
fn has_variable(text: &str) -> bool {
    parts(text).map_or(true, |parts| parts.iter().any(|part| matches!(part, Part::Variable(_))))
}

struct Resolver<'a, 'p> {
    definitions: &'a Definitions<'a>,
    done: BTreeMap<String, Option<(Node, Origin)>>,
    chain: Vec<String>,
    /// Values that were put in, with all below: variables made of each other multiply them.
    put_in: usize,
    problems: &'p mut Vec<Problem>,
}

impl<'a, 'p> Resolver<'a, 'p> {
    fn new(definitions: &'a Definitions<'a>, problems: &'p mut Vec<Problem>) -> Self {
        Self { definitions, done: BTreeMap::new(), chain: Vec::new(), put_in: 0, problems }
    }

    /// Whether a value may still be put in; the first that may not is named.
    fn has_room_for(&mut self, value: &Node, at: &Node) -> bool {
        let had = self.put_in <= MAX_NODES;
        self.put_in = self.put_in.saturating_add(value.count());
        if had && self.put_in > MAX_NODES {
            let text = format!(
                "more than {MAX_NODES} values, with every variable put in\n\nhint: put fewer lists \
                 into each other, or split the file"
            );
            self.problems.push(Problem::on(at, text));
        }
        self.put_in <= MAX_NODES
    }
    /// `vars:` with every value resolved.
    fn definitions_of(&mut self, vars: &Node) -> Node {
        let mut vars = vars.clone();
        if let Value::Map(entries) = &mut vars.value {
            for entry in entries {
                self.refuse_key(entry);
                if let Some((node, _)) = self.lookup(&entry.key.clone(), entry.key_span) {
                    entry.value = node;
                }
            }
        }
        vars
    }

    fn walk(&mut self, node: &Node, path: &[Seg<'_>]) -> Node {
        let value = match &node.value {
            Value::Text(text) if text.contains("${") => return self.scalar(node, text),
            Value::List(items) => {
                let each = items.iter().enumerate();
                Value::List(
                    each.map(|(i, item)| self.walk(item, &join(path, Seg::Item(i)))).collect(),
                )
            }
            Value::Map(entries) => {
                let mut walked = Vec::with_capacity(entries.len());
                for entry in entries {
                    self.refuse_key(entry);
                    let value = if is_name(path, &entry.key) {
                        self.refuse_below(&entry.value, &entry.key);
                        entry.value.clone()
                    } else {
                        self.walk(&entry.value, &join(path, Seg::Key(&entry.key)))
                    };
                    walked.push(Entry { value, ..entry.clone() });
                }
                Value::Map(walked)
            }
            _ => return node.clone(),
        };
        Node { value, ..node.clone() }
    }

    fn scalar(&mut self, node: &Node, text: &str) -> Node {
        let hole = Node { value: Value::Hole, ..node.clone() };
        let parts = match parts(text) {
            Ok(parts) => parts,
            Err(error) => {
                let hint = "write `${NAME}`, or `$${` for the characters themselves";
                self.problems.push(Problem::on(node, format!("{error}\n\nhint: {hint}")));
                return hole;
            }
        };
        if self.put_in > MAX_NODES {
            return hole;
        }
        if let [Part::Variable(name)] = parts[..] {
            return match self.variable(name, node.span) {
                Some((value, origin)) if self.has_room_for(&value, node) => {
                    place(value, origin, node)
                }
                _ => hole,
            };
        }
        self.joined(node, parts).unwrap_or(hole)
    }

    /// A text of several parts; none where one of them cannot be put in, which was reported.
    fn joined(&mut self, node: &Node, parts: Vec<Part<'_>>) -> Option<Node> {
        let (mut out, mut origins) = (String::new(), node.origins.clone());
        for part in parts {
            match part {
                Part::Text(text) => out.push_str(&text),
                Part::Variable(name) => {
                    let (value, origin) = self.variable(name, node.span)?;
                    if !value.is_scalar() {
                        let text = format!(
                            "`${{{name}}}` is {} and cannot become part of a text\n\nhint: use it alone",
                            value.words()
                        );
                        self.problems.push(Problem::on(node, text).with_origins(&[origin]));
                        return None;
                    }
                    out.push_str(&value.raw);
                    origins.push(origin);
                }
            }
            if out.len() > MAX_TEXT {
                let text = format!(
                    "a text of more than {MAX_TEXT} bytes, with every variable put in\n\nhint: put in less"
                );
                self.problems.push(Problem::on(node, text));
                return None;
            }
        }
        Some(Node { value: Value::Text(out.clone()), raw: out, origins, span: node.span })
    }

    /// A variable used outside `vars:`, or inside when another is being defined.
    fn variable(&mut self, name: &str, span: Span) -> Option<(Node, Origin)> {
        let Some(variable) = name.strip_prefix("env:") else { return self.lookup(name, span) };
        if self.chain.is_empty() {
            let lower = variable.to_lowercase();
            self.problems.push(Problem::at(
                span,
                format!(
                    "`${{{name}}}` is only for `vars`\n\nhint: declare `{lower}: ${{{name}}}` under `vars`, and use `${{{lower}}}` here"
                ),
            ));
            return None;
        }
        let Some(value) = self.definitions.env.get(variable) else {
            let text = format!(
                "the environment has no variable `{variable}`\n\nhint: set it before keelhaul is called, or give the value by `--set`"
            );
            self.problems.push(Problem::at(span, text));
            return None;
        };
        let node = Node::new(span, Value::Text(value.clone()), value.clone());
        Some((node, Origin { variable: name.to_owned(), span: Some(span) }))
    }

    fn lookup(&mut self, name: &str, span: Span) -> Option<(Node, Origin)> {
        if let Some(done) = self.done.get(name) {
            return done.clone();
        }
        let found = self.define(name, span);
        self.done.insert(name.to_owned(), found.clone());
        found
    }

    fn define(&mut self, name: &str, span: Span) -> Option<(Node, Origin)> {
        let definitions = self.definitions;
        let origin = |span| Origin { variable: name.to_owned(), span };
        if let Some((_, node)) = definitions.cell.iter().find(|(axis, _)| axis == name) {
            return Some((node.clone(), origin(Some(node.span))));
        }
        let entry = definitions.vars.and_then(|vars| vars.entry(name));
        if let Some(text) = definitions.sets.get(name).filter(|_| entry.is_some()) {
            let node = Node::new(Span::default(), scalar::resolve(text), text.clone());
            return Some((node, origin(None)));
        }
        let Some(entry) = entry else {
            let declared = definitions.vars.map(Node::entries).unwrap_or_default();
            let axes = definitions.cell.iter().map(|(axis, _)| axis.as_str());
            let known = declared.iter().map(|entry| entry.key.as_str()).chain(axes);
            let hint = suggest(name, known)
                .unwrap_or_else(|| format!("declare it: `vars: {{ {name}: … }}`"));
            let text = format!("no variable is called `{name}`\n\nhint: {hint}");
            self.problems.push(Problem::at(span, text));
            return None;
        };
        if self.chain.iter().any(|outer| outer == name) || self.chain.len() > MAX_CHAIN {
            let text = format!("the variable `{name}` is defined by itself");
            self.problems.push(Problem::at(entry.key_span, text));
            return None;
        }
        self.chain.push(name.to_owned());
        let before = self.problems.len();
        let mut node = self.walk(&entry.value, &[]);
        self.chain.pop();
        if self.problems.len() > before {
            return None;
        }
        node.origins.clear();
        Some((node, origin(Some(entry.value.span))))
    }

    fn refuse_key(&mut self, entry: &Entry) {
        if entry.key.contains("${") && has_variable(&entry.key) {
            let text = "a key cannot contain a variable\n\nhint: variables go into values only";
            self.problems.push(Problem::at(entry.key_span, text));
        }
    }

    fn refuse_below(&mut self, node: &Node, key: &str) {
        match &node.value {
            Value::Text(text) if matches!(key, "name" | "as" | "tags") && has_variable(text) => {
                let text = format!(
                    "`{key}` cannot contain a variable\n\nhint: names stand as they are, so that reports stay comparable"
                );
                self.problems.push(Problem::on(node, text));
            }
            Value::List(items) => items.iter().for_each(|item| self.refuse_below(item, key)),
            _ => {}
        }
    }
}

/// A variable's value at the place of its use.
fn place(mut value: Node, origin: Origin, used: &Node) -> Node {
    value.span = used.span;
    value.origins = used.origins.iter().cloned().chain([origin]).collect();
    value
}

/// `as` of a step or probe.
fn is_name(path: &[Seg<'_>], key: &str) -> bool {
    let listed = matches!(path.last(), Some(Seg::Item(_)));
    let in_section = matches!(
        path.first(),
        Some(Seg::Key("steady_state" | "steps" | "observe" | "verify" | "stop_when"))
    );
    key == "as" && listed && in_section
}

fn join<'a>(path: &[Seg<'a>], seg: Seg<'a>) -> Vec<Seg<'a>> {
    path.iter().copied().chain([seg]).collect()
}

/// Names that a file reads from the environment: `${env:NAME}` anywhere below.
pub(crate) fn environment(node: &Node, names: &mut Vec<String>) {
    match &node.value {
        Value::Text(text) => {
            for part in parts(text).unwrap_or_default() {
                if let Part::Variable(name) = part
                    && let Some(name) = name.strip_prefix("env:")
                {
                    names.push(name.to_owned());
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| environment(item, names)),
        Value::Map(entries) => entries.iter().for_each(|entry| environment(&entry.value, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_escapes() {
        let text = |text: &str| Part::Text(text.into());
        assert_eq!(parts("a ${X} b").unwrap(), [text("a "), Part::Variable("X"), text(" b")]);
        assert_eq!(parts("$${X} $y").unwrap(), [text("${X} $y")]);
        assert_eq!(parts("${X}${Y}").unwrap(), [Part::Variable("X"), Part::Variable("Y")]);
        assert!(parts("${X").is_err());
        assert!(parts("${}").is_err());
    }
}
