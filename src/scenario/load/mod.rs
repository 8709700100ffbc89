//! Text to scenarios: a positioned tree, its cells and controls, and the types.
//!
//! `parse` reads YAML, `matrix` makes cells, `merge` puts controls over, `vars` puts variables in,
//! `shape` finds every problem a schema can state, `rounds` writes loops out, `de` reads the types, `salvage` finds what else is
//! wrong in the parts that are sound. All problems of all files are reported at once. Pure: the caller reads the files.

mod alone;
mod compose;
mod de;
mod gaps;
mod matrix;
mod merge;
mod node;
mod parse;
mod problem;
mod rounds;
mod salvage;
mod scalar;
mod shape;
mod vars;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

pub use alone::{read_fault, read_probe, read_workload};
pub use compose::{Beside, Reader, compose_volumes};
pub use gaps::{Gap, Way, compose_gaps, compose_ports};
use matrix::SEED;
pub(crate) use matrix::suffix;
pub(crate) use node::{Node, Seg, Span};
pub use parse::LARGEST_FILE;
pub(crate) use problem::Problem;
use problem::{Source, Sources};

use super::{Control, Scenario, check, schema::schema};
use crate::diagnostic::{Diagnostic, sorted, suggest};

/// A scenario file, read and checked: every cell and every control of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The file.
    pub file: PathBuf,
    /// Name of the scenario.
    pub name: String,
    /// Tags of the scenario.
    pub tags: Vec<String>,
    /// Values that it took from the environment; reports hide them.
    pub secrets: Vec<String>,
    /// What `--set` gave to variables and axes of this file.
    pub sets: Vec<(String, String)>,
    /// The same as long as the file, its Compose file and `sets` are.
    pub fingerprint: String,
    /// Cells of the matrix; one without labels when there is none.
    pub cells: Vec<Cell>,
}

/// One cell of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Axis and value, in the order of the axes.
    pub labels: Vec<(String, String)>,
    /// The same as they are written, of those that are maps or lists.
    pub shapes: BTreeMap<String, serde_json::Value>,
    /// The scenario with every variable put in.
    pub scenario: Scenario,
    /// The controls that run in this cell.
    pub controls: Vec<ControlCell>,
}

/// A control in one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlCell {
    /// The control.
    pub control: Control,
    /// The scenario with its overrides merged and every variable put in.
    pub scenario: Scenario,
}

/// Values for `${X}` from the command line: `--set X=V`.
pub type Sets = BTreeMap<String, String>;
/// What `${env:X}` may see.
pub type Env = BTreeMap<String, String>;

/// Reads and checks scenario files. The text of an unreadable file says that it could not be read.
///
/// # Errors
/// Every problem of every file, in reading order; nothing is loaded then.
pub fn load_all(
    files: &[(PathBuf, Result<Vec<u8>, String>)],
    sets: &Sets,
    env: &Env,
) -> Result<Vec<Loaded>, Vec<Diagnostic>> {
    load_beside(files, sets, env, Beside::nothing())
}

/// Reads and checks scenario files, and the Compose files that they name.
///
/// # Errors
/// Every problem of every file, in reading order; nothing is loaded then.
pub fn load_beside(
    files: &[(PathBuf, Result<Vec<u8>, String>)],
    sets: &Sets,
    env: &Env,
    beside: Beside<'_>,
) -> Result<Vec<Loaded>, Vec<Diagnostic>> {
    let (known, names, problems) = (BTreeSet::new(), Vec::new(), Vec::new());
    let mut all = Batch { sets, env, beside, known, names, problems };
    let loaded: Vec<Loaded> =
        files.iter().filter_map(|(path, bytes)| all.file(path, bytes)).collect();
    all.same_names();
    all.unknown_sets();
    if all.problems.is_empty() { Ok(loaded) } else { Err(sorted(all.problems)) }
}

/// Names that a file reads from the environment by `${env:NAME}`; none when it is not YAML.
#[must_use]
pub fn environment(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    if let (Some(tree), _) = parse::parse(text) {
        vars::environment(&tree, &mut names);
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The files of one call.
struct Batch<'a> {
    sets: &'a Sets,
    env: &'a Env,
    beside: Beside<'a>,
    /// Variables and axes of any file.
    known: BTreeSet<String>,
    /// Names of scenarios, and where they are given; also of files with problems.
    names: Vec<(String, Source, Span)>,
    problems: Vec<Diagnostic>,
}

impl Batch<'_> {
    fn file(&mut self, path: &Path, bytes: &Result<Vec<u8>, String>) -> Option<Loaded> {
        let name = path.display().to_string();
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(text) => {
                self.problems.push(Diagnostic::of_file(&name, text));
                return None;
            }
        };
        if bytes.len() > LARGEST_FILE {
            let text = format!("more than {LARGEST_FILE} bytes are no scenario\n\nhint: split it");
            self.problems.push(Diagnostic::of_file(&name, &text));
            return None;
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                self.problems.push(not_utf8(&name, bytes, error.valid_up_to()));
                return None;
            }
        };
        let source = Source::new(&name, text);
        let mut file = FileLoad::new(self, path, source.clone());
        let loaded = file.load(text);
        let (problems, named, sources) = (file.problems, file.name, file.sources);
        let secrets = self.secrets(text);
        self.problems.extend(problems.into_iter().map(|mut problem| {
            problem.text = hide(&problem.text, &secrets);
            sources.diagnostic(&problem)
        }));
        if let Some((name, span)) = named {
            self.names.push((name, source, span));
        }
        let loaded = loaded?;
        let fingerprint = sources.fingerprint(&loaded.sets);
        Some(Loaded { file: path.to_owned(), secrets, fingerprint, ..loaded })
    }

    /// Values that a file takes from the environment; shorter ones would hide half of any text.
    fn secrets(&self, text: &str) -> Vec<String> {
        const SHORTEST: usize = 4;
        let names = environment(text).into_iter();
        let values = names.filter_map(|name| self.env.get(&name).cloned());
        values.filter(|value| value.len() >= SHORTEST).collect()
    }

    /// Reports need names that are unique over all files.
    fn same_names(&mut self) {
        let mut first: BTreeMap<&str, (&Source, Span)> = BTreeMap::new();
        for (name, source, span) in &self.names {
            let Some((other, other_span)) = first.get(name.as_str()) else {
                first.insert(name, (source, *span));
                continue;
            };
            let text = format!(
                "two scenarios are called `{name}`\n\nhint: rename one; reports go by the name"
            );
            let here = source.diagnostic(&Problem::at(*span, text));
            let there = other.diagnostic(&Problem::at(*other_span, ""));
            self.problems.push(here.note("the other is here", there.place));
        }
    }

    fn unknown_sets(&mut self) {
        for name in self.sets.keys().filter(|name| !self.known.contains(*name)) {
            let hint = suggest(name, self.known.iter().map(String::as_str))
                .unwrap_or_else(|| "no scenario here has any".into());
            let text = format!("`--set {name}=…`: no scenario has such a variable\n\nhint: {hint}");
            self.problems.push(Diagnostic::new(None, &text));
        }
    }
}

/// A text without the values of the environment.
fn hide(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "(hidden)"))
}

fn not_utf8(name: &str, bytes: &[u8], valid: usize) -> Diagnostic {
    let before = &bytes[..valid];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    let shown: String = String::from_utf8_lossy(bytes).lines().nth(line - 1).unwrap_or("").into();
    let source = Source::new(name, &format!("{}{shown}", "\n".repeat(line - 1)));
    let span = Span { line, column, end_line: line, end_column: column + 1, file: 0 };
    source.diagnostic(&Problem::at(span, "this is not UTF-8\n\nhint: save the file as UTF-8"))
}

/// One file.
struct FileLoad<'a, 'b> {
    batch: &'a mut Batch<'b>,
    path: &'a Path,
    sources: Sources,
    problems: Vec<Problem>,
    name: Option<(String, Span)>,
}

impl<'a, 'b> FileLoad<'a, 'b> {
    fn new(batch: &'a mut Batch<'b>, path: &'a Path, own: Source) -> Self {
        Self { batch, path, sources: Sources::new(own), problems: Vec::new(), name: None }
    }

    fn load(&mut self, text: &str) -> Option<Loaded> {
        let (tree, problems) = parse::parse(text);
        self.problems.extend(problems);
        let tree = tree?;
        if !matches!(tree.value, node::Value::Map(_)) {
            let text = format!(
                "a scenario is a map, not {}\n\nhint: start with `keelhaul: 1` and `name: …`",
                tree.words()
            );
            self.problems.push(Problem::on(&tree, text));
            return None;
        }
        if let Some(Node { value: node::Value::Text(name), span, .. }) = tree.get("name") {
            self.name = Some((name.clone(), *span));
        }
        for section in ["vars", "matrix", "compose"] {
            if let Some(entry) = tree.entry(section) {
                self.note_names(section, &entry.value);
                self.section_shape(section, entry);
            }
        }
        if !self.problems.is_empty() {
            // without sound cells, every use of a variable would look wrong
            self.problems.extend(shape::check(&blank(&tree), schema()));
            dedup(&mut self.problems);
            return None;
        }
        let cells = matrix::cells(&tree, self.batch.sets, &mut self.problems);
        let each = |cell| self.cell(&tree, cell, first_seed(cell, &cells));
        let done: Vec<_> = cells.iter().filter_map(each).collect();
        dedup(&mut self.problems);
        if !self.problems.is_empty() {
            return None;
        }
        let (scenario, sets) = (&done.first()?.scenario, self.sets_of(&tree));
        let (name, tags) = (scenario.name.clone(), scenario.tags.clone());
        let (file, secrets, fingerprint) = (PathBuf::new(), Vec::new(), String::new());
        Some(Loaded { file, name, tags, secrets, sets, fingerprint, cells: done })
    }

    /// Names that `--set` may give.
    fn note_names(&mut self, section: &str, node: &Node) {
        self.batch.known.extend(settable(section, node).map(str::to_owned));
    }

    /// What `--set` gives to this file: another one may know nothing of it.
    fn sets_of(&self, tree: &Node) -> Vec<(String, String)> {
        let sections = ["vars", "matrix"].into_iter().filter_map(|it| Some((it, tree.get(it)?)));
        let known: BTreeSet<&str> =
            sections.flat_map(|(section, node)| settable(section, node)).collect();
        let sets = self.batch.sets.iter().filter(|(name, _)| known.contains(name.as_str()));
        sets.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The shape of a section that is needed before variables can be put in.
    fn section_shape(&mut self, section: &str, entry: &node::Entry) {
        let alone = Node::new(entry.key_span, node::Value::Map(vec![entry.clone()]), "");
        let only = |problem: &Problem| {
            problem.span.is_some_and(|span| entry.value.span.holds(&span) || span == entry.key_span)
        };
        let found = shape::check(&alone, schema());
        let missing = format!("has no `{section}`");
        self.problems.extend(found.into_iter().filter(|p| {
            only(p) && !p.text.starts_with("the scenario ") && !p.text.contains(&missing)
        }));
    }

    fn cell(&mut self, tree: &Node, cell: &matrix::Values, controls: bool) -> Option<Cell> {
        let whole = self.composed(tree, cell, self.batch.sets)?;
        let scenario = self.scenario(&whole, None, cell, self.batch.sets)?;
        let mut done = Vec::new();
        let written = tree.get("controls").map(Node::items).unwrap_or_default();
        for (number, (item, control)) in written.iter().zip(&scenario.controls).enumerate() {
            let chosen = match item.get("cells") {
                Some(cells) => {
                    self.known_cells(cells, tree);
                    cell.matches(cells)
                }
                None => controls,
            };
            if chosen {
                done.extend(self.control(tree, (number, item, control), cell));
            }
        }
        Some(Cell { labels: cell.labels.clone(), shapes: cell.shapes(), scenario, controls: done })
    }

    /// The cells of a control must exist.
    fn known_cells(&mut self, cells: &Node, tree: &Node) {
        let axes = tree.get("matrix").and_then(|matrix| matrix.get("axes"));
        let axes = axes.map(Node::entries).unwrap_or_default();
        for entry in cells.entries() {
            let Some(axis) = axes.iter().find(|axis| axis.key == entry.key) else {
                let names = axes.iter().map(|axis| axis.key.as_str());
                let hint = suggest(&entry.key, names).unwrap_or_else(|| "remove `cells`".into());
                let text = format!("the matrix has no axis `{}`\n\nhint: {hint}", entry.key);
                self.problems.push(Problem::at(entry.key_span, text));
                continue;
            };
            let labels: Vec<String> = axis.value.items().iter().map(matrix::label).collect();
            let wanted = matrix::label(&entry.value);
            if !labels.contains(&wanted) {
                let hint = suggest(&wanted, labels.iter().map(String::as_str)).unwrap_or_default();
                let text =
                    format!("the axis `{}` has no value `{wanted}`\n\nhint: {hint}", entry.key);
                self.problems.push(Problem::at(entry.value.span, text));
            }
        }
    }

    fn control(
        &mut self,
        tree: &Node,
        (number, item, control): (usize, &Node, &Control),
        cell: &matrix::Values,
    ) -> Option<ControlCell> {
        // what a control overrides is the bug it stands for: `--set` must not switch it off
        let own = item.get("vars").map(Node::entries).unwrap_or_default();
        let mut sets = self.batch.sets.clone();
        sets.retain(|name, _| !own.iter().any(|entry| entry.key == *name));
        let before = self.problems.len();
        let whole = self.composed(&merge::vars(tree, item), cell, &sets)?;
        let merged = merge::merge(&whole, item, &mut self.problems);
        let scenario = match self.problems.len() > before {
            true => None,
            false => self.scenario(&merged, Some(number), cell, &sets),
        };
        // the scenario itself was sound: what is found here is the control's doing
        for problem in &mut self.problems[before..] {
            problem.point_at_control(&control.name, item);
        }
        Some(ControlCell { control: control.clone(), scenario: scenario? })
    }

    /// The tree with what its Compose file says.
    fn composed(&mut self, tree: &Node, cell: &matrix::Values, sets: &Sets) -> Option<Node> {
        let definitions = vars::Definitions {
            vars: tree.get("vars"),
            cell: &cell.values,
            sets,
            env: self.batch.env,
        };
        let given = compose::Given {
            scenario: self.path,
            definitions: &definitions,
            beside: self.batch.beside,
        };
        let expanded = compose::expand(tree, &given, &mut self.sources);
        expanded.map_err(|problems| self.problems.extend(problems)).ok()
    }

    /// One tree with its variables put in, read and checked.
    fn scenario(
        &mut self,
        tree: &Node,
        control: Option<usize>,
        cell: &matrix::Values,
        sets: &Sets,
    ) -> Option<Scenario> {
        let mut problems = Vec::new();
        let definitions = vars::Definitions {
            vars: tree.get("vars"),
            cell: &cell.values,
            sets,
            env: self.batch.env,
        };
        let tree = vars::substitute(tree, &definitions, &mut problems);
        problems.extend(shape::check(&tree, schema()));
        problems.extend(without_services(&tree));
        let tree = rounds::written_out(&tree, &mut problems);
        let scenario = match problems.is_empty() {
            true => de::read::<Scenario>(&tree, None).map_err(|problem| vec![problem]),
            false => Err(Vec::new()),
        };
        match scenario {
            Ok(scenario) => {
                problems.extend(check::check(&scenario, &tree, control));
                let sound = problems.is_empty();
                self.problems.extend(problems);
                sound.then_some(scenario)
            }
            Err(first) => {
                let more = salvage::parts(&tree, &problems);
                problems.extend(if more.is_empty() { first } else { more });
                problems.extend(salvage::rest(&tree, &problems, control));
                self.problems.extend(problems);
                None
            }
        }
    }
}

/// They may come from a Compose file, and must come from somewhere.
fn without_services(tree: &Node) -> Option<Problem> {
    let text = "the scenario has no `services`\n\nhint: add `services: …`, or name a Compose file: `compose: …`";
    tree.get("services").is_none().then(|| Problem::on(tree, text))
}

/// Names of variables, or of axes.
fn settable<'a>(section: &str, node: &'a Node) -> impl Iterator<Item = &'a str> {
    let named = match section {
        "matrix" => node.get("axes"),
        "vars" => Some(node),
        _ => None,
    };
    named.map(Node::entries).unwrap_or_default().iter().map(|entry| entry.key.as_str())
}

/// Controls run along the first seed only.
fn first_seed(cell: &matrix::Values, cells: &[matrix::Values]) -> bool {
    let others = |cell: &matrix::Values| {
        let labels = cell.labels.iter().filter(|(axis, _)| axis != SEED);
        labels.cloned().collect::<Vec<_>>()
    };
    let mine = others(cell);
    cells.iter().find(|other| others(other) == mine) == Some(cell)
}

/// Every text with a variable left open, for a shape check without values.
fn blank(tree: &Node) -> Node {
    let mut node = tree.clone();
    match &mut node.value {
        node::Value::Text(text) if text.contains("${") => node.value = node::Value::Hole,
        node::Value::List(items) => items.iter_mut().for_each(|item| *item = blank(item)),
        node::Value::Map(entries) => {
            entries.iter_mut().for_each(|entry| entry.value = blank(&entry.value));
        }
        _ => {}
    }
    node
}

/// Cells and controls find the same problem again and again.
fn dedup(problems: &mut Vec<Problem>) {
    let mut seen: Vec<Problem> = Vec::new();
    for problem in problems.drain(..) {
        let known = |other: &Problem| other.span == problem.span && other.text == problem.text;
        if !seen.iter().any(known) {
            seen.push(problem);
        }
    }
    *problems = seen;
}
