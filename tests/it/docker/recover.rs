//! `recover` of what is not there: a run that never was is a slip, one of which nothing is left is not.

use std::fs;

use crate::harness::Test;

#[test]
fn a_run_that_never_was_is_a_slip() {
    let test = Test::new();
    // of which nothing is left
    fs::create_dir_all(test.path("out/kabcdef")).unwrap();
    fs::write(test.path("out/kabcdef/events.jsonl"), "").unwrap();
    for (run, code, says) in [
        ("NONSENSE", 2, "error: no run is called `NONSENSE`"),
        ("kabcdeg", 2, "hint: did you mean `kabcdef`?"),
        ("kabcdef", 0, "nothing to recover: nothing is left of `kabcdef`"),
        ("kabcdef-1", 0, "nothing to recover: nothing is left of `kabcdef`"),
        // it may have been recovered, and its reports be elsewhere
        ("kzzzzzz", 0, "cannot be told here"),
    ] {
        let ran = test.keelhaul(&["recover", run, "--out", "out"]);
        assert!(ran.code == Some(code) && ran.stderr.contains(says), "{run}: {ran:?}");
        assert_eq!(ran.stdout, "");
    }
}
