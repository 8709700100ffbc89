//! The same faults on containers that somebody else has started: other ways of undo, and nobody throws
//! away in the end what was left.

use super::{
    fixtures::Fixture,
    host::drawn,
    kill_points::{all, build, die_at, every_point, some_point},
    soak,
    theirs::{Theirs, allowed},
    vacuity::{each, passes, proves_nothing},
};

/// One fault for each way of undo: a mount, a fill, a file, a process, an interposer.
const CLASSES: [&str; 5] = ["read-only", "disk-full-tmpfs", "mode", "stop", "io-error-inserted"];
/// Who dies, and where.
const DEATHS: [(&str, &str); 8] = [
    ("cli", "journal"),
    ("cli", "act"),
    ("cli", "rollback"),
    ("keeper", "journal"),
    ("keeper", "act"),
    ("keeper", "rollback"),
    ("worker", "act"),
    ("worker", "rollback"),
];

/// A run on such a container that dies there; it is as it was, whatever died.
fn theirs(fixture: &Fixture, role: &str, point: &str) -> bool {
    let theirs = Theirs::start(fixture);
    let died = die_at(theirs.test("300ms"), fixture, role, point);
    theirs.assert_as_before(&format!("{} {point}", fixture.name()));
    died
}

#[test]
fn every_fault_that_is_allowed_there_has_a_fixture_that_is() {
    let allowed = allowed();
    for row in keelhaul::faults::TABLE {
        let found = allowed.iter().any(|fixture| fixture.fault == row.name);
        let wanted = row.on_others.changes().is_some();
        assert!(
            found || !wanted,
            "no fixture of `{}` is for containers that run already",
            row.name
        );
    }
    for class in CLASSES {
        assert!(allowed.iter().any(|fixture| fixture.name() == class), "{class} is not allowed");
    }
}

#[test]
fn what_is_done_to_them_is_proven_and_given_back() {
    each(&allowed(), |fixture| {
        let theirs = Theirs::start(fixture);
        // somebody must come to what is inserted
        let wait = if fixture.way == "inserted" { "2s" } else { "" };
        passes(theirs.test(wait), fixture);
        theirs.assert_as_before(&fixture.name());
    });
}

/// All of them in soak mode; without it, those of the classes.
#[test]
fn an_op_that_does_nothing_to_them_is_never_believed() {
    let is_chosen = |fixture: &&Fixture| soak() || CLASSES.contains(&fixture.name().as_str());
    let chosen: Vec<&Fixture> = allowed().into_iter().filter(is_chosen).collect();
    each(&chosen, |fixture| {
        let theirs = Theirs::start(fixture);
        proves_nothing(theirs.test(""), fixture);
        theirs.assert_as_before(&fixture.name());
    });
}

/// Everybody dies everywhere in soak mode; without it, of each class somebody somewhere, as the build
/// decides.
#[test]
fn they_run_as_before_whoever_dies() {
    if soak() {
        let (allowed, asked) = (allowed(), all());
        let is_asked = |fixture: &&Fixture| asked.iter().any(|one| one.name() == fixture.name());
        let chosen: Vec<&Fixture> = allowed.into_iter().filter(is_asked).collect();
        return each(&chosen, |fixture| {
            DEATHS.iter().for_each(|(role, site)| every_point(theirs, fixture, role, site));
        });
    }
    each(&CLASSES.map(Fixture::called), |fixture| {
        // engine ops have no act in the helper, and none in its roll-back
        let deaths = if fixture.fault == "stop" { &DEATHS[..1] } else { &DEATHS[..] };
        let death = drawn(&[&build(), fixture.fault, "theirs"], deaths.len() as u64);
        let (role, site) = deaths[usize::try_from(death).unwrap()];
        some_point(theirs, fixture, role, site);
    });
}
