//! What becomes of a game day: what is saved leaves out and says so, and what its page tells.

use super::{
    Key,
    testing::{Driven, SECOND},
};
use crate::{
    report::html,
    run::{Event, Origin},
    scenario::Hypothesis,
    verdict::Verdict,
};

#[test]
fn a_note_is_among_what_happened_in_time_order() {
    let mut driven = Driven::up();
    driven.choose(2, "read-only").keys(&[Key::Enter]);
    driven.injected(5 * SECOND, "read-only-1");
    let text = "alice: pager went off".to_owned();
    driven.event(6 * SECOND, Event::Noted { case: Some("logs".into()), text });
    driven.reverted(7 * SECOND, "read-only-1", Origin::Step);
    let mut page = Vec::new();
    html::write(&driven.state.record, &mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    let told = page.split("<h3>What happened</h3>").nth(1).unwrap().split("<h3>").next().unwrap();
    let at = |part: &str| told.find(part).unwrap_or_else(|| panic!("{part}: {told}"));
    assert!(at("read-only-1 is injected") < at("alice: pager went off"), "{told}");
    assert!(at("alice: pager went off") < at("read-only-1 is reverted"), "{told}");
}

/// A game day whose steady state was there at the first look, after so many microseconds.
fn steady_after(micros: u64) -> Driven {
    let mut driven = Driven::up();
    driven.choose(2, "read-only").keys(&[Key::Enter]);
    driven.injected(5 * SECOND, "read-only-1");
    driven.reverted(6 * SECOND, "read-only-1", Origin::Step);
    let recovered = Event::Recovered {
        case: "logs".into(),
        assertion: "recover".into(),
        counted_us: 0,
        recovery_us: Some(micros),
        objective_us: None,
        at_first_look: true,
    };
    driven.event(6 * SECOND + micros + 100, recovered);
    driven
}

#[test]
fn what_nobody_saw_to_be_out_has_not_recovered() {
    let mut driven = steady_after(400);
    let screen = driven.screen(80, 24);
    assert!(screen.contains("steady at the first look"), "{screen}");
    assert!(!screen.contains("recovered in"), "{screen}");
    let saved = driven.saved();
    assert!(!saved.contains("came back in") && saved.contains("{ within: 5s }"), "{saved}");
}

/// A health check that looks seldom does so the next time too.
#[test]
fn a_first_look_that_came_late_is_allowed_to_come_so_again() {
    let saved = steady_after(27 * SECOND).saved();
    assert!(saved.contains("{ within: 54s }"), "{saved}");
    assert!(saved.contains("there at the first look, after 27s"), "{saved}");
}

#[test]
fn what_proved_nothing_is_left_out_and_said() {
    let mut driven = Driven::up();
    driven.choose(1, "ownership").keys(&[Key::Enter]);
    driven.injected(5 * SECOND, "ownership-1");
    let (case, fault) = ("logs".to_owned(), "ownership-1".to_owned());
    driven.reverted(6 * SECOND, "ownership-1", Origin::Step);
    driven.event(
        7 * SECOND,
        Event::Struck { case, fault, hit: 0, overflowed: false, struck: Vec::new(), all: None },
    );
    driven.choose(2, "mode").keys(&[Key::Enter]);
    driven.injected_as(10 * SECOND, "mode-2", false);
    driven.reverted(12 * SECOND, "mode-2", Origin::Step);
    driven.choose(2, "read-only").keys(&[Key::Enter]);
    driven.injected(20 * SECOND, "read-only-3");
    driven.reverted(22 * SECOND, "read-only-3", Origin::Step);
    let text = driven.saved();
    assert!(text.contains("ownership-1 is left out: it struck nothing"), "{text}");
    assert!(text.contains("mode-2 is left out: its effect was not seen"), "{text}");
    assert!(!text.contains("inject: { mode") && !text.contains("inject: { ownership"), "{text}");
    assert!(text.contains("inject: { read-only"), "{text}");
}

/// Whoever watches must know what a fault does not reach, which keeps the game day inconclusive, and
/// that nothing met one.
#[test]
fn what_a_fault_does_not_do_is_on_the_screen() {
    let mut driven = Driven::up();
    driven.choose(2, "read-only").keys(&[Key::Enter]);
    driven.injected(5 * SECOND, "read-only-1");
    let (case, fault) = ("logs".to_owned(), "read-only-1".to_owned());
    let notes = vec!["7 working directories from before escape it".to_owned()];
    let evidence = "EIO".to_owned();
    let told = (case.clone(), fault.clone());
    driven.event(
        6 * SECOND,
        Event::Injected { case, fault, proven: true, evidence, notes, took_us: 1 },
    );
    let screen = driven.screen(120, 40);
    assert_eq!(screen.matches("7 working directories from before").count(), 2, "{screen}");
    driven.reverted(7 * SECOND, "read-only-1", Origin::Step);
    let (case, fault) = told;
    let struck =
        Event::Struck { case, fault, hit: 0, overflowed: false, all: None, struck: Vec::new() };
    driven.event(8 * SECOND, struck);
    let screen = driven.screen(120, 40);
    assert!(screen.contains("reverted, struck nothing"), "{screen}");
    let asserted = Event::Asserted {
        case: "logs".into(),
        assertion: "mode-2.effect".into(),
        hypothesis: Hypothesis::Fault,
        title: "the fault is in force".into(),
        verdict: Some(Verdict::Inconclusive),
        message: "its effect was not seen".into(),
        took_us: 1,
    };
    driven.event(9 * SECOND, asserted);
    let screen = driven.screen(120, 40);
    assert!(screen.contains("so far: inconclusive: mode-2.effect"), "{screen}");
}
