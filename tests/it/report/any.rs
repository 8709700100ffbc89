//! Every format, for any record: event files cut anywhere, hostile text, many cases.

use std::time::{Duration, Instant};

use keelhaul::{
    report::{Format, render},
    run::RunRecord,
    verdict::Verdict,
};
use proptest::prelude::*;

use super::{made::Made, schema};

fn render_each(record: &RunRecord) {
    for format in Format::ALL {
        let mut out = Vec::new();
        render(format, record, &mut out).unwrap();
        assert!(!out.is_empty(), "{format:?}");
        if format == Format::Junit {
            let found = schema::problems(&out);
            assert!(found.is_empty(), "{found:?}");
        }
    }
}

#[test]
fn an_event_file_cut_at_any_byte_is_an_error_and_renders() {
    let mut made = Made::run(2);
    made.good("a", 1).bad("b", "", 1).case_end(Verdict::Fail, &["no"]).end(Verdict::Fail);
    let bytes = made.bytes();
    let whole = RunRecord::read(bytes.as_slice());
    assert_eq!(whole.verdict(), Verdict::Fail);
    // the last byte is the newline after the last event
    assert_eq!(RunRecord::read(&bytes[..bytes.len() - 1]), whole);
    let mut last = usize::MAX;
    for cut in 0..bytes.len() - 1 {
        let record = RunRecord::read(&bytes[..cut]);
        assert_eq!(record.verdict(), Verdict::Error, "cut at {cut}");
        // within a line only the note differs: render once with it and once without
        let lines = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
        if lines != last || bytes[cut] == b'\n' {
            render_each(&record);
        }
        last = lines;
    }
}

#[test]
fn an_event_file_of_another_format_is_an_error() {
    let text = String::from_utf8(Made::everything().bytes()).unwrap();
    let record = RunRecord::read(text.replacen("\"format\":1", "\"format\":99", 1).as_bytes());
    assert_eq!(record.verdict(), Verdict::Error);
    assert!(record.notes[0].contains("format 99"), "{:?}", record.notes);
    render_each(&record);
}

#[test]
fn many_cases_are_quick() {
    let mut made = Made::run(500);
    for index in 0..250 {
        made.good(&format!("good-{index}"), 1);
        made.bad(&format!("bad-{index}"), "", 1).log(&"line\n".repeat(2000));
        made.case_end(Verdict::Fail, &["no"]);
    }
    let record = made.end(Verdict::Fail).record();
    let start = Instant::now();
    render_each(&record);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_and_any_bytes(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let lossy = String::from_utf8_lossy(&bytes);
        let mut made = Made::run(1);
        made.bad(&text, "", 1).log(&lossy).case_end(Verdict::Fail, &[&text, &lossy]);
        made.bad(&text, &lossy, 1).case_end(Verdict::Inconclusive, &[&lossy]).end(Verdict::Fail);
        render_each(&made.record());
        // and as an event file
        render_each(&RunRecord::read(bytes.as_slice()));
    }
}
