//! YAML text to a positioned tree, within budgets.
//!
//! Built on the events of the parser beneath serde-saphyr, because they carry the place of every
//! key and value; a typed reader would keep the first error only.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError};

use super::{
    node::{Entry, Node, Span, Value},
    problem::Problem,
    scalar,
};

/// Bytes of one file.
pub const LARGEST_FILE: usize = 1 << 20;
/// Maps and lists inside each other.
const MAX_DEPTH: usize = 64;
/// Values of one file, with every alias written out.
pub(super) const MAX_NODES: usize = 20_000;

/// The tree, unless the file cannot be read as one, and every problem on the way.
pub(crate) fn parse(text: &str) -> (Option<Node>, Vec<Problem>) {
    let mut options = Options::default();
    options.emit_comments = false;
    options.emit_unresolved_aliases = true;
    let mut builder = Builder {
        text,
        tag: None,
        events: Parser::new_from_str_with_options(text, options),
        anchors: BTreeMap::new(),
        open: Vec::new(),
        nodes: 0,
        problems: Vec::new(),
    };
    let tree = match builder.document() {
        Ok(tree) => Some(tree),
        Err(problem) => {
            builder.problems.push(*problem);
            None
        }
    };
    (tree, builder.problems)
}

type Stop = Box<Problem>;

struct Builder<'a, I> {
    text: &'a str,
    /// Where the tag of the latest event stands.
    tag: Option<Span>,
    events: I,
    /// Finished anchored nodes and how many values they hold.
    anchors: BTreeMap<usize, (Node, usize)>,
    /// Anchors whose value is still being read.
    open: Vec<usize>,
    nodes: usize,
    problems: Vec<Problem>,
}

impl<'a, I> Builder<'a, I>
where
    I: Iterator<Item = Result<(Event<'a>, serde_saphyr::granit_parser::Span), ScanError>>,
{
    fn next(&mut self) -> Result<(Event<'a>, Span), Stop> {
        match self.events.next() {
            Some(Ok((event, span))) => {
                self.tag = span.tag_span().as_ref().map(convert);
                Ok((event, convert(&span)))
            }
            Some(Err(error)) => Err(Box::new(syntax(&error, self.text))),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// The only document of the file.
    fn document(&mut self) -> Result<Node, Stop> {
        let mut tree = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(..) if tree.is_some() => {
                    return Err(Box::new(Problem::at(
                        span,
                        "a second document starts here\n\nhint: a file holds one scenario; move this one to a file of its own",
                    )));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => tree = Some(self.node(event, span, 0)?),
            }
        }
        tree.filter(|tree| tree.value != Value::Null).ok_or_else(|| {
            Box::new(Problem {
                span: None,
                text:
                    "the file is empty\n\nhint: a scenario starts with `keelhaul: 1` and `name: …`"
                        .into(),
                notes: Vec::new(),
            })
        })
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Stop> {
        self.count(1, span)?;
        if depth > MAX_DEPTH {
            return Err(Box::new(Problem::at(
                span,
                format!("more than {MAX_DEPTH} maps and lists inside each other"),
            )));
        }
        let before = self.nodes;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                let value = match style {
                    ScalarStyle::Plain => scalar::resolve(&text),
                    _ => Value::Text(text.clone().into_owned()),
                };
                (Node::new(span, value, text.into_owned()), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.open.push(anchor);
                let node = self.list(span, depth)?;
                self.open.pop();
                (node, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), span);
                self.open.push(anchor);
                let node = self.map(span, depth)?;
                self.open.pop();
                (node, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::UnresolvedAlias(name) => {
                let text = format!(
                    "`*{name}` stands for nothing\n\nhint: write `&{name}` before the value it shall repeat; a text that begins with `*` needs quotes"
                );
                self.problems.push(Problem::at(span, text));
                (Node::new(span, Value::Hole, ""), 0)
            }
            other => {
                return Err(Box::new(Problem::at(span, format!("unexpected {other:?}"))));
            }
        };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before + 1));
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), Stop> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(Box::new(Problem::at(
                span,
                format!(
                    "more than {MAX_NODES} values, with every `*alias` written out\n\nhint: use fewer aliases, or split the file"
                ),
            )));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Stop> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(Box::new(Problem::at(
                span,
                "this alias stands inside the value it stands for\n\nhint: write the value out",
            )));
        };
        let (mut node, size) = (node.clone(), *size);
        self.count(size, span)?;
        if node.is_scalar() {
            node.span = span;
        }
        Ok(node)
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Node, Stop> {
        let mut items: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let end = closing(span, items.last().map(|item| item.span));
                return Ok(Node::new(start.to(end), Value::List(items), ""));
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Node, Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let (key, key_span) = match event {
                Event::MappingEnd => {
                    let end = closing(span, entries.last().map(|entry| entry.value.span));
                    return Ok(Node::new(start.to(end), Value::Map(entries), ""));
                }
                Event::Scalar(text, ..) => (text.into_owned(), span),
                _ => {
                    return Err(Box::new(Problem::at(span, "a key must be plain text")));
                }
            };
            let (event, span) = self.next()?;
            let mut value = self.node(event, span, depth + 1)?;
            if value.value == Value::Null && value.raw.is_empty() {
                // an empty value has no place of its own
                value.span = key_span;
            }
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let text = format!("`{key}` is given twice\n\nhint: remove one of the two");
                let first = first.key_span;
                self.problems.push(Problem::at(key_span, text).note("first here", Some(first)));
                continue;
            }
            entries.push(Entry { key, key_span, value });
        }
    }

    fn refuse_tag(&mut self, tagged: bool, span: Span) {
        if tagged {
            let text = "YAML tags (`!…`) are not part of the language\n\nhint: remove it; a text that begins with `!` needs quotes";
            self.problems.push(Problem::at(self.tag.unwrap_or(span), text));
        }
    }
}

/// Where a map or list ends: a bracket, or the end of its last value.
fn closing(end: Span, last: Option<Span>) -> Span {
    match last {
        Some(last) if (end.end_line, end.end_column) <= (last.end_line, last.end_column) => last,
        // the end of a block lies at the next token, lines below
        Some(last) if (end.line, end.column) == (end.end_line, end.end_column) => last,
        _ => end,
    }
}

fn convert(span: &serde_saphyr::granit_parser::Span) -> Span {
    Span {
        line: span.start.line().max(1),
        column: span.start.col() + 1,
        end_line: span.end.line().max(1),
        end_column: span.end.col() + 1,
        file: 0,
    }
}

/// A syntax error in our words where they say more than the parser's.
fn syntax(error: &ScanError, text: &str) -> Problem {
    let marker = error.marker();
    let (line, mut column) = (marker.line().max(1), marker.col() + 1);
    let shown = text.lines().nth(line - 1).unwrap_or_default();
    if let Some(tab) = shown.chars().take(column).position(|c| c == '\t') {
        // the parser stops behind it
        column = tab + 1;
    }
    let span = Span { line, column, end_line: line, end_column: column + 1, file: 0 };
    let text = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar => {
            "a tab is not allowed here\n\nhint: YAML indents by spaces".to_owned()
        }
        ErrorKind::UnclosedQuotedScalar => {
            "the quote that opens here is never closed\n\nhint: add the closing quote".to_owned()
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            format!("the `{open}` is never closed\n\nhint: add the closing bracket")
        }
        ErrorKind::MappingValueNotAllowed => {
            "a `:` is not allowed here\n\nhint: put a text that contains `: ` in quotes, or check the indentation"
                .to_owned()
        }
        ErrorKind::InvalidColonPlacement | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => {
            "this does not fit into the brackets that are open here\n\nhint: close the bracket above, or separate by a comma"
                .to_owned()
        }
        ErrorKind::InvalidQuotedScalarIndent => {
            "a text in quotes is still open here\n\nhint: add the closing quote above".to_owned()
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::InvalidIndentation
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::ExpectedBlockSequenceEntry => {
            "this line fits neither the map nor the list above it\n\nhint: check the indentation, and that every key ends with `: `"
                .to_owned()
        }
        ErrorKind::RecursionLimitExceeded => {
            format!("more than {MAX_DEPTH} maps and lists inside each other")
        }
        _ => format!(
            "this is not YAML: {}\n\nhint: check quotes, brackets and indentation up to here",
            error.info()
        ),
    };
    Problem::at(span, text)
}
