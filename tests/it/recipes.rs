//! What README.md tells its readers to type and to copy: each recipe for a CI system is a whole
//! file, and the command line takes every line of it, and of the rest.

use std::{fs, path::Path};

use keelhaul::cli;
use regex::Regex;
use serde_json::Value;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// Language and text of every fenced block.
fn blocks(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("```").skip(1).step_by(2);
    parts.map(|part| part.split_once('\n').unwrap()).collect()
}

/// The one recipe below a heading.
fn recipe(heading: &str) -> String {
    let text = readme();
    let heading = format!("\n### {heading}\n");
    let (_, after) = text.split_once(&heading).unwrap_or_else(|| panic!("no `{heading}`"));
    let section = after.split("\n##").next().unwrap();
    let found = blocks(section);
    let [(_, block)] = found.as_slice() else { panic!("one recipe, not {}", found.len()) };
    (*block).to_owned()
}

fn yaml(heading: &str) -> Value {
    serde_saphyr::from_str(&recipe(heading)).unwrap_or_else(|error| panic!("{heading}: {error}"))
}

/// Every text in a document, in its order.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// What a shell line calls keelhaul with.
fn calls(line: &str) -> Vec<Vec<String>> {
    let line = line.split(" #").next().unwrap();
    let parts = line.split("&&").map(str::trim).filter_map(|part| part.strip_prefix("keelhaul "));
    // what the shell puts in is a number, everywhere
    let word = |word: &str| if word.starts_with("\"$") { "1".to_owned() } else { word.to_owned() };
    // where its words go is the shell's to know
    let words = |part: &str| part.replace(" 2>&1", "").split_whitespace().map(word).collect();
    parts.map(words).collect()
}

/// What the command line says against these words; nothing where it would begin.
fn refused(words: &[String]) -> Option<String> {
    let line: Vec<String> = ["keelhaul".to_owned()].into_iter().chain(words.to_vec()).collect();
    cli::refused(&line).map(|said| format!("{}: {said}", line.join(" ")))
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// Packages whose tools run beside the command line: `run --require` fails without them.
const TOOLS: [&str; 3] = ["e2fsprogs", "xfsprogs", "btrfs-progs"];

/// It installs what is needed, looks at the host, and then runs; nothing swallows the exit code.
fn runs_in_order(lines: &[String]) {
    let installs = |line: &&String| TOOLS.iter().all(|tool| line.contains(tool));
    let before: Vec<&String> =
        lines.iter().take_while(|line| !line.contains("keelhaul doctor")).collect();
    assert!(before.into_iter().any(|line| installs(&line)), "{TOOLS:?} are not there: {lines:#?}");
    let called: Vec<Vec<String>> = lines.iter().flat_map(|line| calls(line)).collect();
    let verbs: Vec<&str> = called.iter().map(|words| words[0].as_str()).collect();
    assert_eq!(verbs, ["doctor", "run"]);
    for words in &called {
        assert_eq!(refused(words), None);
    }
    // the one directory that the walk-through commits
    assert_eq!(called[1][1], "storage-tests");
    let runs = lines.iter().filter(|line| line.contains("keelhaul "));
    for line in runs {
        assert!(!line.contains("||") && !line.contains(';') && !line.contains('|'), "{line}");
    }
}

fn has(lines: &[String], part: &str) {
    assert!(lines.iter().any(|line| line.contains(part)), "no line has `{part}`: {lines:#?}");
}

#[test]
fn the_command_line_refuses_what_it_does_not_know() {
    for line in [
        "sail",
        "run --job 2 x",
        "run --jobs some x",
        "run --max-time soon x",
        // what is wanted beside it
        "init",
        "run x --yes",
    ] {
        assert!(refused(&words(line)).is_some(), "{line}");
    }
    assert_eq!(refused(&words("run --jobs 2 x")), None);
}

#[test]
fn every_line_that_is_typed_is_taken() {
    let text = readme();
    let mut all = 0;
    for (language, block) in blocks(&text) {
        let typed = block.lines().filter_map(|line| match language {
            "sh" => Some(line),
            "console" => line.strip_prefix("$ "),
            _ => None,
        });
        for call in typed.flat_map(calls) {
            assert_eq!(refused(&call), None);
            all += 1;
        }
    }
    assert!(all > 10, "{all} lines were found");
}

#[test]
fn the_recipe_for_github_is_a_whole_workflow() {
    let workflow = yaml("GitHub Actions");
    assert!(!workflow["on"].as_array().unwrap().is_empty());
    assert_eq!(workflow["permissions"]["checks"], "write", "what publishes JUnit needs it");
    let jobs = workflow["jobs"].as_object().unwrap();
    let [job] = jobs.values().collect::<Vec<_>>()[..] else { panic!("one job") };
    assert!(job["runs-on"].is_string());
    let steps = job["steps"].as_array().unwrap();
    assert!(steps[0]["uses"].as_str().unwrap().starts_with("actions/checkout@"));
    for step in steps {
        assert!(step["run"].is_string() != step["uses"].is_string(), "{step}");
        assert!(step.get("continue-on-error").is_none(), "{step}");
    }
    let lines: Vec<String> = steps.iter().flat_map(|step| texts(&step["run"])).collect();
    runs_in_order(&lines);
    // what tells of a run is there for one that failed, too
    let after: Vec<String> =
        steps.iter().filter(|step| step["if"] == "always()").flat_map(texts).collect();
    for part in ["GITHUB_STEP_SUMMARY", "junit-report@", "junit.xml", "upload-artifact@"] {
        has(&after, part);
    }
}

#[test]
fn the_recipe_for_gitlab_is_a_whole_pipeline() {
    let pipeline = yaml("GitLab CI");
    let job = &pipeline["storage-faults"];
    assert!(job["image"].is_string() && !job["services"].as_array().unwrap().is_empty());
    assert!(pipeline["stages"].as_array().unwrap().contains(&job["stage"]));
    assert!(job.get("allow_failure").is_none());
    runs_in_order(&texts(&job["script"]));
    let after = texts(&job["after_script"]);
    has(&after, "summary.md");
    assert_eq!(job["artifacts"]["when"], "always");
    let junit = job["artifacts"]["reports"]["junit"].as_str().unwrap();
    has(&after, junit);
}

/// Brackets outside of quotes and comments, and where they do not match.
fn unbalanced(groovy: &str) -> Option<String> {
    let strings = Regex::new(r#"'[^'\n]*'|"[^"\n]*"|//[^\n]*"#).unwrap();
    let bare = strings.replace_all(groovy, "");
    let mut open = Vec::new();
    for bracket in bare.chars().filter(|c| "{}()[]'\"".contains(*c)) {
        let pair = match bracket {
            '}' => '{',
            ')' => '(',
            ']' => '[',
            other => {
                open.push(other);
                continue;
            }
        };
        if open.pop() != Some(pair) {
            return Some(format!("`{bracket}` closes nothing"));
        }
    }
    open.pop().map(|bracket| format!("`{bracket}` stays open"))
}

#[test]
fn the_recipe_for_jenkins_is_a_whole_pipeline() {
    assert!(unbalanced("a { sh 'x }' ").is_some() && unbalanced("a } {").is_some());
    let groovy = recipe("Jenkins");
    assert_eq!(unbalanced(&groovy), None);
    let steps = Regex::new(r"\bsh '([^'\n]*)'").unwrap();
    let found = steps.captures_iter(&groovy).map(|found| found[1].to_owned());
    let lines: Vec<String> = found.collect();
    runs_in_order(&lines);
    has(&lines, "summary.md");
    let (before, after) = groovy.split_once("post {").unwrap();
    for part in ["pipeline {", "agent {", "checkout scm", "stages {"] {
        assert!(before.contains(part), "{part}");
    }
    for part in ["always {", "junit 'reports/latest/junit.xml'", "archiveArtifacts"] {
        assert!(after.contains(part), "{part}");
    }
}
