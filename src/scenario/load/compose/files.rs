//! A Compose file with those that it includes, and those whose services its own extend: one tree, in
//! which every part keeps the file that it was written in.

mod kin;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
    rc::Rc,
};

use super::{Beside, build, keys::TOP, merges};
use crate::{
    diagnostic::suggest,
    scenario::load::{
        node::{Entry, Node, Span, Value},
        parse::{self, LARGEST_FILE},
        problem::{Problem, Sources},
    },
};

/// Files that one may lead to, one behind the other; and services of one file that one may extend.
const DEEPEST: usize = 16;
/// Files that one may lead to in all, itself among them.
const MOST: usize = 64;
/// Sections in which no path begins where the file lies.
const ANYWHERE: [&str; 2] = ["networks", "volumes"];
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
    let mut files = Files {
        beside,
        sources,
        directories: BTreeMap::new(),
        open: Vec::new(),
        gathered: BTreeMap::new(),
        full: false,
        taken_over: 0,
    };
    let tree = files.file(path, at)?;
    if tree.get("services").is_none_or(|services| services.entries().is_empty()) {
        let text = "this Compose file has no `services`\n\nhint: name another one";
        return Err(vec![Problem::on(&tree, text)]);
    }
    let directories = files.directories;
    drop(files.gathered);
    Ok(Whole { tree: Rc::unwrap_or_clone(tree), directories })
}

/// An error without a problem: it was told where the same was met before.
struct Files<'a> {
    beside: Beside<'a>,
    sources: &'a mut Sources,
    directories: BTreeMap<u16, PathBuf>,
    /// Those that are being read, each named by the one before it.
    open: Vec<PathBuf>,
    /// What each came to, with all that it leads to; none where its problems were told.
    gathered: BTreeMap<PathBuf, Option<Rc<Node>>>,
    /// It was told that there are too many.
    full: bool,
    /// Values that services have taken over from those that they extend.
    taken_over: usize,
}

impl Files<'_> {
    /// One file with what it includes, and its services with what they extend. It is read once,
    /// however many name it.
    fn file(&mut self, path: &Path, at: &Node) -> Result<Rc<Node>, Vec<Problem>> {
        let path = normal(path);
        if let Some(known) = self.gathered.get(&path) {
            return known.clone().ok_or_else(Vec::new);
        }
        self.may_be_read(&path, at)?;
        let text = text_of(&path, at, self.beside).map_err(one)?;
        let number = self.sources.add(&path.display().to_string(), &text);
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        self.directories.insert(number, directory.clone());
        self.open.push(path.clone());
        let gathered = parsed(&text, number).and_then(|tree| self.gather(tree, &directory));
        self.open.pop();
        self.gathered.insert(path, gathered.as_ref().ok().cloned());
        gathered
    }

    fn gather(&mut self, mut tree: Node, directory: &Path) -> Result<Rc<Node>, Vec<Problem>> {
        self.included(&mut tree, directory)?;
        let services = self.extended(&tree, directory)?;
        put(&mut tree, "services", services);
        Ok(Rc::new(tree))
    }

    /// Whether one more file may be read; an error says why not.
    fn may_be_read(&mut self, path: &Path, at: &Node) -> Result<(), Vec<Problem>> {
        let shown = path.display();
        let text = if self.open.iter().any(|open| open == path) {
            format!("`{shown}` leads back to itself\n\nhint: remove it here")
        } else if self.open.len() >= DEEPEST {
            format!(
                "`{shown}` lies behind {DEEPEST} files, and no file may lie deeper\n\nhint: name it in one of the first"
            )
        } else if self.directories.len() < MOST {
            return Ok(());
        } else if std::mem::replace(&mut self.full, true) {
            return Err(Vec::new());
        } else {
            format!(
                "`{shown}` is one file too many: at most {MOST} are read\n\nhint: `docker compose config` writes one file that holds all; name that one"
            )
        };
        Err(one(Problem::on(at, text)))
    }

    /// Adds what the files of `include` declare; a name belongs to one file.
    fn included(&mut self, tree: &mut Node, directory: &Path) -> Result<(), Vec<Problem>> {
        let items = tree.get(INCLUDE).map(Node::items).unwrap_or_default().to_vec();
        let (mut problems, mut whole, mut taken) = (Vec::new(), true, BTreeSet::new());
        for item in &items {
            let named = included_path(item).and_then(|at| Ok((directory.join(word_of(at)?), at)));
            match named {
                Ok((path, _)) if !taken.insert(normal(&path)) => {}
                Ok((path, at)) => match self.file(&path, at) {
                    Ok(other) => problems.extend(join(tree, &other)),
                    Err(found) => {
                        whole = false;
                        problems.extend(found);
                    }
                },
                Err(problem) => problems.push(problem),
            }
        }
        if whole && problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn one(problem: Problem) -> Vec<Problem> {
    vec![problem]
}

/// A path without `.` and `..`, by its words alone, as Compose takes it: one name for one file.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        let last = normal.components().next_back();
        match (part, last) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                normal.pop();
            }
            (part, _) => normal.push(part),
        }
    }
    normal
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
                Some(own) if is_same(section, &own.value, &entry.value) => {}
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

/// Whether two files mean the same by a name: the same text begins its paths elsewhere in another file.
fn is_same(section: &str, one: &Node, other: &Node) -> bool {
    let is_anywhere = ANYWHERE.contains(&section) || one.span.file == other.span.file;
    is_anywhere && one.to_json() == other.to_json()
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::scenario::load::problem::Source;

    /// What these files come to, and every path that was read.
    fn read_all(files: &BTreeMap<String, String>) -> (Result<Whole, Vec<Problem>>, Vec<String>) {
        let asked = RefCell::new(Vec::new());
        let read = |path: &Path| {
            let path = path.display().to_string();
            let bytes = files.get(&path).map(|text| text.clone().into_bytes());
            asked.borrow_mut().push(path);
            Ok(bytes)
        };
        let beside = Beside { read: &read, directory: Path::new("/") };
        let mut sources = Sources::new(Source::new("t.yaml", ""));
        let at = build::text(Span::default(), "first.yml");
        let whole = super::read(Path::new("first.yml"), &at, beside, &mut sources);
        (whole, asked.into_inner())
    }

    fn services(whole: &Result<Whole, Vec<Problem>>) -> usize {
        whole.as_ref().unwrap().tree.get("services").unwrap().entries().len()
    }

    fn told(whole: Result<Whole, Vec<Problem>>) -> Vec<String> {
        let first = |problem: Problem| problem.text.lines().next().unwrap().to_owned();
        whole.unwrap_err().into_iter().map(first).collect()
    }

    /// Two files on each of 15 levels, each including both of the next.
    fn levels(last: &str) -> BTreeMap<String, String> {
        let level = |at: usize| ["a", "b"].map(|side| format!("{side}{at}.yml"));
        let includes = |at: usize| match level(at) {
            [a, b] if at <= 15 => format!("include: [{a}, ./{b}, x/../{a}]\n"),
            _ => last.to_owned(),
        };
        let first = format!("{}services: {{ s: {{ image: i }} }}\n", includes(1));
        let mut files = BTreeMap::from([("first.yml".to_owned(), first)]);
        for at in 1..=15 {
            for name in level(at) {
                let own = format!("services: {{ {}: {{ image: i }} }}\n", name.replace('.', "-"));
                files.insert(name, includes(at + 1) + &own);
            }
        }
        files
    }

    #[test]
    fn a_file_that_many_include_is_read_once() {
        let files = levels("");
        let (whole, asked) = read_all(&files);
        assert_eq!(services(&whole), 31);
        assert_eq!(asked.len(), files.len());
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_once() {
        let (whole, _) = read_all(&levels("includes: []\n"));
        assert_eq!(told(whole), ["unknown key `includes` in a Compose file"; 2], "of each file");
    }

    #[test]
    fn there_is_a_limit_to_the_files_and_it_is_told_once() {
        let names: Vec<String> = (0..100).map(|at| format!("f{at}.yml")).collect();
        let one = |name: &String| (name.clone(), "networks: { back: }\n".to_owned());
        let mut files: BTreeMap<String, String> = names.iter().map(one).collect();
        let first = format!("include: [{}]\nservices: {{ s: {{ image: i }} }}\n", names.join(", "));
        files.insert("first.yml".to_owned(), first);
        let (whole, asked) = read_all(&files);
        assert_eq!(told(whole), ["`f63.yml` is one file too many: at most 64 are read"]);
        assert_eq!(asked.len(), MOST);
    }

    /// So many services, each extending the one before; the first has this.
    fn chain(count: usize, first: &str) -> Vec<String> {
        let others = (1..count).map(|at| format!("  s{at}: {{ extends: s{} }}\n", at - 1));
        std::iter::once(format!("  s0: {first}\n")).chain(others).collect()
    }

    fn written(services: &[String]) -> BTreeMap<String, String> {
        [("first.yml".to_owned(), format!("services:\n{}", services.concat()))].into()
    }

    #[test]
    fn there_is_a_limit_to_the_services_that_one_extends_in_any_order() {
        let mut services_of = chain(DEEPEST + 1, "{ image: i }");
        assert_eq!(services(&read_all(&written(&services_of)).0), DEEPEST + 1);
        services_of.reverse();
        assert_eq!(services(&read_all(&written(&services_of)).0), DEEPEST + 1);
        let mut services_of = chain(DEEPEST + 2, "{ image: i }");
        let text = |name| {
            format!("`{name}` is one service too many: at most 16 are extended, each by the next")
        };
        assert_eq!(told(read_all(&written(&services_of)).0), [text("s16")]);
        services_of.reverse();
        assert_eq!(told(read_all(&written(&services_of)).0), [text("s0")]);
    }

    #[test]
    fn there_is_a_limit_to_what_services_take_over_and_it_is_told_once() {
        let base = format!("  base: {{ image: i, cap_drop: [{}] }}\n", "A, ".repeat(2000));
        let of = |count: usize| {
            let heirs = (0..count).map(|at| format!("  s{at}: {{ extends: base }}\n"));
            written(&std::iter::once(base.clone()).chain(heirs).collect::<Vec<_>>())
        };
        assert_eq!(services(&read_all(&of(90)).0), 91);
        let wrong = told(read_all(&of(3000)).0);
        assert!(wrong[0].starts_with("with this one, services take over more than 200000 values"));
        assert_eq!(wrong.len(), 1);
    }

    #[test]
    fn the_deepest_of_both_is_read() {
        let name = |at: usize| match at {
            0 => "first.yml".to_owned(),
            _ => format!("f{at}.yml"),
        };
        let file = |at: usize| {
            let first = match at {
                15 => "{ image: i }".to_owned(),
                _ => format!("{{ extends: {{ file: {}, service: s16 }} }}", name(at + 1)),
            };
            let mut services = chain(DEEPEST + 1, &first);
            services.reverse();
            (name(at), format!("services:\n{}", services.concat()))
        };
        let (whole, asked) = read_all(&(0..DEEPEST).map(file).collect());
        assert_eq!((services(&whole), asked.len()), (DEEPEST + 1, DEEPEST));
    }
}
