//! What README.md shows is true: its tables come from the catalogue, its scenarios check, and its
//! exit codes are the command line's.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use keelhaul::{
    audit::RULES,
    catalog::{self, Family, Item},
    glossary::WORDS,
    scenario::{self, Beside, Sets},
};

use super::{Source, is_current, root, sources};
use crate::harness::Test;

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

fn table(family: Family) -> String {
    let items: Vec<Item> =
        catalog::items().into_iter().filter(|item| item.family == family).collect();
    let mut out = match family {
        Family::Fault => {
            "| fault | what it does | touches | needs |\n|---|---|---|---|\n".to_owned()
        }
        _ => format!(
            "| {} | what it is | needs |\n|---|---|---|\n",
            family.plural().trim_end_matches('s')
        ),
    };
    for item in items {
        let needs: Vec<String> =
            item.needs.iter().map(|need| format!("`{}`", need.name())).collect();
        write!(out, "| `{}` | {} |", item.name, item.summary).unwrap();
        if let Some(scope) = item.scope {
            let scope = serde_json::to_value(scope).unwrap();
            write!(out, " {} |", scope.as_str().unwrap()).unwrap();
        }
        writeln!(out, " {} |", needs.join(" ")).unwrap();
    }
    out
}

/// The rules of `audit`, with the scenario that shows each.
fn rules() -> String {
    let mut out = "| rule | | what was chosen | shown by |\n|---|---|---|---|\n".to_owned();
    for rule in RULES {
        let name = rule.proof.rsplit('/').next().unwrap();
        let (weight, proof) = (rule.weight.word(), rule.proof);
        writeln!(
            out,
            "| `{}` | {weight} | {} | [{name}](scenarios/{proof}.yaml) |",
            rule.name, rule.about
        )
        .unwrap();
    }
    out
}

/// Words of keelhaul's own.
fn words() -> String {
    let mut out = "| word | what it is |\n|---|---|\n".to_owned();
    for word in WORDS {
        writeln!(out, "| {} | {} |", word.name.replace('-', " "), word.means).unwrap();
    }
    out
}

/// The text with what stands between `<!-- list:FAMILY -->` and `<!-- end -->` made anew.
fn with_tables(text: &str) -> String {
    let mut out = text.to_owned();
    let tables = Family::ALL.map(|family| (family.plural(), table(family)));
    for (name, table) in tables.into_iter().chain([("rules", rules()), ("words", words())]) {
        let open = format!("<!-- list:{name} -->\n");
        let (before, rest) =
            out.split_once(&open).unwrap_or_else(|| panic!("no `{}`", open.trim()));
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        out = format!("{before}{open}{table}<!-- end -->{after}");
    }
    out
}

/// The fenced blocks of one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn its_tables_are_current() {
    is_current("README.md", &with_tables(&readme()));
}

/// A file that its reader has saved.
fn saved<'a>(text: &'a str, path: &str) -> &'a str {
    let first = format!("# {path}\n");
    let mut found =
        blocks(text, "yaml").into_iter().filter(|block| block.trim_start().starts_with(&first));
    found.next().unwrap_or_else(|| panic!("no `{path}`"))
}

fn compose(text: &str) -> &str {
    saved(text, "compose.yaml")
}

const KEPT: &str = "storage-tests/kept.yaml";

#[test]
fn its_compose_file_gets_a_suite_that_checks() {
    let test = Test::new();
    test.scenario("compose.yaml", compose(&readme()));
    let ran = test.keelhaul(&["init", "--compose", "compose.yaml", "--out", "storage-tests"]);
    assert_eq!((ran.code, ran.stdout.contains("db-crash.yaml")), (Some(0), true), "{ran:?}");
    assert!(!ran.stderr.contains("note:"), "nothing of it is left out: {}", ran.stderr);
    // with the one that it adds, as a job runs them
    test.scenario(KEPT, saved(&readme(), KEPT));
    for verb in ["check", "plan"] {
        let ran = test.keelhaul(&[verb, "storage-tests"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}

#[test]
fn its_scenarios_check() {
    let text = readme();
    let kept = saved(&text, KEPT);
    let whole = blocks(&text, "yaml").into_iter();
    // that one lies elsewhere, and is checked there
    let whole = whole.filter(|block| block.contains("keelhaul: 1") && *block != kept);
    let files: Vec<_> = whole
        .enumerate()
        .map(|(at, block)| (PathBuf::from(format!("readme-{at}.yaml")), Ok(block.into())))
        .collect();
    assert!(!files.is_empty(), "the README shows no scenario");
    let read = |path: &Path| Ok((path == Path::new("compose.yaml")).then(|| compose(&text).into()));
    let beside = Beside { read: &read, directory: Path::new("/") };
    scenario::load_beside(&files, &Sets::new(), &BTreeMap::new(), beside).unwrap();
}

/// How the loop over the seeds ends where runs of the images that end so fail.
fn loop_ends(failing: &str) -> bool {
    let text = readme();
    // as it is indented in a list
    let loops = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let script = loops.into_iter().find(|block| block.contains("for seed in")).expect("a loop");
    let stubs = "docker() { :; }; keelhaul() { case \"$*\" in *:FAILING) return 1;; esac; }";
    let script = format!("{}\n{script}", stubs.replace("FAILING", failing));
    std::process::Command::new("sh").args(["-e", "-c", &script]).status().unwrap().success()
}

#[test]
fn its_loop_before_a_release_ends_as_the_candidate_did() {
    assert!(loop_ends("none"));
    assert!(!loop_ends("candidate"));
    assert!(loop_ends("test"), "what the release fails at is no reason");
}

/// What Jenkins does after a step that failed is not done.
#[test]
fn its_pipeline_keeps_the_reports_of_this_run_whatever_failed() {
    let text = readme();
    let pipeline = blocks(&text, "groovy").into_iter().find(|block| block.contains("pipeline {"));
    let steps = [
        "checkout scm",
        "rm -rf reports/latest",
        "docker version",
        "keelhaul run",
        "summary.md || true",
        "archiveArtifacts",
        "junit 'reports",
    ];
    let places: Vec<_> = steps.map(|step| pipeline.unwrap().find(step).expect(step)).into();
    assert!(places.is_sorted(), "{steps:?} stand at {places:?}");
}

/// The names in the first column of the table of limits are those of faults and scenarios.
#[test]
fn its_limits_are_those_of_something() {
    let text = readme();
    let (_, table) = text.split_once("<!-- limits -->\n").expect("a table of limits");
    let table = table.split("<!-- /limits -->").next().unwrap();
    let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|row| row.split('|').collect()).collect();
    assert!(rows.len() > 5, "{table}");
    let known = |name: &str| {
        let shipped = |source: &Source| source.path.ends_with(&format!("/{name}.yaml"));
        catalog::items().iter().any(|item| item.name == name)
            || sources(&["scenarios"], &[".yaml"]).iter().any(shipped)
    };
    for row in rows {
        assert!(row.len() == 6 && row.iter().skip(1).take(4).all(|cell| cell.len() > 3), "{row:?}");
        let names: Vec<&str> = row[1].split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty() && names.iter().all(|name| known(name)), "{row:?}");
    }
}

/// A heading as links name it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}

#[test]
fn its_links_lead_somewhere() {
    let text = readme();
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    let anchors: Vec<String> =
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
    for within in text.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(anchors.iter().any(|one| one == within), "`#{within}` is no heading");
    }
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let path = link.split('#').next().unwrap();
        if !path.is_empty() && !path.contains("://") {
            assert!(root().join(path).exists(), "`{path}` does not exist");
        }
    }
}

/// Its example in Rust is the one of the library's own documentation, which is run.
#[test]
fn its_example_of_the_library_is_the_one_that_is_run() {
    let text = readme();
    let [shown] = blocks(&text, "rust")[..] else { panic!("one example in Rust") };
    let library = fs::read_to_string(root().join("src/testing/mod.rs")).unwrap();
    let documented = library.lines().map_while(|line| line.strip_prefix("//!"));
    let documented: Vec<&str> =
        documented.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let run = documented.join("\n");
    let run = run.split("```\n").nth(1).expect("an example that is run");
    let seen: Vec<&str> = run.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(shown.lines().collect::<Vec<_>>(), seen);
}
