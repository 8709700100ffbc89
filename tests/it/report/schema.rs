//! The rules of the JUnit schema that Jenkins' xunit plugin checks files against (`junit-10.xsd`),
//! as a table, and a check of a document against them and against the characters of XML 1.0.
//!
//! What the schema says and this restates: which attributes and children an element may have and
//! must have, that a rerun's children come in one order, and how a time is written.

use std::collections::BTreeMap;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

/// What an element may hold.
struct Rule {
    element: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    children: &'static [&'static str],
    /// Children in the order given, each at most once.
    ordered: bool,
    text: bool,
}

const fn rule(
    element: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    children: &'static [&'static str],
) -> Rule {
    Rule { element, required, optional, children, ordered: false, text: false }
}

/// Text with the attributes of a result.
const fn result(element: &'static str) -> Rule {
    Rule { text: true, ..rule(element, &[], &["type", "message"], &[]) }
}

/// A result of an earlier attempt.
const fn rerun(element: &'static str) -> Rule {
    let children = &["stackTrace", "system-out", "system-err"];
    Rule { ordered: true, text: true, ..rule(element, &["type"], &["message"], children) }
}

const fn text(element: &'static str) -> Rule {
    Rule { text: true, ..rule(element, &[], &[], &[]) }
}

const RULES: &[Rule] = &[
    rule("testsuites", &[], &["name", "time", "tests", "failures", "errors"], &["testsuite"]),
    rule(
        "testsuite",
        &["name", "tests", "failures", "errors"],
        &[
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
        &["testsuite", "properties", "testcase", "system-out", "system-err"],
    ),
    rule(
        "testcase",
        &["name"],
        &["time", "classname", "group"],
        &[
            "skipped",
            "error",
            "failure",
            "rerunFailure",
            "rerunError",
            "flakyFailure",
            "flakyError",
            "system-out",
            "system-err",
        ],
    ),
    rule("properties", &[], &[], &["property"]),
    rule("property", &["name", "value"], &[], &[]),
    result("failure"),
    result("error"),
    result("skipped"),
    rerun("rerunFailure"),
    rerun("rerunError"),
    rerun("flakyFailure"),
    rerun("flakyError"),
    text("stackTrace"),
    text("system-out"),
    text("system-err"),
];

/// An element on the way to the current place.
struct Open {
    rule: &'static Rule,
    children: Vec<String>,
}

/// Everything that is wrong with a document; empty when it is valid.
pub(crate) fn problems(xml: &[u8]) -> Vec<String> {
    match std::str::from_utf8(xml) {
        Err(error) => vec![format!("not UTF-8: {error}")],
        Ok(xml) => {
            let mut found = forbidden_characters(xml);
            if let Err(error) = walk(xml, &mut found) {
                found.push(format!("not well-formed: {error}"));
            }
            found
        }
    }
}

/// Outside XML 1.0's `Char`, as it stands or as a reference.
fn forbidden_characters(xml: &str) -> Vec<String> {
    let references = regex::Regex::new("&#(x?)([0-9a-fA-F]+);").unwrap();
    let referred = references.captures_iter(xml).map(|found| {
        let radix = if found[1].is_empty() { 10 } else { 16 };
        u32::from_str_radix(&found[2], radix).unwrap_or(0)
    });
    let valid =
        |c: u32| matches!(c, 9 | 10 | 13 | 0x20..=0xd7ff | 0xe000..=0xfffd | 0x10000..=0x10_ffff);
    xml.chars()
        .map(u32::from)
        .chain(referred)
        .filter(|c| !valid(*c))
        .map(|c| format!("character {c:#x} is forbidden"))
        .collect()
}

fn walk(xml: &str, found: &mut Vec<String>) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Open> = Vec::new();
    let mut roots = 0;
    loop {
        match reader.read_event()? {
            Event::Start(start) => {
                roots += usize::from(open.is_empty());
                let rule = enter(&start, &mut open, found)?;
                open.push(Open { rule, children: Vec::new() });
            }
            Event::Empty(start) => {
                enter(&start, &mut open, found)?;
            }
            Event::End(_) => found.extend(open.pop().and_then(|it| out_of_order(&it))),
            Event::Text(text) if !text.trim_ascii().is_empty() => match open.last() {
                Some(place) if place.rule.text => {
                    if text.windows(3).any(|it| it == b"]]>") {
                        found.push("`]]>` in text".to_owned());
                    }
                }
                Some(place) => found.push(format!("text in `{}`", place.rule.element)),
                None => found.push("text outside the root".to_owned()),
            },
            Event::Eof => break,
            _ => {}
        }
    }
    if roots != 1 || !open.is_empty() {
        found.push(format!("{roots} roots, {} elements never closed", open.len()));
    }
    Ok(())
}

/// Checks an element's place and attributes.
fn enter(
    start: &BytesStart<'_>,
    open: &mut [Open],
    found: &mut Vec<String>,
) -> Result<&'static Rule, Box<dyn std::error::Error>> {
    let name = String::from_utf8(start.name().as_ref().to_vec())?;
    let rule = RULES.iter().find(|rule| rule.element == name);
    let rule = rule.ok_or_else(|| format!("unknown element `{name}`"))?;
    match open.last_mut() {
        Some(parent) => {
            if !parent.rule.children.contains(&name.as_str()) {
                found.push(format!("`{name}` in `{}`", parent.rule.element));
            }
            parent.children.push(name.clone());
        }
        None if name == "testsuites" || name == "testsuite" => {}
        None => found.push(format!("`{name}` as root")),
    }
    let mut attributes = BTreeMap::new();
    for attribute in start.attributes() {
        let attribute = attribute?;
        let key = String::from_utf8(attribute.key.as_ref().to_vec())?;
        attributes.insert(key, String::from_utf8(attribute.value.to_vec())?);
    }
    for key in rule.required.iter().filter(|key| !attributes.contains_key(**key)) {
        found.push(format!("`{name}` without `{key}`"));
    }
    for key in attributes.keys() {
        if !rule.required.contains(&key.as_str()) && !rule.optional.contains(&key.as_str()) {
            found.push(format!("attribute `{key}` on `{name}`"));
        }
    }
    let time = regex::Regex::new(r"^(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?$")?;
    if name.starts_with("testsuite") && attributes.get("time").is_some_and(|it| !time.is_match(it))
    {
        found.push(format!("time `{}` on `{name}`", attributes["time"]));
    }
    Ok(rule)
}

fn out_of_order(place: &Open) -> Option<String> {
    let index = |child: &String| place.rule.children.iter().position(|it| it == child);
    let sorted = place.children.windows(2).all(|pair| index(&pair[0]) < index(&pair[1]));
    (place.rule.ordered && !sorted)
        .then(|| format!("children of `{}`: {:?}", place.rule.element, place.children))
}

#[test]
fn a_valid_document_is_accepted() {
    let good = r#"<?xml version="1.0"?><testsuites time="1.5"><testsuite name="a" tests="1"
        failures="0" errors="0"><testcase name="x"><flakyError type="t"><stackTrace>s</stackTrace>
        <system-out>o</system-out></flakyError></testcase></testsuite></testsuites>"#;
    assert_eq!(problems(good.as_bytes()), Vec::<String>::new());
}

#[test]
fn each_rule_bites() {
    let bad = [
        "<testcase name='x'/>",
        "<testsuites skipped='0'/>",
        "<testsuites time='soon'/>",
        "<testsuites><testsuite name='a' tests='0' failures='0'/></testsuites>",
        "<testsuites>text</testsuites>",
        "<testsuites><testcase name='x'/></testsuites>",
        "<testsuites name='a&#x1b;'/>",
        "<testsuites name='a\u{0}'/>",
        "<testsuites><testsuite></testsuites>",
        "<testsuite name='a' tests='0' failures='0' errors='0'><testcase name='x'><flakyError \
         type='t'><system-out/><stackTrace/></flakyError></testcase></testsuite>",
        "<testsuite name='a' tests='0' failures='0' errors='0'><testcase name='x'><flakyError/>\
         </testcase></testsuite>",
        "<testsuites/><testsuites/>",
        "",
    ];
    for xml in bad {
        assert!(!problems(xml.as_bytes()).is_empty(), "accepted: {xml}");
    }
}
