//! Files and functions stay small.
//!
//! Functions are measured by their indentation, which rustfmt keeps: from `fn` to the brace below
//! it in the same column.

use std::sync::LazyLock;

use regex::Regex;

use super::{Source, none, rust};

const FILE_HARD: usize = 800;
const FILE_SOFT: usize = 500;
const FILE_MEDIAN: usize = 150;
const FUNCTION_HARD: usize = 70;
const FUNCTION_SOFT: usize = 40;

/// How many files are longer than the soft limit. It may only get smaller.
const FILES_OVER_SOFT: usize = 0;
/// How many functions are longer than the soft limit. It may only get smaller.
const FUNCTIONS_OVER_SOFT: usize = 20;

static FUNCTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\s*(pub(\([^)]*\))? )?(const )?(async )?(unsafe )?(extern .C. )?fn (\w+)")
        .unwrap()
});

fn lines(source: &Source) -> usize {
    source.text.lines().count()
}

/// Name, first line and length of every function with a body of its own lines.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some(name) = FUNCTION.captures(line) else { continue };
        let column = line.len() - line.trim_start().len();
        let end = lines[first..].iter().position(|line| {
            line.len() - line.trim_start().len() == column
                && (line.trim_start().starts_with('}') || line.ends_with(';'))
        });
        let length = end.map_or(1, |end| end + 1);
        found.push((name[7].to_owned(), first + 1, length));
    }
    found
}

fn too_long(limit: usize) -> Vec<String> {
    let mut found = Vec::new();
    for source in rust() {
        for (name, line, length) in functions(&source.text) {
            if length > limit {
                found.push(format!("{}:{line} `{name}` has {length} lines", source.path));
            }
        }
    }
    found
}

/// Fails when there are more than there were.
fn ratchet(found: &[String], allowed: usize) {
    let many = found.len();
    assert!(
        many <= allowed,
        "{many} are over the soft limit, {allowed} were:\n  {}",
        found.join("\n  ")
    );
}

#[test]
fn functions_are_measured() {
    let text = "impl A {\n    fn one(&self) -> u8 {\n        1\n    }\n\n    fn two(\n        a: u8,\n    ) {\n        a;\n    }\n}\nfn none() {}\n";
    let found = functions(text);
    let expected = [("one", 2, 3), ("two", 6, 5), ("none", 12, 1)];
    assert_eq!(found, expected.map(|(name, line, length)| (name.to_owned(), line, length)));
}

#[test]
fn no_file_is_too_long() {
    let over = |limit| -> Vec<String> {
        let long = rust().into_iter().filter(|source| lines(source) > limit);
        long.map(|source| format!("{} has {} lines", source.path, lines(&source))).collect()
    };
    none(&over(FILE_HARD), "split these files");
    ratchet(&over(FILE_SOFT), FILES_OVER_SOFT);
}

#[test]
fn the_median_file_is_short() {
    let mut all: Vec<usize> = rust().iter().map(lines).collect();
    all.sort_unstable();
    let median = all[all.len() / 2];
    assert!(median < FILE_MEDIAN, "the median file has {median} lines");
}

#[test]
fn no_function_is_too_long() {
    none(&too_long(FUNCTION_HARD), "split these functions");
    ratchet(&too_long(FUNCTION_SOFT), FUNCTIONS_OVER_SOFT);
}
