//! What the kill points wait to be gone is there before: a trace that nothing shows would let every
//! one of them pass.

use super::harness::Test;
use super::{
    fixtures::{FIXTURES, Fixture},
    host::{Trace, assert_clean, init_of},
    soak,
    vacuity::{each, skipped},
};

/// All that last with `KEELHAUL_SOAK=1`, and without it those that are looked for beneath a
/// filesystem, which no other test shows.
#[test]
fn what_shows_a_fault_is_there_until_it_is_reverted() {
    let is_chosen = |fixture: &&Fixture| match fixture.trace {
        Trace::Nothing => false,
        Trace::Disk(..) => true,
        _ => soak() && fixture.lasts,
    };
    let chosen: Vec<&Fixture> = FIXTURES.iter().filter(is_chosen).collect();
    each(&chosen, |fixture| {
        let name = fixture.name();
        let mut run = Test::of(&fixture.scenario("4s")).start();
        let Some(started) = run.look_for("subject-started") else {
            let ended = run.end();
            assert!(skipped(&ended, fixture), "{name}: {}", ended.told());
            return;
        };
        let init = init_of(&run.env(), started["container"].as_str().unwrap());
        assert!(!fixture.trace.in_force(init), "{name}: before anything is done");
        run.until("injected");
        assert!(fixture.trace.in_force(init), "{name}: not seen");
        run.until("reverted");
        fixture.trace.await_gone(init, &name);
        let ended = run.end();
        assert_eq!(ended.code, 0, "{name}: {}", ended.told());
        assert_clean(&ended.id(), &ended.env, &name);
    });
}
