//! A scenario's own text with other steps in it: what a fault that is typed by hand is checked by,
//! and what a game day is saved as.
//!
//! The text is kept, not the values: comments stay, and what comes from the environment is never
//! written out. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::units::Duration;

/// Sections that are about the steps of the original: they would not fit others.
const LEFT_OUT: [&str; 4] = ["controls", "matrix", "expect_failure", "tags"];

/// Those of them whose lack should be known.
const PROOFS: [&str; 2] = ["controls", "expect_failure"];

/// The set-up of a scenario, as its author wrote it.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its own name.
    pub name: String,
    sections: Vec<Section>,
    /// What proves things of the original's own steps, and is not kept.
    left: Vec<&'static str>,
}

/// A top-level key with everything below it; no key for what comes before the first.
#[derive(Debug, Clone)]
struct Section {
    key: String,
    text: String,
}

/// What a draft is headed by.
#[derive(Debug, Clone)]
pub struct Heading<'a> {
    /// Name of the scenario.
    pub name: &'a str,
    /// One sentence.
    pub about: &'a str,
    /// Its timeout.
    pub timeout: Duration,
}

impl Draft {
    /// Takes a scenario apart; `values` are those of the matrix and of the command line that it runs
    /// with: variables of the draft. `shapes` has those that are maps or lists, of which a value is only
    /// the label.
    ///
    /// # Errors
    /// When its keys do not stand at the beginning of lines, as in `{ name: … }`.
    pub fn of(
        source: &str,
        values: &[(String, String)],
        shapes: &BTreeMap<String, Value>,
    ) -> Result<Self, String> {
        let mut sections = split(source);
        let name = sections.iter().find(|section| section.key == "name").map(|section| {
            let value = section.text.split_once(':').map_or("", |(_, value)| value);
            value.split('#').next().unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
        });
        let Some(name) = name else {
            return Err("the scenario is not written with a key on each line, so no steps can be put into it\n\nhint: start it with the lines `keelhaul: 1` and `name: …`".into());
        };
        if let Some(first) = sections.iter_mut().find(|section| !section.key.is_empty()) {
            // the file's own name, or what is seen in it, would not be true of another
            first.text = without_title(&first.text);
        }
        let is_there = |key: &&str| sections.iter().any(|section| section.key == *key);
        let left = PROOFS.into_iter().filter(is_there).collect();
        sections.retain(|section| !LEFT_OUT.contains(&section.key.as_str()));
        if !values.is_empty() {
            fix(&mut sections, values, shapes)?;
        }
        Ok(Self { name, sections, left })
    }

    /// The text with these steps, each a list item of one or more lines.
    #[must_use]
    pub fn with(&self, heading: &Heading<'_>, steps: &[String]) -> String {
        let about = Value::String(heading.about.replace("${", "$${"));
        let mut head =
            format!("name: {}\nabout: {about}\ntimeout: {}\n", heading.name, heading.timeout);
        for key in &self.left {
            head += &format!("# `{key}` of {} is left out: it is about its own steps\n", self.name);
        }
        let steps = format!("steps:\n{}", steps.concat());
        let (mut text, mut placed) = (String::new(), false);
        for section in &self.sections {
            match section.key.as_str() {
                "name" => text += &head,
                "about" | "timeout" => {}
                "steps" => {
                    text += &format!("\n{steps}");
                    placed = true;
                }
                _ => text += &section.text,
            }
        }
        if !placed {
            text += &format!("\n{steps}");
        }
        text
    }
}

/// Cuts at every key that stands at the beginning of a line. Comments and empty lines belong to what
/// follows them.
fn split(source: &str) -> Vec<Section> {
    let mut sections = vec![Section { key: String::new(), text: String::new() }];
    let mut pending = String::new();
    for line in source.lines() {
        let key = line.split_once(':').map(|(key, _)| key).filter(|key| {
            !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        });
        if line.trim().is_empty() || line.starts_with('#') {
            pending += line;
            pending.push('\n');
            continue;
        }
        if let Some(key) = key {
            sections.push(Section { key: key.to_owned(), text: String::new() });
        }
        if let Some(last) = sections.last_mut() {
            last.text += &std::mem::take(&mut pending);
            last.text += line;
            last.text.push('\n');
        }
    }
    sections
}

/// The first section without the comments before it, but for what editors read.
fn without_title(text: &str) -> String {
    let is_title = |line: &&str| {
        line.trim().is_empty()
            || line.starts_with('#') && !line.starts_with("# yaml-language-server")
    };
    let titles = text.lines().take_while(|line| line.trim().is_empty() || line.starts_with('#'));
    let count = titles.clone().count();
    let kept = titles.filter(|line| !is_title(line)).chain(text.lines().skip(count));
    kept.map(|line| format!("{line}\n")).collect()
}

/// Turns values into variables: a draft has no matrix, and whoever runs it gives it no values.
fn fix(
    sections: &mut Vec<Section>,
    values: &[(String, String)],
    shapes: &BTreeMap<String, Value>,
) -> Result<(), String> {
    let at = match sections.iter().position(|section| section.key == "vars") {
        Some(at) => at,
        None => {
            let at =
                sections.iter().position(|section| section.key == "name").map_or(0, |at| at + 1);
            sections.insert(at, Section { key: "vars".into(), text: "vars:\n".into() });
            at
        }
    };
    let vars = &mut sections[at];
    vars.text = on_lines(&vars.text)?;
    let indent = indent_of(&vars.text);
    for (name, value) in values {
        let (rest, before) = without(&vars.text, name);
        // what comes from the environment stays there
        if before.contains("${env:") {
            continue;
        }
        let value = match shapes.get(name) {
            Some(shape) => shape.to_string().replace("${", "$${"),
            None => written(&value.replace("${", "$${")),
        };
        vars.text = format!("{}\n{indent}{name}: {value}\n", rest.trim_end());
    }
    Ok(())
}

/// Variables with a line for each; all on one line, each as it is written there.
fn on_lines(text: &str) -> Result<String, String> {
    let is_flow = text.lines().any(|line| line.starts_with("vars:") && line.contains('{'));
    if !is_flow {
        return Ok(text.to_owned());
    }
    let all: BTreeMap<String, BTreeMap<String, String>> =
        serde_saphyr::from_str(text).map_err(|_| {
            "the variables are written in another way than `vars: { name: value }`\n\nhint: give each a line of its own"
        })?;
    let lines = all.values().flatten().map(|(name, value)| {
        let value = written(value);
        format!("  {name}: {value}\n")
    });
    Ok(std::iter::once("vars:\n".to_owned()).chain(lines).collect())
}

/// What stands before each variable.
fn indent_of(text: &str) -> String {
    let is_variable = |line: &&str| line.starts_with(' ') && !line.trim_start().starts_with('#');
    let first = text.lines().find(|line| is_variable(line) && !line.trim().is_empty());
    first.map_or("  ".into(), |line| " ".repeat(line.len() - line.trim_start().len()))
}

/// A text without the lines of a variable, and those.
fn without(text: &str, name: &str) -> (String, String) {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut rest, mut own, mut within) = (String::new(), String::new(), None);
    for line in text.lines() {
        let begins = line.trim_start().strip_prefix(name).is_some_and(|it| it.starts_with(':'));
        within = match within {
            Some(depth) if line.trim().is_empty() || indent(line) > depth => Some(depth),
            _ => (begins && indent(line) > 0).then(|| indent(line)),
        };
        let to = if within.is_some() { &mut own } else { &mut rest };
        *to += line;
        to.push('\n');
    }
    (rest, own)
}

/// As it was given: a plain word where it is one, so that a number stays one.
fn written(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./+-".contains(c);
    let begins = value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let is_word = value.is_empty() || begins && value.chars().all(plain);
    if is_word { value.to_owned() } else { Value::String(value.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::load_all;

    const SOURCE: &str = "\
# quiet.yaml
# yaml-language-server: $schema=../scenario.schema.json
keelhaul: 1
name: quiet # not loud
about: Something.
tags: [mount]
timeout: 90s

matrix:
  axes: { volume: [ext4, xfs] }

# what it stands on
volumes:
  data: { docker: {} }

steps:
  - recover
# in the end
verify:
- file: { service: agent, path: /x, exists: true }
controls:
  - name: loud
";

    fn heading() -> Heading<'static> {
        Heading { name: "loud", about: "Says ${X}.", timeout: Duration::from_secs(60) }
    }

    #[test]
    fn steps_are_replaced_and_what_is_about_others_is_left_out() {
        let cell = [("volume".to_owned(), "xfs".to_owned())];
        let draft = Draft::of(SOURCE, &cell, &BTreeMap::new()).unwrap();
        assert_eq!(draft.name, "quiet");
        insta::assert_snapshot!(draft.with(&heading(), &["  - wait: 1s\n".to_owned()]));
    }

    #[test]
    fn values_of_the_command_line_are_variables_of_the_draft() {
        let of = |vars: &str, value: &str| {
            let source = format!("keelhaul: 1\nname: a\n{vars}services: {{}}\n");
            let draft =
                Draft::of(&source, &[("image".to_owned(), value.to_owned())], &BTreeMap::new())
                    .unwrap();
            draft.with(&heading(), &[])
        };
        for (vars, value, written) in [
            ("", "a:edge", "vars:\n  image: \"a:edge\"\nservices"),
            (
                "vars: { image: old, n: 1.10 } # two\n",
                "3",
                "vars:\n  n: 1.10\n  image: 3\nservices",
            ),
            (
                "vars:\n  image: old # one\n  # kept\n  mode: on\n",
                "echo ${HOME}",
                "vars:\n  # kept\n  mode: on\n  image: \"echo $${HOME}\"\nservices",
            ),
            ("vars:\n    n: 1\n", "3", "vars:\n    n: 1\n    image: 3\nservices"),
            ("vars:\n  image: ${env:IMAGE}\n", "secret", "vars:\n  image: ${env:IMAGE}\nservices"),
        ] {
            let text = of(vars, value);
            assert!(text.contains(written), "{written} is not in\n{text}");
        }
    }

    #[test]
    fn a_value_that_is_a_map_is_written_as_one() {
        let source = "keelhaul: 1\nname: kinds\nmatrix:\n  axes:\n    volume: [{ ext4: { size: 64MiB } }, { docker: {} }]\nvolumes:\n  data: ${volume}\nservices:\n  agent: { image: keelhaul/specimen, mounts: { /data: data } }\nsteps: [{ wait: 1s }]\n";
        let file = |text: &str| [("a.yaml".into(), Ok(text.as_bytes().to_vec()))];
        let load = |text: &str| load_all(&file(text), &Default::default(), &Default::default());
        let cell = load(source).unwrap()[0].cells[0].clone();
        assert_eq!(cell.labels, [("volume".to_owned(), "ext4".to_owned())]);
        let draft = Draft::of(source, &cell.labels, &cell.shapes).unwrap();
        let text = draft.with(&heading(), &["  - wait: 1s\n".to_owned()]);
        let drafted = load(&text).unwrap_or_else(|found| panic!("{found:?}\n{text}"));
        assert_eq!(drafted[0].cells[0].scenario.volumes, cell.scenario.volumes);
    }

    #[test]
    fn steps_that_are_not_there_come_last_and_a_flow_map_is_refused() {
        let draft = Draft::of("keelhaul: 1\nname: a\n", &[], &BTreeMap::new()).unwrap();
        assert!(
            draft
                .with(&heading(), &["  - recover\n".to_owned()])
                .ends_with("steps:\n  - recover\n")
        );
        assert!(
            Draft::of("{ keelhaul: 1, name: a }", &[], &BTreeMap::new())
                .unwrap_err()
                .contains("hint:")
        );
    }
}
