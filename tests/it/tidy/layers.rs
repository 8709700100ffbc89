//! Arrows between modules point down only; who may use what is written here and nowhere else.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use super::{Source, none, sources};

/// What everything may use; may use each other only.
const BASE: &[&str] = &[
    "block",
    "crash_state",
    "ledger",
    "units",
    "errno",
    "diagnostic",
    "verdict",
    "secrets",
    "failpoint",
    "glossary",
];

/// Each stack from top to bottom: a module uses its own row and the rows below.
const STACKS: &[&[&[&str]]] = &[
    &[
        &["cli"],
        &["history", "report", "audit", "starter", "testing", "gameday"],
        &["run"],
        &["plan"],
        &["scenario"],
        &["catalog"],
        &["volumes", "faults", "probes", "workloads"],
        &["helper::client"],
        &["helper"],
        &["runtime"],
        &["protocol"],
    ],
    &[
        &["helper::keeper", "helper::worker"],
        &["helper"],
        &["interpose"],
        &["journal"],
        &["host"],
        &["protocol"],
    ],
    &[&["shell"], &["host"]],
    &[&["engine"], &["host"]],
    &[&["specimen"]],
];

/// Arrows beside the stacks, each with its reason.
const ALSO: &[(&str, &str, &str)] = &[
    ("cli", "shell", "the shell's inside is a hidden verb"),
    ("cli", "engine", "the inside of an engine's container is a hidden verb"),
    ("engine", "runtime", "names that both sides of the container must know"),
    ("cli", "specimen", "the specimen is a hidden verb, and `list` names its weaknesses"),
    ("cli", "shell", "its own side of the shell is a hidden verb"),
    ("cli", "host", "what a container serves that is to be copied is read in the kernel's tables"),
    (
        "helper::client",
        "host",
        "a keeper that is kept from answering is told from one that is gone",
    ),
    ("run", "host", "a rollback that is kept from its end is told from one that hangs"),
    ("helper::keeper", "runtime", "undo of engine ops goes over the engine's local socket"),
    ("helper::worker", "runtime", "names that both sides of a mount into the helper must know"),
];

static PATH: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(?:crate|keelhaul)::").unwrap());
static ACROSS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"super::(client|keeper|worker|recover)\b").unwrap());

/// Module that a path below `src` or after `crate::` belongs to, as the stacks name it.
fn module(segments: &[&str]) -> String {
    let first = segments[0];
    if first != "helper" {
        return first.to_owned();
    }
    match segments.get(1).copied() {
        Some("client" | "recover") => "helper::client".to_owned(),
        Some(side @ ("keeper" | "worker")) => format!("helper::{side}"),
        _ => "helper".to_owned(),
    }
}

/// First segments of every path in a `use` tree: `{a::b, c::{d, e}}` gives `a::b`, `c`.
fn roots(tree: &str) -> Vec<&str> {
    let Some(inside) = tree.strip_prefix('{') else {
        let end = tree.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        return vec![&tree[..end.unwrap_or(tree.len())]];
    };
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.extend(roots(inside[start..at].trim()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|root| !root.is_empty());
    found
}

fn without_comments(text: &str) -> String {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

/// Modules that a file uses.
fn used(source: &Source) -> BTreeSet<String> {
    let code = without_comments(&source.text);
    let mut found = BTreeSet::new();
    for path in PATH.find_iter(&code) {
        for root in roots(&code[path.end()..]) {
            found.insert(module(&root.split("::").collect::<Vec<_>>()));
        }
    }
    for side in ACROSS.captures_iter(&code).filter(|_| source.path.starts_with("src/helper/")) {
        found.insert(module(&["helper", &side[1]]));
    }
    found
}

fn may_use(from: &str, to: &str) -> bool {
    let row = |stack: &&[&[&str]], name: &str| stack.iter().position(|row| row.contains(&name));
    from == to
        || BASE.contains(&to)
        || ALSO.iter().any(|(f, t, _)| (*f, *t) == (from, to))
        || STACKS.iter().any(|stack| {
            matches!((row(stack, from), row(stack, to)), (Some(from), Some(to)) if from <= to)
        })
}

fn owner(path: &str) -> Option<String> {
    let inside = path.strip_prefix("src/")?.trim_end_matches(".rs");
    let segments: Vec<&str> = inside.split('/').collect();
    (!matches!(segments[0], "lib" | "main")).then(|| module(&segments))
}

#[test]
fn use_trees_are_read() {
    assert_eq!(roots("{a::b, c::{d, e}, f}"), ["a::b", "c::", "f"]);
    assert_eq!(roots("helper::keeper::serve(x)"), ["helper::keeper::serve"]);
    assert!(may_use("cli", "protocol") && may_use("faults", "volumes") && may_use("host", "units"));
    assert!(!may_use("protocol", "runtime") && !may_use("journal", "helper::keeper"));
    assert!(!may_use("helper::worker", "faults") && !may_use("specimen", "protocol"));
}

#[test]
fn arrows_point_down_only() {
    let mut offences = Vec::new();
    for source in sources(&["src"], &[".rs"]) {
        let Some(from) = owner(&source.path) else { continue };
        for to in used(&source).iter().filter(|to| !may_use(&from, to)) {
            offences.push(format!("{}: `{from}` uses `{to}`", source.path));
        }
    }
    none(&offences, "these arrows point up or aside; the rows are in tests/it/tidy/layers.rs");
}

#[test]
fn every_module_has_a_place() {
    let placed: BTreeSet<&str> =
        STACKS.iter().copied().flatten().copied().flatten().copied().collect();
    let mut offences = Vec::new();
    for source in sources(&["src"], &[".rs"]) {
        let Some(name) = owner(&source.path) else { continue };
        if !placed.contains(name.as_str()) && !BASE.contains(&name.as_str()) {
            offences.push(source.path);
        }
    }
    none(&offences, "give these a row in tests/it/tidy/layers.rs");
}

#[test]
fn only_the_runtime_knows_the_engine_s_library() {
    let mut offences = Vec::new();
    for source in sources(&["src"], &[".rs"]) {
        let knows = without_comments(&source.text).contains("bollard::");
        if knows && !source.path.starts_with("src/runtime/") {
            offences.push(source.path);
        }
    }
    none(&offences, "go through `crate::runtime`");
}
