//! JUnit: valid whatever is printed, the right element for each verdict, names that stay.

use keelhaul::{report::junit, run::RunRecord, scenario::Hypothesis, verdict::Verdict};

use super::{made::Made, schema::problems};

fn rendered(record: &RunRecord) -> String {
    let mut out = Vec::new();
    junit::write(record, &mut out).unwrap();
    let found = problems(&out);
    assert!(
        found.is_empty(),
        "{found:?}\n{}",
        String::from_utf8_lossy(&out[..out.len().min(4000)])
    );
    String::from_utf8(out).unwrap()
}

#[test]
fn every_ending_at_once() {
    insta::assert_snapshot!(rendered(&Made::everything().record()));
}

/// The line of the test case with this name, and what follows it.
fn test_case<'a>(xml: &'a str, name: &str) -> &'a str {
    let start = xml.find(&format!("<testcase name=\"{name}\"")).expect(name);
    let rest = &xml[start..];
    let line = rest.find('\n').unwrap();
    let end = if rest[..line].ends_with("/>") { line } else { rest.find("</testcase>").unwrap() };
    &rest[..end]
}

#[test]
fn each_verdict_has_its_element() {
    for (verdict, element) in [
        (Some(Verdict::Fail), "<failure message=\"why\" type=\"fail\">"),
        (Some(Verdict::Error), "<error message=\"why\" type=\"error\">"),
        (Some(Verdict::Inconclusive), "<error message=\"why\" type=\"inconclusive\">"),
        (Some(Verdict::Skipped), "<skipped message=\"why\"/>"),
        (None, "<skipped message=\"not evaluated: why\"/>"),
    ] {
        let mut made = Made::run(1);
        made.case("a", "", 1).assert("verify[0]", Hypothesis::Verify, verdict, "why");
        made.case_end(verdict.unwrap_or_default(), &["why"]).end(verdict.unwrap_or_default());
        let xml = rendered(&made.record());
        let case = test_case(&xml, "verify: verify[0] http agent /health is 200");
        assert!(case.contains(element), "{case}");
        // explained by the assertion: `run` has nothing to add
        assert!(test_case(&xml, "run").ends_with("/>"), "{xml}");
    }
}

#[test]
fn hostile_bytes_of_a_container() {
    let mut hostile =
        String::from_utf8_lossy(b"nul \0 esc \x1b[31mred bad \xff\xfe end ]]> &amp; <x>")
            .into_owned();
    hostile.push_str("\u{fffe}\u{ffff}\u{85}\u{7f}\u{202e}\u{1b}]0;title\u{7}\r\n");
    hostile.push_str(&"m".repeat(1 << 20));
    let mut made = Made::run(1);
    made.case("a", "", 1)
        .log(&hostile)
        .assert("verify[0]", Hypothesis::Verify, Some(Verdict::Fail), &hostile)
        .case_end(Verdict::Fail, &[&hostile])
        .end(Verdict::Fail);
    let xml = rendered(&made.record());
    assert!(xml.contains("nul ␀ esc red bad"), "{}", &xml[..2000]);
    assert!(xml.contains("end ]]&gt; &amp;amp; &lt;x&gt;"));
    assert!(xml.contains("bytes cut]"));
    assert!(xml.len() < 1 << 16, "{}", xml.len());
}

#[test]
fn a_surrogate_in_the_event_file_ends_it_with_a_note() {
    let mut bytes = Made::everything().bytes();
    bytes.extend(br#"{"at_us":1,"event":{"kind":"noted","case":null,"text":"\ud800"}}"#);
    let record = RunRecord::read(bytes.as_slice());
    assert!(record.notes.iter().any(|note| note.contains("unreadable")), "{:?}", record.notes);
    rendered(&record);
}

#[test]
fn a_retry_that_passes_is_flaky_and_one_that_fails_is_a_rerun() {
    let mut made = Made::run(1);
    made.bad("a", "", 1).case_end(Verdict::Fail, &["no"]);
    made.bad("a", "", 2).case_end(Verdict::Fail, &["no"]).end(Verdict::Fail);
    let name = "step: recover http agent /health is 200";
    let again = rendered(&made.record());
    assert!(test_case(&again, name).contains("<rerunFailure "), "{again}");
    let flaky = rendered(&Made::everything().record());
    let flaky = &flaky[flaky.find("<testsuite name=\"flaky\"").unwrap()..];
    let case = test_case(flaky, name);
    assert!(case.contains("<flakyFailure ") && !case.contains("<failure "), "{case}");
}

#[test]
fn an_earlier_failure_elsewhere_is_kept_on_the_whole() {
    let mut made = Made::run(1);
    made.case("a", "", 1).case_end(Verdict::Error, &["engine gone"]).good("a", 2);
    let xml = rendered(&made.end(Verdict::Pass).record());
    assert!(test_case(&xml, "run").contains("<flakyError"), "{xml}");
}

#[test]
fn a_fault_without_proof_and_a_revert_without_end() {
    let mut made = Made::run(1);
    made.case("a", "", 1).inject(false).revert(false).rolled_back(Some("device busy"));
    made.residue(&["volume x"]).case_end(Verdict::Error, &[]).end(Verdict::Error);
    let xml = rendered(&made.record());
    let case = |name| test_case(&xml, name);
    assert!(case("fault full (inode-exhaustion): effect").contains("type=\"inconclusive\""));
    assert!(case("fault full (inode-exhaustion): revert").contains("type=\"error\""));
    assert!(case("rollback").contains("keelhaul recover r1"));
    let residue = case("residue");
    assert!(residue.contains("left behind: volume x") && residue.contains("type=\"error\""));
}

#[test]
fn a_run_cut_short_is_an_error() {
    let mut made = Made::run(2);
    made.case("a", "", 1).phase(keelhaul::run::Phase::Steps).injecting();
    let xml = rendered(&made.record());
    assert!(xml.contains("cut short in steps"), "{xml}");
    assert!(xml.contains("<testsuite name=\"keelhaul run\" tests=\"1\""), "{xml}");
    assert!(xml.contains("1 case never started"), "{xml}");
}

#[test]
fn names_do_not_depend_on_how_it_went() {
    let names = |xml: &str| {
        let found = regex::Regex::new("<testcase name=\"([^\"]*)\"").unwrap();
        found.captures_iter(xml).map(|it| it[1].to_owned()).collect::<Vec<_>>()
    };
    let (mut good, mut bad) = (Made::run(1), Made::run(1));
    good.good("a", 1).end(Verdict::Pass);
    bad.case("a", "", 1)
        .steady(Verdict::Fail)
        .inject(false)
        .revert(false)
        .assert("recover", Hypothesis::Step, None, "too early")
        .case_end(Verdict::Fail, &["no"])
        .end(Verdict::Fail);
    assert_eq!(names(&rendered(&good.record())), names(&rendered(&bad.record())));
}

/// A note says when.
#[test]
fn notes_have_their_time() {
    let shown = rendered(&Made::noted());
    assert!(shown.contains("+28.004s   note: the pager rang"), "{shown}");
}
