//! JUnit files against the schema that Jenkins' xunit plugin checks them with: `junit-10.xsd`
//! beside this file, from github.com/jenkinsci/xunit-plugin as of 2025-11-15, with its licence.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/report/junit-10.xsd");

/// Everything that is wrong with a document, as `xmllint` says it; empty when it is valid.
///
/// # Panics
///
/// Where there is no `xmllint`: a report nobody checked must not look checked.
pub(crate) fn problems(xml: &[u8]) -> Vec<String> {
    let mut lint = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema", SCHEMA, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`xmllint` is not there: `scripts/setup.sh test` installs it");
    // it may stop reading at the first fault
    let _ = lint.stdin.take().unwrap().write_all(xml);
    let output = lint.wait_with_output().unwrap();
    if output.status.success() {
        return Vec::new();
    }
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().chain([&*output.status.to_string()]).map(str::to_owned).collect()
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
        "<testsuites skipped='0'/>",
        "<testsuites time='soon'/>",
        "<testsuites time='1.2345'/>",
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
