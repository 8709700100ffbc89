//! What must not stand in a file: escapes from the lints, loose ends, and words that mean nothing
//! to a reader who has this repository alone.

use std::{collections::BTreeSet, path::Path, sync::LazyLock};

use regex::Regex;

use super::{Source, none, root, rust, sources};

const ME: &str = "tests/it/tidy/words.rs";

fn code() -> impl Iterator<Item = Source> {
    rust().into_iter().filter(|source| source.path != ME)
}

/// Lines of the given files in which `pattern` matches.
fn hits(sources: impl Iterator<Item = Source>, pattern: &Regex) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            if pattern.is_match(line) {
                found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    found
}

/// Everything that is text and committed, generated and third-party text excepted.
fn texts() -> Vec<Source> {
    let ends =
        [".rs", ".md", ".yaml", ".sh", ".toml", ".json", ".jsonl", ".xml", ".err", ".snap", ".yml"];
    let folders = ["src", "tests", "bench", "scenarios", "scripts", "reports/sample", ".ci"];
    let mut all = sources(&folders, &ends);
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "reports/TRACK-RECORD.md",
        "Makefile",
        "Cargo.toml",
    ] {
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            all.push(Source { path: name.to_owned(), text });
        }
    }
    all.retain(|source| source.path != ME);
    all
}

#[test]
fn every_file_says_what_it_is() {
    let silent = rust().into_iter().filter(|source| !source.text.starts_with("//! "));
    let silent: Vec<String> = silent.map(|source| source.path).collect();
    none(&silent, "open these with `//!`: what it is, what it must not do");
}

#[test]
fn lints_are_expected_with_a_reason_never_allowed() {
    let allow = Regex::new(r"#!?\[allow\b").unwrap();
    none(&hits(code(), &allow), "use `#[expect(lint, reason = \"…\")]`");
}

#[test]
fn nothing_is_left_to_do() {
    let loose = Regex::new(r"\b(todo|unimplemented|dbg)!|\b(TODO|FIXME|XXX|HACK)\b").unwrap();
    none(&hits(code(), &loose), "finish these");
}

#[test]
fn no_test_is_ignored() {
    none(
        &hits(code(), &Regex::new(r"#\[ignore").unwrap()),
        "run these, or say why they are skipped",
    );
}

#[test]
fn only_the_host_module_is_unsafe() {
    let inside = |source: &Source| source.path.starts_with("src/host/");
    let word = Regex::new(r"\bunsafe\b\s*(\{|fn|impl|extern)").unwrap();
    let outside = code().filter(|source| !inside(source));
    none(&hits(outside, &word), "unsafe code belongs in src/host");
    for source in code().filter(inside).filter(|source| word.is_match(&source.text)) {
        let said = source.text.contains("#![expect(") && source.text.contains("unsafe_code");
        assert!(said, "{} must say why it needs unsafe code", source.path);
    }
}

/// A path of somebody's machine or a number in somebody's tracker tells a reader nothing.
#[test]
fn nothing_speaks_of_the_place_it_was_written_at() {
    let words = Regex::new(r"/[w]ork/|/tmp/[w]t\b|/home/\w|\b[Ii]ssue #?\d").unwrap();
    none(&hits(texts().into_iter(), &words), "say it without the place or the number");
}

#[test]
fn named_documents_exist() {
    static DOCUMENT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b[A-Z][A-Z-]+\.md\b").unwrap());
    let here = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CATALOG.md", "TRACK-RECORD.md"];
    let here: BTreeSet<&str> = here.into_iter().collect();
    let mut offences = Vec::new();
    for source in texts() {
        for name in DOCUMENT.find_iter(&source.text) {
            if !here.contains(name.as_str()) {
                offences.push(format!("{} names {}", source.path, name.as_str()));
            }
        }
    }
    none(&offences, "readers do not have these documents");
    for name in [
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "scenarios/CATALOG.md",
        "reports/TRACK-RECORD.md",
    ] {
        assert!(root().join(Path::new(name)).exists(), "{name} is missing");
    }
}
