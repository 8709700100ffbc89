//! What the page tells of a case, part by part: each is there, says what was recorded, and is bounded.

use std::{collections::BTreeSet, sync::LazyLock};

use keelhaul::{
    probes::{Sample, Unit},
    report::html,
    run::{Event, Phase},
    scenario::Hypothesis,
    verdict::Verdict,
};
use regex::Regex;

use super::made::Made;

/// A fault that a probe notices, with load, a recovery, a ledger and two logs. Events are 100 ms apart,
/// and the case starts with the second.
fn made(printed: &[(u64, &str)]) -> Made {
    let mut made = Made::run(1);
    made.case("full", "", 1)
        .phase(Phase::SteadyState)
        .sample("steady_state[0]", Sample::within("status 200"))
        .steady(Verdict::Pass)
        .phase(Phase::Steps)
        .load(0, 0)
        .load(10, 200_000)
        .inject(true)
        .sample("patient", Sample::outside("nothing yet", "no line matches"))
        .sample("steady_state[0]", Sample::outside("status 503", "status is not 200"))
        .revert(true)
        .recovered(Some(1_200_000))
        .assert("recover", Hypothesis::Step, Some(Verdict::Pass), "")
        .ledger(1204, 7)
        .printed("agent", printed)
        .printed("other", &[(1_010_000, "<other>")])
        .rolled_back(None)
        .residue(&[])
        .case_end(Verdict::Pass, &[])
        .end(Verdict::Pass);
    made
}

fn page(printed: &[(u64, &str)]) -> String {
    let mut out = Vec::new();
    html::write(&made(printed).record(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The elements of the timeline with this tag and class, with what is in them.
fn drawn(page: &str, tag: &str, class: &str) -> Vec<String> {
    let svg = page.split("<svg class=\"timeline\"").nth(1).expect("a timeline");
    let svg = svg.split("</svg></div>").next().unwrap();
    let element = format!(r#"(?s)<{tag} class="{class}"[^>]*>(.*?)</{tag}>"#);
    let found = Regex::new(&element).unwrap();
    found.captures_iter(svg).map(|found| found[1].to_owned()).collect()
}

/// The folds of this class: what stands in the heading, and in the text.
fn folds(page: &str, class: &str) -> Vec<(String, String)> {
    static FOLD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?s)<summary>(.*?)</summary><pre>(.*?)</pre></details>").unwrap()
    });
    let opened = format!("<details class=\"{class}\">");
    page.split(&opened)
        .skip(1)
        .map(|part| {
            let fold = FOLD.captures(part).expect("a heading and a text");
            (fold[1].to_owned(), fold[2].to_owned())
        })
        .collect()
}

#[test]
fn load_is_drawn_with_its_rate_and_both_percentiles() {
    let page = page(&[]);
    let lines = drawn(&page, "path", "load");
    let titles =
        ["<title>acknowledged, at most 50 records/s</title>", "<title>p99, at most 9 ms</title>"];
    assert_eq!(lines, titles);
    let median = drawn(&page, "path", "median");
    assert_eq!(median, ["<title>p50, at most 2 ms</title>"]);
}

#[test]
fn recovery_is_drawn_against_its_objective() {
    let page = page(&[]);
    let bands = drawn(&page, "rect", "recovered");
    assert_eq!(bands, ["<title>recover: recovered in 1.200s</title>"]);
    // it ends long after the case
    assert_eq!(drawn(&page, "line", "objective").len(), 0);
    let mut late = Made::run(1);
    late.case("late", "", 1).recovered(None).case_end(Verdict::Fail, &[]);
    late.events.last_mut().unwrap().at_us = 20_000_000;
    let mut out = Vec::new();
    html::write(&late.record(), &mut out).unwrap();
    let objectives = drawn(&String::from_utf8(out).unwrap(), "line", "objective");
    assert_eq!(objectives, ["<title>objective: 5.000s</title>"]);
    assert_eq!(drawn(&page, "line", "mark back").len(), 1);
    assert!(page.contains(">recovered in 1.200s of 5.000s</text>"), "{page}");
}

#[test]
fn who_noticed_first_is_marked_and_what_was_never_there_notices_nothing() {
    let page = page(&[]);
    assert_eq!(drawn(&page, "line", "mark noticed").len(), 1);
    let said = drawn(&page, "circle", "mark noticed");
    assert_eq!(
        said,
        ["<title>noticed 300ms after full: http agent /health: status 503</title>"],
        "`patient` waits for something, and it is not there yet"
    );
    assert!(page.contains(">noticed after 300ms</text>"), "{page}");
}

#[test]
fn faults_without_end_leave_room_for_what_became_of_them() {
    let told = told_after_faults_without_end(Some(1_200_000));
    assert_eq!(told.matches("full is injected").count(), 8, "{told}");
    assert_eq!(told.matches("noticed").count(), 16, "{told}");
    assert!(told.contains("recovered in 1.200s") && told.contains("… and more"), "{told}");
    let told = told_after_faults_without_end(None);
    assert_eq!(told.matches("full is injected").count(), 8, "{told}");
    assert!(told.contains("not recovered within the objective of 5.000s"), "{told}");
}

/// What happened, as the page tells it of a case whose faults came and went by the hundred.
fn told_after_faults_without_end(recovery_us: Option<u64>) -> String {
    let mut made = Made::run(1);
    made.case("flaps", "", 1).phase(Phase::Steps);
    for _ in 0..500 {
        made.inject(true)
            .sample("observed", Sample::within("up"))
            .sample("observed", Sample::outside("down", "not up"))
            .revert(true);
    }
    made.recovered(recovery_us).case_end(Verdict::Pass, &[]).end(Verdict::Pass);
    let mut out = Vec::new();
    html::write(&made.record(), &mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    let marks = drawn(&page, "circle", "mark never").len();
    assert_eq!(marks, usize::from(recovery_us.is_none()), "{page}");
    let told = page.split("<h3>What happened</h3>").nth(1).unwrap();
    told.split("<h3>").next().unwrap().to_owned()
}

#[test]
fn each_moment_is_there_with_the_lines_around_it() {
    let printed = [(900_000, "before"), (1_050_000, "ENOSPC <b>"), (1_320_000, "503 now")];
    let page = page(&printed);
    let moments = folds(&page, "moment");
    let heads: Vec<&str> = moments.iter().map(|(head, _)| head.as_str()).collect();
    assert_eq!(
        heads,
        [
            "+900ms full is injected",
            "+1.200s noticed 300ms after full: http agent /health: status 503",
            "+1.200s recovered in 1.200s of 5.000s",
            "+1.300s full is reverted",
        ]
    );
    let lines: Vec<&str> = moments[0].1.lines().collect();
    let all = [
        "+800ms     agent  before",
        "<span class=\"here\">+900ms ──</span>",
        "+910ms     other  &lt;other&gt;",
        "+950ms     agent  ENOSPC &lt;b&gt;",
        "+1.220s    agent  503 now",
    ];
    assert_eq!(lines, all);
    let place = moments[3].1.lines().position(|line| line.contains("here"));
    assert_eq!(place, Some(4), "after all that was printed: {}", moments[3].1);
}

#[test]
fn many_lines_are_bounded_around_a_moment_and_lines_without_times_are_no_part_of_it() {
    let many: Vec<(u64, &str)> = (0..20_000).map(|at| (at * 100, "again")).collect();
    for (_, text) in folds(&page(&many), "moment") {
        assert!(text.lines().count() <= 13, "{text}");
        assert!(text.len() < 2_000, "{text}");
    }
    // an event file from before lines had times
    let mut old = Made::run(1);
    old.good("old", 1).end(Verdict::Pass);
    let mut out = Vec::new();
    html::write(&old.record(), &mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    assert_eq!(folds(&page, "moment"), []);
    assert!(page.contains("full is injected</p>"), "{page}");
    assert_eq!(folds(&page, "log"), [("log of agent".into(), "started\nready".into())]);
}

#[test]
fn each_service_has_its_log_with_times() {
    let logs = folds(&page(&[(900_000, "one"), (1_000_000, "two")]), "log");
    let agent = ("log of agent".to_owned(), "+800ms     one\n+900ms     two".to_owned());
    let other = ("log of other".to_owned(), "+910ms     &lt;other&gt;".to_owned());
    assert_eq!(logs, [agent, other]);
}

#[test]
fn records_are_counted_in_a_table() {
    let page = page(&[]);
    let table = page.split("<h3>Records</h3>").nth(1).expect("the ledger's table");
    let table = table.split("</table>").next().unwrap();
    let names = Regex::new("<th>(.*?)</th>").unwrap();
    let names: Vec<String> = names.captures_iter(table).map(|name| name[1].to_owned()).collect();
    let counts = Regex::new("<td([^>]*)>(.*?)</td>").unwrap();
    let counts: Vec<(String, String)> =
        counts.captures_iter(table).map(|cell| (cell[1].to_owned(), cell[2].to_owned())).collect();
    assert_eq!(names.len(), counts.len(), "{table}");
    let of = |name: &str| &counts[names.iter().position(|one| one == name).expect(name)];
    assert_eq!(of("workload").1, "records");
    assert_eq!(of("acknowledged").1, "1204");
    assert_eq!(of("lost"), &(" class=\"fail\"".to_owned(), "7".to_owned()));
    for fine in ["corrupt", "torn", "phantom", "duplicated", "reordered"] {
        let (class, count) = of(fine);
        assert!(count == "0" && !class.contains("fail"), "{fine}: {count}{class}");
    }
}

#[test]
fn the_page_says_what_was_run_where_and_with_which_seed() {
    let page = page(&[]);
    let head = page.split("<header>").nth(1).unwrap().split("</header>").next().unwrap();
    let said = ["seed 42", "keelhaul 0.1.0", "engine 20.10.24 (overlay2)", "kernel 6.18.44"];
    for part in said.into_iter().chain(["Debian GNU/Linux 12", "cgroup v2"]) {
        assert!(head.contains(part), "{part}: {head}");
    }
    let facts = page.split("Command and environment").nth(1).expect("all that is known");
    for part in
        ["keelhaul run", "SHA-256 of the binary abc", "unix:///var/run/docker.sock", "API 1.41"]
    {
        assert!(facts.contains(part), "{part}: {facts}");
    }
    let case = page.split("<h3>Run it again</h3>").nth(1).expect("how to run it again");
    for part in ["--seed 42", "scenarios/full.yaml", "volume=ext4", "sha256:1234"] {
        assert!(case.contains(part), "{part}: {case}");
    }
}

#[test]
fn it_is_light_and_dark_and_fit_for_paper_and_for_phones() {
    let page = page(&[]);
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let colours = |text: &str| -> BTreeSet<String> {
        let set = Regex::new(r"(--\w+):").unwrap();
        set.captures_iter(text).map(|name| name[1].to_owned()).collect()
    };
    let (light, rest) = style.split_once("@media (prefers-color-scheme: dark)").expect("dark");
    let dark = rest.split("\n}").next().unwrap();
    assert!(colours(light).len() > 8, "{light}");
    assert_eq!(colours(light), colours(dark), "each colour has one for the dark");
    let used = Regex::new(r"var\((--\w+)\)").unwrap();
    for name in used.captures_iter(style).map(|name| name[1].to_owned()) {
        assert!(colours(light).contains(&name), "{name}");
    }
    let print = style.split("@media print").nth(1).expect("a style for paper");
    assert!(print.contains("form { display: none; }") && print.contains("max-height: none"));
    assert!(
        page.contains("beforeprint") && print.contains("details-content"),
        "what is folded is on paper"
    );
    assert!(page.contains("content=\"width=device-width"), "phones show it at their width");
}

#[test]
fn what_each_probe_read_stands_in_a_table() {
    let page = page(&[]);
    let table =
        page.split("What the probes read: 3 readings by 2 probes").nth(1).expect("the readings");
    let table = table.split("</table>").next().unwrap();
    for part in ["status 200", "status 503", "nothing yet", ">holds<", ">violated<", "+1.200s"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let mut made = Made::run(1);
    made.case("c", "", 1).phase(Phase::Steps);
    for free in [3.0, 1.5, 2.0] {
        made.sample("seen", Sample::within(format!("{free} free")).number(free, Unit::Lines));
    }
    made.case_end(Verdict::Pass, &[]).end(Verdict::Pass);
    let mut out = Vec::new();
    html::write(&made.record(), &mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    assert!(page.contains("<td>1.5 to 3 lines</td>") && page.contains("<td>2 free</td>"), "{page}");
}

#[test]
fn what_is_steady_all_along_has_no_recovery_drawn() {
    let mut made = made(&[]);
    let page = |made: &Made| {
        let mut out = Vec::new();
        html::write(&made.record(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(drawn(&page(&made), "rect", "recovered").len(), 1);
    let shows_nothing = page(made.that_shows_nothing());
    assert_eq!(drawn(&shows_nothing, "rect", "recovered").len(), 0);
    let said = |page: &str, what: &str| page.contains(&format!(">steady {what}</text>"));
    assert!(said(&shows_nothing, "at the first look"), "it was seen to be out: {shows_nothing}");
    // it held whenever somebody looked under the fault, or nobody did
    for (sample, what) in [(Some("status 200"), "all along"), (None, "at the first look")] {
        let mut made = Made::run(1);
        made.case("full", "", 1).steady(Verdict::Pass).phase(Phase::Steps).inject(true);
        if let Some(observed) = sample {
            made.sample("steady_state[0]", Sample::within(observed));
        }
        made.revert(true).recovered(Some(1000));
        made.case_end(Verdict::Pass, &[]).end(Verdict::Pass);
        for stamped in &mut made.events {
            if let Event::Recovered { counted_us, at_first_look, .. } = &mut stamped.event {
                (*counted_us, *at_first_look) = (50_000, true);
            }
        }
        let page = page(&made);
        assert!(said(&page, what), "{what}: {page}");
    }
}

#[test]
fn where_nobody_looked_nothing_is_drawn() {
    let mut made = Made::run(1);
    made.case("c", "", 1).phase(Phase::Steps);
    for free in [1.0, 2.0, 3.0, 4.0] {
        made.sample("seen", Sample::within(format!("{free} free")).number(free, None));
    }
    let strokes = |made: &Made| {
        let mut out = Vec::new();
        html::write(&made.record(), &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        let line = Regex::new("<path class=\"number\" d=\"([^\"]*)\"").unwrap();
        let line = line.captures(&page).expect("numbers are drawn")[1].matches('M').count();
        (drawn(&page, "line", "run ok").len(), line)
    };
    assert_eq!(strokes(&made), (1, 1));
    // a minute later it is looked at again
    for (index, free) in [5.0, 6.0].into_iter().enumerate() {
        made.sample("seen", Sample::within(format!("{free} free")).number(free, None));
        made.events.last_mut().unwrap().at_us = 60_000_000 + index as u64 * 100_000;
    }
    assert_eq!(strokes(&made), (2, 2));
}

#[test]
fn an_empty_log_is_told_from_none() {
    let mut made = Made::run(1);
    made.case("c", "", 1).log("").case_end(Verdict::Pass, &[]).end(Verdict::Pass);
    let mut out = Vec::new();
    html::write(&made.record(), &mut out).unwrap();
    let page = String::from_utf8(out).unwrap();
    assert!(page.contains("log of agent: it printed nothing"), "{page}");
}
