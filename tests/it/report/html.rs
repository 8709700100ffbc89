//! The page for people: what it shows, what it escapes, that it loads nothing, and that it is bounded.

use keelhaul::{
    probes::Sample,
    report::html,
    run::{Phase, RunRecord},
    verdict::Verdict,
};
use regex::Regex;

use super::made::Made;

fn page(record: &RunRecord) -> String {
    let mut out = Vec::new();
    html::write(record, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_case_has_its_verdict_its_timeline_and_the_line_that_runs_it_again() {
    let record = Made::everything().record();
    let page = page(&record);
    let mut names: Vec<&str> = record.cases.iter().map(|case| case.start.case.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(page.matches("<svg class=\"timeline\"").count(), names.len());
    for name in names {
        assert!(page.contains(&format!("data-case=\"{name}\" data-verdict=")), "{name}");
    }
    let why = "<p class=\"why\">`recover`: not green within 5s</p>";
    assert!(page.contains(why), "why it failed stands in the list: {page}");
    assert!(page.contains("keelhaul run scenarios/"));
    assert!(page.contains("0 of 512 inodes free"), "the evidence of an effect");
    let first = page.split("<details class=\"case\"").nth(1).unwrap();
    assert!(first.contains("data-verdict=\"fail\""), "the worst comes first: {first}");
}

#[test]
fn readings_that_say_the_same_are_one_stroke_with_what_was_observed() {
    let mut made = Made::run(1);
    made.case("c", "", 1).phase(Phase::Steps);
    let bad = Sample::outside("0 free", "fewer than 1");
    let good = |free: f64| Sample::within(format!("{free} free")).number(free, None);
    for reading in [good(3.0), good(2.0), good(1.0), bad.clone(), bad, good(9.0)] {
        made.sample("seen", reading);
    }
    made.case_end(Verdict::Pass, &[]).end(Verdict::Pass);
    let page = page(&made.record());
    let strokes = |class: &str| page.matches(&format!("class=\"run {class}\"")).count();
    assert_eq!((strokes("ok"), strokes("bad")), (2, 1), "{page}");
    assert!(page.contains("3 × holds") && page.contains("2 × violated"), "{page}");
    assert!(page.contains("0 free"));
    assert!(page.contains("<path class=\"number\""), "numbers are drawn");
}

#[test]
fn a_stroke_that_hides_changes_says_so_and_never_that_it_holds() {
    let mut made = Made::run(1000);
    // so many that each has room for the fewest strokes only
    for index in 0..999 {
        made.good(&format!("good-{index}"), 1);
    }
    made.case("flaps", "", 1).phase(Phase::Steps);
    for at in 0..20 {
        let holds = at % 2 == 1;
        let reading = if holds { Sample::within("up") } else { Sample::outside("down", "no") };
        made.sample("seen", reading);
    }
    made.case_end(Verdict::Fail, &["no"]).end(Verdict::Fail);
    let page = page(&made.record());
    let case = page.split("data-case=\"flaps\"").last().unwrap();
    let case = case.split("<details class=\"case\"").next().unwrap();
    let strokes = Regex::new("class=\"run (\\w+)\".*?<title>([^<]*)</title>").unwrap();
    let strokes: Vec<(&str, &str)> = strokes
        .captures_iter(case)
        .map(|one| one.extract())
        .map(|(_, [class, said])| (class, said))
        .collect();
    let (mixed, told) = strokes.split_last().expect("strokes");
    assert!(told.len() >= 3 && told.len() < 19, "{strokes:?}");
    assert!(
        told.iter().all(|(class, said)| ["ok", "bad"].contains(class) && said.starts_with("1 × ")),
        "{strokes:?}"
    );
    assert_eq!(mixed.0, "mixed", "{strokes:?}");
    let (readings, hides) = (20 - told.len(), 19 - told.len());
    let violated = (told.len()..20).filter(|at| at % 2 == 0).count();
    let says = format!("not told apart (changes and gaps: {hides}, violated: {violated})");
    assert!(mixed.1.starts_with(&format!("{readings} × {says}, +")), "{strokes:?}");
    assert!(
        case.contains(&format!("<span class=\"mixed\">{says}</span>")),
        "in the table too: {case}"
    );
    assert!(case.contains(">not told apart: too many changes<"), "in the legend too");
}

#[test]
fn hostile_text_is_text_and_nothing_is_loaded() {
    let hostile =
        "</script><script>alert(1)</script><img src=//x onerror=y>\" onload=\"z\x1b[31m\0";
    let mut made = Made::run(1);
    made.bad(hostile, "", 1).log(hostile).case_end(Verdict::Fail, &[hostile]).end(Verdict::Fail);
    let page = page(&made.record());
    assert_eq!(page.matches("<script>").count(), 1, "ours");
    assert_eq!(page.matches("</script>").count(), 1, "ours");
    assert!(!page.contains("<img") && !page.contains(" onload=\"z"), "{page}");
    assert!(!page.contains(['\x1b', '\0']));
    for loads in ["src=", "href=\"h", "url(", "@import", "<link"] {
        let outside = page.replace("&lt;img src=", "");
        assert!(!outside.contains(loads), "{loads}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn five_hundred_scenarios_fit_and_what_is_left_out_passed() {
    let mut made = Made::run(1000);
    let readings: Vec<Sample> =
        (0..200)
            .map(|at| {
                if at % 3 == 0 {
                    Sample::outside("x".repeat(300), "y")
                } else {
                    Sample::within("z")
                }
            })
            .collect();
    for index in 0..500 {
        made.good(&format!("good-{index}"), 1);
        made.bad(&format!("bad-{index}"), "", 1).log(&"line\n".repeat(20_000));
        for reading in &readings {
            made.sample("flaps", reading.clone());
        }
        made.case_end(Verdict::Fail, &["no"]);
    }
    let page = page(&made.end(Verdict::Fail).record());
    assert!(page.len() < 20_000_000, "{}", page.len());
    for index in 0..500 {
        assert!(page.contains(&format!("data-case=\"bad-{index}\"")), "{index}");
    }
    let (shown, cut): (Vec<&str>, Vec<&str>) =
        page.split("<details class=\"case\"").skip(1).partition(|case| !case.contains("Left out"));
    assert!(shown.len() >= 500, "{}", shown.len());
    assert!(cut.iter().all(|case| case.contains("data-verdict=\"pass\"")));
}

#[test]
fn a_run_cut_short_says_so() {
    let mut made = Made::run(3);
    made.bad("a", "", 1);
    let page = page(&made.record());
    assert!(page.contains("cut short"), "{page}");
    assert!(page.contains("never started"), "{page}");
}

/// A note says when.
#[test]
fn notes_have_their_time() {
    let shown = page(&Made::noted());
    assert!(shown.contains("+28.004s note: the pager rang"), "{shown}");
    assert!(shown.contains("<circle class=\"mark note\""), "it is in the drawing: {shown}");
}
