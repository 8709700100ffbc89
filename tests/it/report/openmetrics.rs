//! Numbers for dashboards: each line is a comment or a sample, and hostile names stay names.

use keelhaul::{report::openmetrics, verdict::Verdict};

use super::made::Made;

fn page(made: &Made) -> String {
    let mut out = Vec::new();
    openmetrics::write(&made.record(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_run_in_numbers() {
    let page = page(&Made::everything());
    for line in [
        "keelhaul_cases{verdict=\"fail\"} ",
        "keelhaul_controls{state=\"caught\"} 1",
        "keelhaul_run_seconds ",
        "keelhaul_case_seconds{case=",
        "keelhaul_recovery_seconds{case=",
        "what=\"lost\"} ",
    ] {
        assert!(page.contains(line), "{line} in\n{page}");
    }
    assert!(page.ends_with("# EOF\n"));
    let mut types: Vec<&str> = page.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let all = types.len();
    types.dedup();
    assert_eq!(types.len(), all, "each family once, its samples together");
    let unseen = self::page(Made::everything().that_shows_nothing());
    assert!(!unseen.contains("keelhaul_recovery_seconds{"), "nobody has measured one: {unseen}");
}

#[test]
fn a_name_cannot_become_a_line_of_its_own() {
    let mut made = Made::run(1);
    let hostile = "a\"} 1\nkeelhaul_cases{verdict=\"pass\\";
    made.bad(hostile, "", 1).case_end(Verdict::Fail, &["no"]).end(Verdict::Fail);
    let page = page(&made);
    let name = |line: &str| line.split(['{', ' ']).next().unwrap().to_owned();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        assert!(name(line).starts_with("keelhaul_"), "{line}");
        assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
    }
    assert_eq!(page.matches("keelhaul_cases{verdict=\"pass\"}").count(), 1);
    assert!(page.contains(r#"case="a\"} 1\nkeelhaul_cases{verdict=\"pass\\""#), "{page}");
}
