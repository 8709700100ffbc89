//! A positioned tree: what a YAML file says, and where it says it.
//!
//! It knows nothing of scenarios.

use serde_json::{Map, Number};

/// Part of a file; lines and columns in characters, from 1; the end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) end_line: usize,
    pub(crate) end_column: usize,
    /// Number of the file among those that a scenario is made of; 0 is its own.
    pub(crate) file: u16,
}

impl Span {
    /// True when the other begins inside.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        self.file == other.file
            && (self.line, self.column) <= (other.line, other.column)
            && (other.line, other.column) < (self.end_line, self.end_column)
    }

    /// From here to the end of the other.
    pub(crate) fn to(self, other: Self) -> Self {
        Self { end_line: other.end_line, end_column: other.end_column, ..self }
    }
}

/// Where a substituted value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The variable.
    pub(crate) variable: String,
    /// Its definition in the file; none when it comes from the command line.
    pub(crate) span: Option<Span>,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
    /// The scalar as written, without quotes.
    pub(crate) raw: String,
    /// Variables that were put in here.
    pub(crate) origins: Vec<Origin>,
}

/// What a node says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// A problem was already reported here.
    Hole,
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seg<'a> {
    Key(&'a str),
    Item(usize),
}

impl<'a> From<&'a str> for Seg<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(key)
    }
}

impl<'a> From<&'a String> for Seg<'a> {
    fn from(key: &'a String) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Seg<'_> {
    fn from(item: usize) -> Self {
        Self::Item(item)
    }
}

impl Node {
    /// A node without variables.
    pub(crate) fn new(span: Span, value: Value, raw: impl Into<String>) -> Self {
        Self { span, value, raw: raw.into(), origins: Vec::new() }
    }

    /// Of what is written nowhere.
    pub(crate) fn nothing() -> Self {
        Self::new(Span::default(), Value::Null, "")
    }

    /// Says of this and everything below which file it stands in.
    pub(crate) fn in_file(&mut self, number: u16) {
        self.span.file = number;
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.in_file(number)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| {
                entry.key_span.file = number;
                entry.value.in_file(number);
            }),
            _ => {}
        }
    }

    /// The entries of a map; none for anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; none for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// How many values these are, with all below.
    pub(crate) fn count(&self) -> usize {
        let items = self.items().iter().map(Self::count);
        let entries = self.entries().iter().map(|entry| entry.value.count());
        1 + items.chain(entries).sum::<usize>()
    }

    /// The entry with this key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The node at a path.
    pub(crate) fn find(&self, path: &[Seg<'_>]) -> Option<&Self> {
        path.iter().try_fold(self, |node, seg| match seg {
            Seg::Key(key) => node.get(key),
            Seg::Item(item) => node.items().get(*item),
        })
    }

    /// Where to point for a path: at a scalar itself, at the key of a map or list; when the path
    /// ends early, at the deepest part that exists.
    pub(crate) fn locate(&self, path: &[Seg<'_>]) -> (Span, Vec<Origin>) {
        let (mut node, mut span) = (self, self.span);
        for seg in path {
            match seg {
                Seg::Key(key) => {
                    let Some(entry) = node.entry(key) else { break };
                    node = &entry.value;
                    span = if node.is_scalar() { node.span } else { entry.key_span };
                }
                Seg::Item(item) => {
                    let Some(next) = node.items().get(*item) else { break };
                    node = next;
                    span = node.span;
                }
            }
        }
        (span, node.origins.clone())
    }

    /// True when this, or a key or value below, is written there.
    pub(crate) fn has(&self, span: &Span) -> bool {
        self.span == *span
            || self.items().iter().any(|item| item.has(span))
            || self.entries().iter().any(|e| e.key_span == *span || e.value.has(span))
    }

    /// Neither map nor list nor nothing.
    pub(crate) fn is_scalar(&self) -> bool {
        !matches!(self.value, Value::List(_) | Value::Map(_) | Value::Null)
    }

    /// True when it came, whole or in part, from a variable.
    pub(crate) fn is_substituted(&self) -> bool {
        !self.origins.is_empty()
    }

    /// In words, for `… wants a size, not WORDS`.
    pub(crate) fn words(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Bool(_) | Value::Hole => format!("`{}`", self.raw),
            Value::Int(_) | Value::Float(_) => format!("the number {}", self.raw),
            Value::Text(text) if text.is_empty() => "empty text".into(),
            Value::Text(text) => format!("`{}`", shorten(text)),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }

    /// As a JSON value.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null | Value::Hole => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Int(int) => {
                Number::from_i128(*int).map_or_else(|| Json::String(self.raw.clone()), Json::Number)
            }
            Value::Float(float) => Number::from_f64(*float)
                .map_or_else(|| Json::String(self.raw.clone()), Json::Number),
            Value::Text(text) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                let pairs = entries.iter().map(|e| (e.key.clone(), e.value.to_json()));
                Json::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

/// The beginning of a long text.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > LONGEST || line.len() < text.trim_end().len() {
        format!("{}…", line.chars().take(LONGEST).collect::<String>())
    } else {
        line.to_owned()
    }
}
