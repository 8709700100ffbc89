//! A problem by position in a file, and its turn into a diagnostic.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::node::{Node, Origin, Span, shorten};
use crate::diagnostic::{Diagnostic, Place, Spot};

/// A problem of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where; none for the file as a whole.
    pub(crate) span: Option<Span>,
    /// What is wrong, and after a blank line `hint: ` what to do.
    pub(crate) text: String,
    /// Remarks and where they point.
    pub(crate) notes: Vec<(String, Option<Span>)>,
}

impl Problem {
    /// A problem at a place.
    pub(crate) fn at(span: Span, text: impl Into<String>) -> Self {
        Self { span: Some(span), text: text.into(), notes: Vec::new() }
    }

    /// A problem at a node, with the definitions of the variables in it.
    pub(crate) fn on(node: &Node, text: impl Into<String>) -> Self {
        Self::at(node.span, text).with_origins(&node.origins)
    }

    /// With a remark.
    pub(crate) fn note(mut self, text: impl Into<String>, span: Option<Span>) -> Self {
        self.notes.push((text.into(), span));
        self
    }

    /// Adds a remark about the control whose overrides bring this about, unless it lies in there.
    pub(super) fn point_at_control(&mut self, name: &str, control: &Node) {
        if !self.span.is_some_and(|span| control.span.holds(&span)) {
            let place = control.get("name").map_or(control.span, |name| name.span);
            self.notes.push((format!("in the control `{name}`"), Some(place)));
        }
    }

    /// With the definitions of variables.
    pub(crate) fn with_origins(mut self, origins: &[Origin]) -> Self {
        for origin in origins {
            let name = &origin.variable;
            let text = match origin.span {
                Some(_) => format!("`${{{name}}}` is defined here"),
                None => format!("`${{{name}}}` comes from `--set`"),
            };
            self.notes.push((text, origin.span));
        }
        self
    }
}

/// The files that a scenario is made of: its own, and those that it names.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    all: Vec<Source>,
    /// Values that variables brought about, each with what is written in its place, by the number of
    /// a file and the line.
    hidden: BTreeMap<(u16, usize), BTreeMap<String, String>>,
}

impl Sources {
    /// Of a scenario's own file.
    pub(crate) fn new(own: Source) -> Self {
        Self { all: vec![own], hidden: BTreeMap::new() }
    }

    /// The number of a file, which is added where it is new.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> u16 {
        let known = self.all.iter().position(|source| source.name == name);
        let at = known.unwrap_or_else(|| {
            self.all.push(Source::new(name, text));
            self.all.len() - 1
        });
        u16::try_from(at).unwrap_or_default()
    }

    /// The same for the same text of every file: 16 hexadecimal digits of a SHA-256.
    pub(crate) fn fingerprint(&self, sets: &[(String, String)]) -> String {
        let texts = self.all.iter().flat_map(|source| &source.lines);
        let given = sets.iter().flat_map(|(name, value)| [name, value]);
        let mut digest = Sha256::new();
        for text in texts.chain(given) {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// From now on, problems there show what is written in place of the value, which may be a secret.
    pub(crate) fn hide(&mut self, at: Span, written: &str, value: &str) {
        let hidden = self.hidden.entry((at.file, at.line)).or_default();
        for value in [value.to_owned(), shorten(value)] {
            // the first is the whole: what is in it comes later
            hidden.entry(value).or_insert_with(|| written.to_owned());
        }
    }

    /// What a problem says, with the lines that it is about as they are written.
    fn as_written(&self, problem: &Problem) -> String {
        let Some(span) = problem.span else { return problem.text.clone() };
        let lines = (span.file, span.line)..=(span.file, span.line.max(span.end_line));
        let hidden = self.hidden.range(lines).flat_map(|(_, hidden)| hidden);
        let mut hidden: Vec<_> = hidden.filter(|(value, _)| !value.is_empty()).collect();
        // one may be a part of another
        hidden.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        let text = problem.text.clone();
        hidden.into_iter().fold(text, |text, (value, written)| unquoted(&text, value, written))
    }

    /// A problem with its excerpts, each from the file that it lies in.
    pub(crate) fn diagnostic(&self, problem: &Problem) -> Diagnostic {
        let place = |span: Option<Span>| {
            let number = span.map_or(0, |span| usize::from(span.file));
            // a file as a whole has no line
            self.all.get(number).map(|source| source.place(span.filter(|span| span.line > 0)))
        };
        let mut diagnostic = Diagnostic::new(place(problem.span), &self.as_written(problem));
        for (text, span) in &problem.notes {
            diagnostic = diagnostic.note(text, span.and_then(|span| place(Some(span))));
        }
        diagnostic
    }
}

/// A text that quotes what is written in place of a value, wherever it quotes the value.
fn unquoted(text: &str, value: &str, written: &str) -> String {
    // shorter ones are part of many a word
    const TELLING: usize = 4;
    if value.contains('`') {
        return text.replace(value, written);
    }
    // where nothing stands beside a variable, each part of it is its own
    let all = written.starts_with("${") && written.ends_with('}');
    let mut parts: Vec<String> = text.split('`').map(str::to_owned).collect();
    // every second one stands in quotes
    for part in parts.iter_mut().skip(1).step_by(2) {
        if part == value || value.len() >= TELLING {
            *part = part.replace(value, written);
        }
        if all && part.len() >= TELLING && value.contains(part.as_str()) {
            written.clone_into(part);
        }
    }
    parts.join("`")
}

/// A file's name and lines.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    name: String,
    lines: Vec<String>,
}

impl Source {
    /// Of a text.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { name: name.to_owned(), lines: text.lines().map(str::to_owned).collect() }
    }

    /// A problem with its excerpt.
    pub(crate) fn diagnostic(&self, problem: &Problem) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(Some(self.place(problem.span)), &problem.text);
        for (text, span) in &problem.notes {
            diagnostic = diagnostic.note(text, span.map(|span| self.place(Some(span))));
        }
        diagnostic
    }

    /// A place in this file.
    fn place(&self, span: Option<Span>) -> Place {
        Place { file: self.name.clone(), spot: span.map(|span| self.spot(span)) }
    }

    fn spot(&self, span: Span) -> Spot {
        let text = self.lines.get(span.line.saturating_sub(1)).cloned().unwrap_or_default();
        // a span over several lines is shown by its first
        let last = text.trim_end().chars().count() + 1;
        let end = if span.end_line > span.line { last } else { span.end_column };
        Spot { line: span.line, column: span.column, length: end.saturating_sub(span.column), text }
    }
}
