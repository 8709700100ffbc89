//! A Compose file while it is translated: which of its services are meant, what its variables stand
//! for, and the volumes that come of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use super::{
    Beside, Given, build,
    files::{Whole, normal},
    interpolate::interpolate,
    networks, service, values, volume,
};
use crate::{
    diagnostic::suggest,
    scenario::{
        Compose,
        load::{
            gaps::{Part, Way},
            node::{Entry, Node, Span, Value},
            parse::LARGEST_FILE,
            problem::Problem,
            vars::{self, Definitions},
        },
    },
};

/// In `without`: whatever a run has no counterpart for.
pub(super) const ANYTHING: &str = "*";
/// Keys without which a service would be another one, or one that may do more.
pub(super) const NEEDED: [&str; 10] = [
    "build",
    "cap_drop",
    "command",
    "entrypoint",
    "env_file",
    "environment",
    "image",
    "read_only",
    "user",
    "volumes",
];
/// Variables for the file, beside it.
const DOTENV: &str = ".env";
/// The one that names its project, whatever the file itself says.
const PROJECT: &str = "COMPOSE_PROJECT_NAME";

pub(super) struct File<'a> {
    /// Its name, as the scenario has it.
    pub(super) written: String,
    pub(super) problems: Vec<Problem>,
    /// What a run does not have, and how a scenario can go on without it.
    pub(super) gaps: Vec<(Way, Problem)>,
    /// TCP ports that are served, by service.
    pub(super) ports: BTreeMap<String, Vec<u16>>,
    tree: Node,
    path: PathBuf,
    /// Where relative paths begin, by the number of the file that they stand in.
    directories: BTreeMap<u16, PathBuf>,
    options: Compose,
    definitions: &'a Definitions<'a>,
    beside: Beside<'a>,
    dotenv: Vec<(String, String)>,
    /// What the scenario says itself.
    over: Node,
    /// The volumes that services use, by name.
    volumes: Vec<Entry>,
    /// Names that were made up, by service and path.
    made: BTreeMap<(String, String), String>,
    /// Where variables were put in, as what it is written there, and what stands there now.
    pub(super) put_in: Vec<(Span, String, String)>,
    /// What of `without` was met.
    done_without: BTreeSet<String>,
}

impl<'a> File<'a> {
    pub(super) fn new(
        Whole { tree, directories }: Whole,
        path: &Path,
        options: &Compose,
        (over, given): (&Node, &'a Given<'a>),
    ) -> Self {
        let directory = path.parent().unwrap_or(Path::new(""));
        let whole = Span { file: tree.span.file, ..Span::default() };
        let (dotenv, problems) = match read_beside(given.beside, &directory.join(DOTENV)) {
            Ok(text) => (values::variables(&text.unwrap_or_default()), Vec::new()),
            Err(why) => (Vec::new(), vec![Problem::at(whole, why)]),
        };
        Self {
            written: options.file.clone(),
            problems,
            gaps: Vec::new(),
            ports: BTreeMap::new(),
            tree,
            path: path.to_owned(),
            directories,
            options: options.clone(),
            definitions: given.definitions,
            beside: given.beside,
            dotenv: dotenv.into_iter().map(|(name, value, _)| (name, value)).collect(),
            over: over.clone(),
            volumes: Vec::new(),
            made: BTreeMap::new(),
            put_in: Vec::new(),
            done_without: BTreeSet::new(),
        }
    }

    /// Its services and volumes, as a scenario has them. `at`: where the scenario names it.
    pub(super) fn translated(&mut self, at: &Node) -> (Node, Node) {
        let whole = self.tree.clone();
        self.unknown_services(at);
        let mut services = Vec::new();
        for entry in whole.get("services").map(Node::entries).unwrap_or_default() {
            if !entry.key.starts_with("x-") && !self.is_left_out(&entry.key) {
                let over = self.over.find(&["services".into(), (&entry.key).into()]).cloned();
                let value = service::translate(self, entry, over.as_ref());
                services.push(Entry { value, ..entry.clone() });
            }
        }
        self.strangers(&services);
        networks::declared(self, &services);
        self.unmet_without(at);
        let volumes = std::mem::take(&mut self.volumes);
        (build::map(at.span, services), build::map(at.span, volumes))
    }

    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// What the file declares in one of its sections.
    pub(super) fn section(&self, name: &str) -> Vec<Entry> {
        self.tree.get(name).map(Node::entries).unwrap_or_default().to_vec()
    }

    /// The same, where a scenario can go on all the same.
    pub(super) fn gap(&mut self, way: Way, problem: Problem) {
        self.gaps.push((way, problem));
    }

    /// Every key of the services that are meant, but those of which too little would be left.
    pub(super) fn parts(&self) -> Vec<Part> {
        let services = self.tree.get("services").map(Node::entries).unwrap_or_default();
        let meant = services.iter().filter(|service| !self.is_left_out(&service.key));
        let keys = meant.flat_map(|service| {
            let keys = service.value.entries().iter();
            let part = move |part: &Entry| Part {
                service: service.key.clone(),
                key: part.key.clone(),
                spans: [part.key_span, part.value.span],
            };
            keys.filter(|part| !NEEDED.contains(&&*part.key)).map(part)
        });
        keys.collect()
    }

    /// A service as the file has it.
    pub(super) fn service(&self, name: &str) -> Option<&Node> {
        self.tree.find(&["services".into(), name.into()])
    }

    /// Not among those that are meant: not named, or, where none is, one that a profile starts.
    pub(super) fn is_left_out(&self, name: &str) -> bool {
        match self.options.services.as_slice() {
            [] => self.service(name).and_then(|it| it.get("profiles")).is_some_and(names_some),
            chosen => self.service(name).is_some() && !chosen.iter().any(|one| one == name),
        }
    }

    pub(super) fn does_without(&mut self, service: &str, key: &str) -> bool {
        let whole = format!("{service}.{key}");
        let found = self.options.without.iter().find(|one| **one == key || **one == whole).cloned();
        self.done_without.extend(found.clone());
        found.is_some()
    }

    /// What Compose calls the image that it builds for a service; none where its project has no name.
    pub(super) fn built_image(&mut self, service: &str) -> Option<String> {
        let given = self.variable(PROJECT).filter(|name| !name.is_empty());
        let project = match (given, self.tree.get("name").cloned()) {
            (Some(given), _) => given,
            (None, Some(name)) => build::word(&self.interpolated(&name)?)?.to_owned(),
            (None, None) => {
                let path = normal(&self.beside.directory.join(&self.path));
                path.parent()?.file_name()?.to_string_lossy().into_owned()
            }
        };
        Some(format!("{}-{service}", project_name(&project)?))
    }

    fn unknown_services(&mut self, at: &Node) {
        let services = self.tree.get("services").map(Node::entries).unwrap_or_default();
        let known: Vec<&str> = services.iter().map(|entry| entry.key.as_str()).collect();
        let chosen = at.get("services").map(Node::items).unwrap_or_default();
        let unknown = chosen.iter().filter(|item| !known.contains(&item.raw.as_str()));
        let problems: Vec<Problem> = unknown
            .map(|item| {
                let hint = suggest(&item.raw, known.iter().copied()).unwrap_or_default();
                let text =
                    format!("`{}` has no service `{}`\n\nhint: {hint}", self.written, item.raw);
                Problem::on(item, text)
            })
            .collect();
        self.problems.extend(problems);
    }

    /// An override of a service that is not there is a slip, unless it is one of its own.
    fn strangers(&mut self, services: &[Entry]) {
        let over = self.over.get("services").cloned();
        for entry in over.iter().flat_map(Node::entries) {
            let known = services.iter().any(|service| service.key == entry.key);
            if known || entry.value.get("image").is_some() {
                continue;
            }
            let names = services.iter().map(|service| service.key.as_str());
            let hint = suggest(&entry.key, names).unwrap_or_else(|| "give it an `image`".into());
            let text = format!(
                "`{}` has no service `{}` to override, and it has no image of its own\n\nhint: {hint}",
                self.written, entry.key
            );
            self.report(Problem::at(entry.key_span, text));
        }
    }

    fn unmet_without(&mut self, at: &Node) {
        let items = at.get("without").map(Node::items).unwrap_or_default();
        for item in items
            .iter()
            .filter(|item| !self.done_without.contains(&item.raw) && item.raw != ANYTHING)
        {
            let text = format!(
                "no service of `{}` has `{}` to do without\n\nhint: write `KEY` or `SERVICE.KEY`, or remove it",
                self.written, item.raw
            );
            self.problems.push(Problem::on(item, text));
        }
    }

    /// What a name stands for: the scenario's variable, or one of the file beside this one.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        vars::text_of(name, self.definitions).or_else(|| {
            self.dotenv.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.clone())
        })
    }

    /// A part with its variables put in; none when one has no value, which was reported.
    pub(super) fn interpolated(&mut self, node: &Node) -> Option<Node> {
        let mut whole = true;
        let value = match &node.value {
            Value::Text(text) if text.contains('$') => {
                return self.put_in(node, text);
            }
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.interpolated(item)).collect();
                whole = items.iter().all(Option::is_some);
                Value::List(items.into_iter().flatten().collect())
            }
            Value::Map(entries) => {
                let mut kept = Vec::new();
                for entry in entries.iter().filter(|entry| !entry.key.starts_with("x-")) {
                    match self.interpolated(&entry.value) {
                        Some(value) => kept.push(Entry { value, ..entry.clone() }),
                        None => whole = false,
                    }
                }
                Value::Map(kept)
            }
            _ => return Some(node.clone()),
        };
        whole.then(|| Node { value, ..node.clone() })
    }

    /// The same of what a run can do without: none where a variable has no value, and no problem.
    pub(super) fn noted(&mut self, node: &Node) -> Option<Node> {
        let known = self.problems.len();
        let found = self.interpolated(node);
        self.problems.truncate(known);
        found
    }

    fn put_in(&mut self, node: &Node, written: &str) -> Option<Node> {
        let mut used = Vec::new();
        let found = interpolate(written, &mut |name| {
            let value = self.variable(name);
            used.extend(value.clone().map(|value| (format!("${{{name}}}"), value)));
            value
        });
        match found {
            Ok(text) => {
                self.put_in.push((node.span, written.to_owned(), text.clone()));
                let used = used.into_iter().map(|(shown, value)| (node.span, shown, value));
                self.put_in.extend(used);
                Some(Node::new(node.span, Value::Text(text.clone()), text))
            }
            Err(problem) => {
                self.report(Problem::on(node, problem));
                None
            }
        }
    }

    /// Where the relative paths of a part begin.
    fn directory(&self, part: &Node) -> &Path {
        self.directories.get(&part.span.file).map_or(Path::new(""), PathBuf::as_path)
    }

    /// A path of the host: from the directory of the file that says it, and absolute.
    pub(super) fn host_path(&mut self, source: &str, node: &Node) -> Option<String> {
        if source.starts_with('~') {
            let text = format!(
                "`{source}` is a place of whoever runs this\n\nhint: write it from `/`, or from this file's directory by `./`"
            );
            self.report(Problem::on(node, text));
            return None;
        }
        let whole = self.beside.directory.join(self.directory(node)).join(source);
        let mut plain = PathBuf::new();
        for part in whole.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    plain.pop();
                }
                part => plain.push(part),
            }
        }
        Some(plain.display().to_string())
    }

    /// The text of a file beside the one that names it; none where it cannot be had, which was reported.
    pub(super) fn text_beside(&mut self, name: &str, at: &Node, optional: bool) -> Option<String> {
        let path = self.directory(at).join(name);
        let problem = match read_beside(self.beside, &path) {
            Ok(Some(text)) => return Some(text),
            Ok(None) if optional => return None,
            Ok(None) => format!("there is no file `{}`", path.display()),
            Err(problem) => problem,
        };
        self.report(Problem::on(at, problem));
        None
    }

    /// A volume that the file gives no name; returns the name that it gets.
    pub(super) fn new_volume(&mut self, service: &str, target: &str, value: Node) -> String {
        let place = (service.to_owned(), target.trim_end_matches('/').to_owned());
        if let Some(name) = self.made.get(&place) {
            return name.clone();
        }
        let name = self.free_name(service, target);
        if !self.is_overridden(&name) {
            self.volumes.push(build::entry(&name, value.span, value));
        }
        self.made.insert(place, name.clone());
        name
    }

    /// The volume in place of a directory of whoever runs this: the scenario has to say which.
    pub(super) fn home(
        &mut self,
        service: &str,
        target: &str,
        (source, node): (&str, &Node),
    ) -> Option<String> {
        let empty = build::single("docker", build::map(node.span, Vec::new()));
        let name = self.new_volume(service, target, empty);
        if self.is_overridden(&name) || self.does_without("", ANYTHING) {
            return Some(name);
        }
        let text = format!(
            "`{source}` is a place of whoever runs this\n\nhint: write it from `/`, or from this file's directory by `./`, or give the run an empty directory in its place: `volumes: {{ {name}: {{ docker: {{}} }} }}`"
        );
        self.gap(Way::Volume(name, "docker"), Problem::on(node, text));
        None
    }

    /// `SERVICE-PATH`, and a number where that is another volume's name.
    fn free_name(&self, service: &str, target: &str) -> String {
        let words = target.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
        let words: Vec<String> = words.map(str::to_lowercase).collect();
        let name = format!("{service}-{}", words.join("-"));
        let name = name.trim_end_matches('-');
        let declared = self.tree.get("volumes");
        let is_free = |name: &String| {
            let declared = declared.is_some_and(|it| it.entry(name).is_some());
            !declared && self.made.values().all(|made| made != name)
        };
        let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
        std::iter::once(name.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
    }

    /// The scenario has a volume of that name itself: whoever overrides one says all of it.
    fn is_overridden(&self, name: &str) -> bool {
        self.over.find(&["volumes".into(), name.into()]).is_some()
    }

    /// Notes that a volume of the file is used; false when that cannot be, which was reported.
    pub(super) fn use_volume(&mut self, name: &str, at: &Node, no_copy: bool) -> bool {
        let known = self.volumes.iter().any(|entry| entry.key == name);
        if known || self.is_overridden(name) {
            return true;
        }
        let declared = self.tree.get("volumes").map(Node::entries).unwrap_or_default();
        let Some(entry) = declared.iter().find(|entry| entry.key == name).cloned() else {
            let hint = suggest(name, declared.iter().map(|entry| entry.key.as_str()))
                .unwrap_or_else(|| {
                    format!("declare it: `volumes: {{ {name}: }}`; a path begins with `./`")
                });
            let text = format!("no volume is called `{name}`\n\nhint: {hint}");
            self.report(Problem::on(at, text));
            return false;
        };
        let Some(value) = self.interpolated(&entry.value) else { return false };
        let Some(value) = self.docker_volume(&Entry { value, ..entry.clone() }, no_copy) else {
            return false;
        };
        self.volumes.push(Entry { value, ..entry });
        true
    }

    /// What the file declares under a name in one of its sections, with its variables put in; none
    /// where it declares nothing of that name, which was reported.
    pub(super) fn declared(&mut self, section: &str, name: &str, at: &Node) -> Option<Entry> {
        let declared = self.tree.get(section).map(Node::entries).unwrap_or_default();
        let Some(entry) = declared.iter().find(|entry| entry.key == name).cloned() else {
            let names = declared.iter().map(|entry| entry.key.as_str());
            let hint = suggest(name, names)
                .unwrap_or_else(|| format!("declare it: `{section}: {{ {name}: {{ file: … }} }}`"));
            let text = format!("`{section}` declares no `{name}`\n\nhint: {hint}");
            self.report(Problem::on(at, text));
            return None;
        };
        let value = self.interpolated(&entry.value)?;
        Some(Entry { value, ..entry })
    }

    /// A volume of the run's own, as this one is made; plain where the scenario does without the
    /// storage that the file means.
    fn docker_volume(&mut self, entry: &Entry, no_copy: bool) -> Option<Node> {
        match volume::memory(&entry.value) {
            Some(Ok(memory)) => return Some(memory),
            Some(Err(problem)) if !self.does_without("", ANYTHING) => {
                self.gap(Way::Volume(entry.key.clone(), "tmpfs"), problem);
                return None;
            }
            Some(Err(_)) | None => {}
        }
        let what = format!("volume `{}`", entry.key);
        let wrong = values::no_switches(&what, &entry.value, &[values::EXTERNAL]);
        if !wrong.is_empty() {
            wrong.into_iter().for_each(|problem| self.report(problem));
            return None;
        }
        let outside = volume::outside(&entry.value);
        if let Some(outside) = outside.filter(|_| !self.does_without("", ANYTHING)) {
            let text = format!(
                "volume `{}` is not the run's own\n\nhint: give the run one in its place: `volumes: {{ {}: {{ docker: {{}} }} }}`",
                entry.key, entry.key
            );
            let way = Way::Volume(entry.key.clone(), "docker");
            self.gap(way, Problem::at(outside.key_span, text));
            return None;
        }
        Some(volume::docker(&entry.value, no_copy, outside.is_some()))
    }
}

/// A project's name as Compose writes it; none where nothing of it is left.
fn project_name(text: &str) -> Option<String> {
    let kept = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let name: String = text.to_lowercase().chars().filter(kept).collect();
    let name = name.trim_start_matches(['-', '_']);
    (!name.is_empty()).then(|| name.to_owned())
}

/// A list of profiles that leaves a service out: one without a name starts it as ever.
fn names_some(profiles: &Node) -> bool {
    !profiles.items().is_empty() || profiles.is_scalar()
}

/// The text of a file; none where there is none, and in words why it cannot be had.
fn read_beside(beside: Beside<'_>, path: &Path) -> Result<Option<String>, String> {
    let shown = path.display();
    let bytes =
        (beside.read)(path).map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
    match bytes {
        Some(bytes) if bytes.len() > LARGEST_FILE => {
            Err(format!("`{shown}` has more than {LARGEST_FILE} bytes"))
        }
        bytes => Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
    }
}
