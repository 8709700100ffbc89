//! A problem by position in a file, and its turn into a diagnostic.

use sha2::{Digest as _, Sha256};

use super::node::{Node, Origin, Span};
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
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    /// Of a scenario's own file.
    pub(crate) fn new(own: Source) -> Self {
        Self(vec![own])
    }

    /// The number of a file, which is added where it is new.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> u16 {
        let known = self.0.iter().position(|source| source.name == name);
        let at = known.unwrap_or_else(|| {
            self.0.push(Source::new(name, text));
            self.0.len() - 1
        });
        u16::try_from(at).unwrap_or_default()
    }

    /// The same for the same text of every file: 16 hexadecimal digits of a SHA-256.
    pub(crate) fn fingerprint(&self, sets: &[(String, String)]) -> String {
        let texts = self.0.iter().flat_map(|source| &source.lines);
        let given = sets.iter().flat_map(|(name, value)| [name, value]);
        let mut digest = Sha256::new();
        for text in texts.chain(given) {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// A problem with its excerpts, each from the file that it lies in.
    pub(crate) fn diagnostic(&self, problem: &Problem) -> Diagnostic {
        let place = |span: Option<Span>| {
            let number = span.map_or(0, |span| usize::from(span.file));
            // a file as a whole has no line
            self.0.get(number).map(|source| source.place(span.filter(|span| span.line > 0)))
        };
        let mut diagnostic = Diagnostic::new(place(problem.span), &problem.text);
        for (text, span) in &problem.notes {
            diagnostic = diagnostic.note(text, span.and_then(|span| place(Some(span))));
        }
        diagnostic
    }
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
