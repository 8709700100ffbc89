//! Recovery times over repeats: in every report, met and missed.

use keelhaul::{
    report::{
        json, junit, markdown,
        terminal::{Look, summary},
    },
    run::RunRecord,
    scenario::Hypothesis,
    verdict::Verdict,
};

use super::{made::Made, schema::problems};

/// Two repeats, of which the last judges both.
fn repeated(p95: Verdict) -> RunRecord {
    let mut made = Made::run(2);
    made.good("takeover#1", 1);
    made.case("takeover#2", "", 1).steady(Verdict::Pass).recovered(Some(1_100_000));
    for (id, verdict, message) in [
        ("objectives.rto_p50", Verdict::Pass, "1100 ms over 2 repeats"),
        ("objectives.rto_p95", p95, "1200 ms over 2 repeats"),
    ] {
        made.assert(id, Hypothesis::Objective, Some(verdict), message);
    }
    made.case_end(p95, &[]).end(p95);
    made.record()
}

fn rendered(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_report_has_the_percentiles_met_or_missed() {
    for verdict in [Verdict::Pass, Verdict::Fail] {
        let record = repeated(verdict);
        let xml = rendered(|out| junit::write(&record, out));
        assert_eq!(problems(xml.as_bytes()), Vec::<String>::new());
        let json = rendered(|out| json::write(&record, out));
        let page = rendered(|out| markdown::write(&record, out));
        let screen = rendered(|out| summary(&record, Look::default(), out));
        for report in [&xml, &json, &page, &screen] {
            for figure in ["1100 ms over 2 repeats", "1200 ms over 2 repeats"] {
                assert!(report.contains(figure), "{report}");
            }
        }
        let missed = "<failure message=\"1200 ms over 2 repeats\"";
        assert_eq!(xml.contains(missed), verdict == Verdict::Fail, "{xml}");
    }
}
