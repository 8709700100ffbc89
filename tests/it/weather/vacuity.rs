//! Vacuity: ops that do nothing and say that they did must never pass, for every fault of the table.

use std::{
    borrow::Borrow,
    panic::RefUnwindSafe,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::harness::{Ended, Test};
use super::{
    fixtures::{FIXTURES, Fixture},
    host::assert_clean,
    say,
};

#[test]
fn an_op_that_does_nothing_is_never_believed() {
    each(FIXTURES, |fixture| {
        proves_nothing(Test::of(&fixture.scenario("")), fixture);
    });
}

/// Where ops do nothing, a run comes to nothing.
pub(super) fn proves_nothing(test: Test, fixture: &Fixture) {
    let ended = test.env("KEELHAUL_VACUOUS_OP", "1").finish();
    if skipped(&ended, fixture) {
        return;
    }
    let told = ended.told();
    assert_eq!(ended.code, 5, "{}: {told}", fixture.name());
    assert_eq!(ended.verdict(), "inconclusive", "{}: {told}", fixture.name());
    assert_eq!(ended.asserted("fault.effect"), "inconclusive", "{}: {told}", fixture.name());
    assert_clean(&ended.id(), &ended.env, &fixture.name());
}

#[test]
fn the_same_scenarios_pass_when_ops_are_done() {
    each(FIXTURES, |fixture| {
        // what strikes requests needs one that comes meanwhile
        passes(Test::of(&fixture.scenario("300ms")), fixture);
    });
}

/// Where they are done, it passes.
pub(super) fn passes(test: Test, fixture: &Fixture) {
    let ended = test.finish();
    if skipped(&ended, fixture) {
        return;
    }
    let told = ended.told();
    assert_eq!((ended.code, ended.verdict()), (0, "pass".into()), "{}: {told}", fixture.name());
    assert_eq!(ended.asserted("fault.effect"), "pass", "{}: {told}", fixture.name());
    assert_clean(&ended.id(), &ended.env, &fixture.name());
}

/// As many at a time: a run mostly waits.
const SIDE_BY_SIDE: usize = 3;

/// All of them, whatever becomes of one.
pub(super) fn each<F: Borrow<Fixture> + Sync>(
    fixtures: &[F],
    test: impl Fn(&Fixture) + Sync + RefUnwindSafe,
) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(fixture) = fixtures.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let fixture = fixture.borrow();
                    if std::panic::catch_unwind(|| test(fixture)).is_err() {
                        failed.lock().unwrap().push(fixture.name());
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner().unwrap(), Vec::<String>::new(), "these failed");
}

pub(super) fn skipped(ended: &Ended, fixture: &Fixture) -> bool {
    let skipped = ended.verdict() == "skipped";
    if skipped {
        let reasons = ended.all("case-ended")[0]["reasons"].to_string();
        say(&format!("{}: skipped on this host: {reasons}", fixture.name()));
    }
    skipped
}
