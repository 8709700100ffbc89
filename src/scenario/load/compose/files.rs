//! A Compose file with those that it includes, and those whose services its own extend: one tree, in
//! which every part keeps the file that it was written in.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Beside, build,
    extends::{self, EXTENDS},
    keys::TOP,
    merges,
};
use crate::{
    diagnostic::suggest,
    scenario::load::{
        node::{Entry, Node, Span, Value},
        parse::{self, LARGEST_FILE},
        problem::{Problem, Sources},
    },
};

/// Files that one may lead to, one behind the other.
const DEEPEST: usize = 16;
const INCLUDE: &str = "include";
const SECTIONS: [&str; 5] = ["configs", "networks", "secrets", "services", "volumes"];

/// What several files say together.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) tree: Node,
    /// Where the relative paths of each file begin, by its number among the sources.
    pub(super) directories: BTreeMap<u16, PathBuf>,
}

/// Reads a file, and all that it leads to. `at`: where the scenario names it.
pub(super) fn read(
    path: &Path,
    at: &Node,
    beside: Beside<'_>,
    sources: &mut Sources,
) -> Result<Whole, Vec<Problem>> {
    let mut files = Files { beside, sources, directories: BTreeMap::new(), open: Vec::new() };
    let tree = files.file(path, at)?;
    if tree.get("services").is_none_or(|services| services.entries().is_empty()) {
        let text = "this Compose file has no `services`\n\nhint: name another one";
        return Err(vec![Problem::on(&tree, text)]);
    }
    Ok(Whole { tree, directories: files.directories })
}

struct Files<'a> {
    beside: Beside<'a>,
    sources: &'a mut Sources,
    directories: BTreeMap<u16, PathBuf>,
    /// Those that are being read, each named by the one before it.
    open: Vec<PathBuf>,
}

impl Files<'_> {
    /// One file with what it includes, and its services with what they extend.
    fn file(&mut self, path: &Path, at: &Node) -> Result<Node, Vec<Problem>> {
        let one = |problem| vec![problem];
        if self.open.iter().any(|open| open == path) || self.open.len() >= DEEPEST {
            let text = format!("`{}` leads back to itself\n\nhint: remove it here", path.display());
            return Err(one(Problem::on(at, text)));
        }
        let text = text_of(path, at, self.beside).map_err(one)?;
        let number = self.sources.add(&path.display().to_string(), &text);
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        self.directories.insert(number, directory.clone());
        let mut tree = parsed(&text, number)?;
        self.open.push(path.to_owned());
        let gathered = self.included(&mut tree, &directory).and_then(|()| {
            let services = self.extended(&tree, &directory)?;
            put(&mut tree, "services", services);
            Ok(tree)
        });
        self.open.pop();
        gathered
    }

    /// Adds what the files of `include` declare; a name belongs to one file.
    fn included(&mut self, tree: &mut Node, directory: &Path) -> Result<(), Vec<Problem>> {
        let items = tree.get(INCLUDE).map(Node::items).unwrap_or_default().to_vec();
        let mut problems = Vec::new();
        for item in &items {
            match included_path(item).and_then(|node| Ok((word_of(node)?, node))) {
                Ok((path, node)) => match self.file(&directory.join(path), node) {
                    Ok(other) => problems.extend(join(tree, &other)),
                    Err(found) => problems.extend(found),
                },
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The services of a file, each over the one that it extends.
    fn extended(&mut self, tree: &Node, directory: &Path) -> Result<Node, Vec<Problem>> {
        let services = tree.get("services").cloned();
        let services = services.unwrap_or_else(|| build::map(tree.span, Vec::new()));
        let (mut done, mut problems) = (Vec::new(), Vec::new());
        for entry in services.entries() {
            match self.service(entry, &services, directory, &mut Vec::new()) {
                Ok(value) => done.push(Entry { value, ..entry.clone() }),
                Err(found) => problems.extend(found),
            }
        }
        let value = Value::Map(done);
        if problems.is_empty() { Ok(Node { value, ..services }) } else { Err(problems) }
    }

    /// One service. `above`: those of the same file that it is extended by, outermost first.
    fn service(
        &mut self,
        entry: &Entry,
        services: &Node,
        directory: &Path,
        above: &mut Vec<String>,
    ) -> Result<Node, Vec<Problem>> {
        let Some(named) = entry.value.get(EXTENDS) else { return Ok(entry.value.clone()) };
        let one = |problem| vec![problem];
        let name = named.get("service").unwrap_or(named);
        let word = word_of(name).map_err(one)?;
        above.push(entry.key.clone());
        let base = match named.get("file") {
            Some(file) => {
                let path = directory.join(word_of(file).map_err(one)?);
                let other = self.file(&path, file)?;
                let services = other.get("services").cloned();
                let services = services.unwrap_or_else(|| build::map(other.span, Vec::new()));
                known(name, word, &services).map_err(one)?.value.clone()
            }
            None if above.iter().any(|known| known == word) => {
                let text = format!("`{word}` extends itself in the end\n\nhint: remove it here");
                return Err(one(Problem::on(name, text)));
            }
            None => {
                let base = known(name, word, services).map_err(one)?;
                self.service(base, services, directory, above)?
            }
        };
        Ok(extends::over(&base, &entry.value))
    }
}

fn known<'n>(at: &Node, name: &str, services: &'n Node) -> Result<&'n Entry, Problem> {
    services.entry(name).ok_or_else(|| {
        let names = services.entries().iter().map(|entry| entry.key.as_str());
        let hint = suggest(name, names).unwrap_or_else(|| "that file has no service at all".into());
        Problem::on(at, format!("there is no service `{name}` to extend\n\nhint: {hint}"))
    })
}

/// A name without variables: which files there are is known before them.
fn word_of(node: &Node) -> Result<&str, Problem> {
    match build::word(node) {
        Some(word) if !word.contains('$') => Ok(word),
        Some(_) => Err(Problem::on(
            node,
            "a variable is not put in here\n\nhint: write its value, or let `docker compose config` write one file that holds all",
        )),
        None => Err(Problem::on(node, format!("a name is wanted here, not {}", node.words()))),
    }
}

/// The file that an element of `include` means.
fn included_path(item: &Node) -> Result<&Node, Problem> {
    let other = item.entries().iter().find(|entry| entry.key != "path");
    let path = item.get("path").unwrap_or(item);
    match (other, path.items()) {
        (None, []) => Ok(path),
        (None, [path]) => Ok(path),
        (Some(Entry { key_span: span, .. }), _) | (None, [_, Node { span, .. }, ..]) => {
            let text = "of an included file, its path alone is taken\n\nhint: `docker compose config` writes one file that holds all; name that one";
            Err(Problem::at(*span, text))
        }
    }
}

/// Adds what another file declares, where the same name is not declared already.
fn join(tree: &mut Node, other: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    for section in SECTIONS {
        let Some(more) = other.get(section) else { continue };
        let own = tree.get(section).map(Node::entries).unwrap_or_default();
        let mut joined = own.to_vec();
        for entry in more.entries().iter().filter(|entry| !entry.key.starts_with("x-")) {
            match own.iter().find(|own| own.key == entry.key) {
                Some(own) if own.value.to_json() == entry.value.to_json() => {}
                Some(own) => {
                    let text = format!(
                        "`{}` of `{section}` is declared twice\n\nhint: whoever includes a file takes what is in it as it is; rename one",
                        entry.key
                    );
                    let problem = Problem::at(entry.key_span, text);
                    problems.push(problem.note("the other is here", Some(own.key_span)));
                }
                None => joined.push(entry.clone()),
            }
        }
        put(tree, section, build::map(more.span, joined));
    }
    problems
}

fn put(tree: &mut Node, section: &str, value: Node) {
    let Value::Map(entries) = &mut tree.value else { return };
    match entries.iter_mut().find(|entry| entry.key == section) {
        Some(entry) => entry.value = value,
        None => entries.push(build::entry(section, value.span, value)),
    }
}

fn text_of(path: &Path, at: &Node, beside: Beside<'_>) -> Result<String, Problem> {
    let shown = path.display();
    let bytes = match (beside.read)(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            let text = format!(
                "there is no file `{shown}`\n\nhint: its path begins where the file lies that names it"
            );
            return Err(Problem::on(at, text));
        }
        Err(error) => return Err(Problem::on(at, format!("`{shown}` cannot be read: {error}"))),
    };
    if bytes.len() > LARGEST_FILE {
        return Err(Problem::on(at, format!("`{shown}` has more than {LARGEST_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Problem::on(at, format!("`{shown}` is not UTF-8")))
}

/// A file as a tree with its merge keys done.
fn parsed(text: &str, number: u16) -> Result<Node, Vec<Problem>> {
    const EMPTY: &str = "the file is empty";
    let (tree, mut problems) = parse::parse(text);
    for problem in &mut problems {
        let place = Span { file: number, ..Span::default() };
        problem.span = Some(problem.span.map_or(place, |span| Span { file: number, ..span }));
        if problem.text.starts_with(EMPTY) {
            problem.text = format!("{EMPTY}\n\nhint: a Compose file has `services`");
        }
    }
    let mut tree = tree.ok_or_else(|| problems.clone())?;
    if !problems.is_empty() {
        return Err(problems);
    }
    tree.in_file(number);
    let tree = merges::done(&tree);
    let unknown = tree
        .entries()
        .iter()
        .filter(|entry| !entry.key.starts_with("x-") && !TOP.contains(&entry.key.as_str()));
    problems.extend(unknown.map(|entry| {
        let hint = suggest(&entry.key, TOP).unwrap_or_default();
        let text = format!("unknown key `{}` in a Compose file\n\nhint: {hint}", entry.key);
        Problem::at(entry.key_span, text)
    }));
    if problems.is_empty() { Ok(tree) } else { Err(problems) }
}
