//! Sessions driven by keys and events, and their pictures.

use std::path::Path;

use super::{
    Command, Input, Key,
    line::Line,
    offers, places,
    testing::{Driven, SECOND, SOURCE, checker},
};
use crate::{
    faults::FaultSpec,
    run::{Event, Origin, Redactor},
};

/// Injects `read-only` into the logs, which breaks the health check, and reverts it.
fn one_fault() -> Driven {
    under(Driven::up())
}

fn under(mut driven: Driven) -> Driven {
    driven.health(2 * SECOND, true, &[]);
    driven.choose(2, "read-only").keys(&[Key::Enter]);
    driven.injected(10 * SECOND, "read-only-1");
    driven.health(11 * SECOND, false, &["read-only-1"]);
    driven
}

fn injected(command: &Command) -> Option<&FaultSpec> {
    match command {
        Command::Inject(call) => Some(&call.fault),
        _ => None,
    }
}

fn injects(driven: &Driven) -> Vec<&FaultSpec> {
    driven.wanted.iter().filter_map(injected).collect()
}

#[test]
fn the_screen_before_anything_was_done() {
    let mut driven = Driven::up();
    driven.health(2 * SECOND, true, &[]);
    insta::assert_snapshot!("up-80x24", driven.screen(80, 24));
}

#[test]
fn the_screen_with_a_fault_in_force() {
    let mut driven = one_fault();
    driven.input(Input::Clock(28 * SECOND));
    insta::assert_snapshot!("in-force-80x24", driven.screen(80, 24));
    insta::assert_snapshot!("in-force-120x40", driven.screen(120, 40));
    driven.keys(&[Key::Char('?')]);
    insta::assert_snapshot!("help-80x24", driven.screen(80, 24));
}

#[test]
fn the_screen_in_the_readme_is_that_of_its_first_scenario() {
    let readme = include_str!("../../README.md");
    let source = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let driven = Driven::on(source, &Redactor::default());
    let mut driven = under(driven.in_full());
    driven.input(Input::Clock(28 * SECOND));
    let screen = driven.screen(80, 24);
    assert!(readme.contains(&screen), "{screen}");
}

#[test]
fn the_form_says_what_is_wrong_and_keeps_what_was_typed() {
    let mut driven = Driven::up();
    driven.choose(2, "read-only").keys(&[Key::Clear]);
    driven.type_in("inject: { read-only: { target: agnet:/logs } }").keys(&[Key::Enter]);
    assert_eq!(injects(&driven).len(), 0);
    insta::assert_snapshot!("form-80x24", driven.screen(80, 24));
    driven.keys(&[Key::Escape]);
    assert!(!driven.screen(80, 24).contains("agnet"));
}

#[test]
fn what_cannot_be_done_here_says_why_and_is_not_injected() {
    let mut driven = Driven::up();
    driven.choose(1, "stall");
    assert!(driven.screen(80, 24).contains("not here: no freezer here"));
    driven.keys(&[Key::Enter, Key::Enter]);
    assert_eq!(driven.wanted, []);
}

#[test]
fn beyond_its_volume_a_fault_takes_two_keys() {
    let line = "inject: { read-only: { target: agent:/data, break_open_files: true } }";
    for (keys, injected) in [
        (&[Key::Enter][..], 0),
        (&[Key::Enter, Key::Char('y')], 0),
        (&[Key::Char('y'), Key::Char('n'), Key::Enter], 0),
        (&[Key::Char('y'), Key::Enter], 1),
    ] {
        let mut driven = Driven::up();
        driven.choose(1, "read-only").keys(&[Key::Clear]).type_in(line).keys(&[Key::Enter]);
        let screen = driven.screen(80, 24);
        assert!(screen.contains("reaches beyond its volume: volume data"), "{screen}");
        driven.keys(keys);
        assert_eq!(injects(&driven).len(), injected, "{keys:?}");
    }
}

#[test]
fn a_fault_is_found_by_its_name() {
    let mut driven = Driven::up();
    driven.keys(&[Key::Down, Key::Down, Key::Char('/')]).type_in("read").keys(&[Key::Enter]);
    assert!(driven.screen(80, 24).contains("> inject: { read-only: { target: agent:/logs } }"));
}

#[test]
fn a_name_that_nothing_has_chooses_nothing_and_says_where_it_is() {
    let mut driven = Driven::up();
    driven.keys(&[Key::Char('/')]).type_in("read-only").keys(&[Key::Enter]);
    insta::assert_snapshot!("not-found-80x24", driven.screen(80, 24));
    assert_eq!((driven.state.chosen_offer(), &driven.wanted[..]), (None, &[][..]));
    driven.keys(&[Key::Clear]).type_in("disk-f");
    let screen = driven.screen(80, 24);
    let partly = "no fault of `agent` is called `disk-f`; `disk-full` is at `agent:/data`";
    assert!(screen.contains(partly), "{screen}");
    driven.keys(&[Key::Clear]).type_in("zzz").keys(&[Key::Enter]);
    let screen = driven.screen(80, 24);
    assert!(screen.contains("no fault is called `zzz`") && screen.contains("\n> zzz"), "{screen}");
    driven.keys(&[Key::Escape]);
    assert_eq!(driven.state.offer, Some(0), "as before");
    driven.keys(&[Key::Char('/')]).type_in("zzz").keys(&[Key::Clear]).type_in("pau");
    assert_eq!(driven.keys(&[Key::Enter]).state.chosen_offer().unwrap().name, "pause");
    assert!(driven.screen(80, 24).contains("> inject: { pause: { target: agent } }"));
}

#[test]
fn a_file_that_only_the_user_knows_is_asked_for() {
    let mut driven = Driven::up();
    driven.choose(2, "broken-hardlinks").keys(&[Key::Enter]);
    assert_eq!(driven.wanted, []);
    let screen = driven.screen(80, 24);
    assert!(screen.contains("which file? type it in place of `<file>`"), "{screen}");
    driven.type_in("head").keys(&[Key::Enter]).type_in("item").keys(&[Key::Enter]);
    let [Command::Inject(call)] = &driven.wanted[..] else { panic!("{:?}", driven.wanted) };
    let typed = "{ broken-hardlinks: { target: agent:/logs/head, mode: copy-and-replace, of: /logs/item } }";
    assert_eq!(call.typed, typed);
}

#[test]
fn what_was_saved_is_what_runs_it_again() {
    let mut driven = one_fault();
    let (case, again) = ("logs".to_owned(), "keelhaul run mine.yaml".to_owned());
    driven.event(12 * SECOND, Event::Saved { case, again });
    assert_eq!(driven.state.case().unwrap().start.again, "keelhaul run mine.yaml");
    assert!(driven.screen(80, 24).contains("saved: keelhaul run mine.yaml"));
}

#[test]
fn what_is_long_is_read_whole_on_the_smallest_screen() {
    let long = |times: usize, word: &str| format!("{} {word}", "lorem ipsum ".repeat(times));
    let mut driven = Driven::up();
    let (scenario, why) = (&driven.state.scenario, long(10, "because"));
    let never = |_: &FaultSpec| Some(why.clone());
    let offered = places(scenario).iter().map(|at| offers(at, scenario, &never)).collect();
    driven.input(Input::Opened(offered));
    driven.input(Input::Done(Err(long(18, "sorry"))));
    let screen = driven.screen(80, 24);
    assert!(screen.contains("because\n") && screen.contains("sorry\n"), "{screen}");
    assert!(screen.contains(" Log ") && screen.ends_with("q quit"), "{screen}");
}

#[test]
fn a_note_in_wide_characters_is_seen_whole() {
    let note: String = "日本語のメモ".chars().cycle().take(65).collect();
    let bare = |text: &str| text.replace([' ', '>', '\n'], "");
    let mut driven = one_fault();
    driven.keys(&[Key::Char('n')]).type_in(&note);
    let screen = driven.screen(80, 24);
    assert!(bare(&screen).ends_with(&note), "{screen}");
    driven.keys(&[Key::Enter]);
    driven.event(13 * SECOND, Event::Noted { case: Some("logs".into()), text: note.clone() });
    let screen = driven.screen(80, 24);
    assert!(bare(&screen).contains(&note), "{screen}");
}

#[test]
fn a_note_is_seen_whole_while_it_is_typed_afterwards_and_in_what_is_saved() {
    let words = |from: u32, to: u32| (from..to).map(|n| format!("word{n}")).collect::<Vec<_>>();
    let (note, pieces) = (words(10, 34).join(" "), words(10, 34));
    let mut driven = one_fault();
    driven.wanted.clear();
    driven.keys(&[Key::Char('n')]).type_in(&note);
    // a word may be cut where the row ends
    let screen = driven.screen(80, 24);
    let shown: String = screen.lines().skip(21).collect();
    let bare = |text: &str| text.replace([' ', '>'], "");
    assert_eq!(bare(&shown), bare(&note));
    driven.keys(&[Key::Enter]);
    assert_eq!(driven.wanted, [Command::Note(note.clone())]);
    let noted = Event::Noted { case: Some("logs".into()), text: note.clone() };
    driven.event(13 * SECOND, noted);
    let screen = driven.screen(80, 24);
    assert!(pieces.iter().all(|word| screen.contains(word)), "{screen}");
    driven.wanted.clear();
    driven.keys(&[Key::Char('w'), Key::Enter]);
    let Some(Command::Save { text, .. }) = driven.wanted.pop() else { panic!() };
    assert!(text.contains(&note), "{text}");
    // longer than its rows: the cursor is seen, and that there is more before it
    let mut driven = Driven::up();
    driven.keys(&[Key::Char('n')]).type_in(&words(100, 200).join(" "));
    let screen = driven.screen(80, 24);
    assert!(screen.ends_with("word199") && screen.contains("\n… "), "{screen}");
    driven.keys(&[Key::Home]);
    let screen = driven.screen(80, 24);
    assert!(screen.contains("> word100"), "{screen}");
}

#[test]
fn a_fault_is_reverted_by_key_and_time_is_shown_until_then() {
    let mut driven = one_fault();
    driven.input(Input::Clock(30 * SECOND));
    let screen = driven.screen(80, 24);
    for part in ["IN FORCE: 1", "IN FORCE 00:40 left", "NOT agent", "creating a file: EROFS"] {
        assert!(screen.contains(part), "{part}:\n{screen}");
    }
    driven.keys(&[Key::Char('r')]);
    assert_eq!(driven.wanted, [Command::Revert("read-only-1".into())]);
    driven.reverted(31 * SECOND, "read-only-1", Origin::Step);
    let screen = driven.screen(80, 24);
    assert!(screen.contains("IN FORCE: 0") && screen.contains("reverted"), "{screen}");
    driven.wanted.clear();
    driven.keys(&[Key::Char('r')]);
    assert_eq!(driven.wanted, []);
}

#[test]
fn stop_is_one_key_or_two_spaces() {
    for keys in [&[Key::Char('S')][..], &[Key::Char(' '), Key::Char(' ')]] {
        let mut driven = one_fault();
        driven.keys(keys);
        assert_eq!(driven.wanted, [Command::Stop]);
    }
    let mut driven = one_fault();
    driven.keys(&[Key::Char(' '), Key::Down, Key::Char(' ')]);
    assert_eq!(driven.wanted, []);
}

#[test]
fn one_key_stops_wherever_one_is_and_keeps_what_is_typed() {
    let lines: [&[Key]; 3] = [&[Key::Char('n')], &[Key::Char('/')], &[Key::Char('w')]];
    for open in lines {
        let mut driven = one_fault();
        driven.wanted.clear();
        driven.keys(open).type_in("S  ").keys(&[Key::Stop]);
        assert_eq!(driven.wanted, [Command::Stop], "{open:?}");
        let screen = driven.screen(80, 24);
        assert!(screen.contains("STOP: reverting everything"), "{screen}");
        let typed = driven.state.mode.typed().map(Line::text);
        assert!(typed.is_some_and(|text| text.contains("S  ")), "{open:?}");
    }
    let beyond = "inject: { read-only: { target: agent:/data, break_open_files: true } }";
    let mut driven = one_fault();
    driven.choose(1, "read-only").keys(&[Key::Clear]).type_in(beyond);
    driven.keys(&[Key::Enter, Key::Char('y')]).wanted.clear();
    driven.keys(&[Key::Stop, Key::Enter]);
    assert_eq!(driven.wanted, [Command::Stop], "what was to be confirmed is not injected");
    for open in [Key::Char('?'), Key::Char('q')] {
        let mut driven = one_fault();
        driven.wanted.clear();
        driven.keys(&[open, Key::Stop]);
        assert_eq!(driven.wanted, [Command::Stop], "{open:?}");
    }
    let mut driven = one_fault();
    driven.wanted.clear();
    driven.input(Input::Size(60, 10));
    driven.keys(&[Key::Stop]);
    assert_eq!(driven.wanted, [Command::Stop]);
}

#[test]
fn stop_closes_the_line_of_a_fault_and_keeps_its_text() {
    let typed = |driven: &Driven| driven.state.mode.typed().map(Line::text);
    let mut driven = Driven::up();
    driven.choose(2, "read-only").keys(&[Key::End]).type_in(" ");
    driven.keys(&[Key::Stop]);
    assert_eq!(typed(&driven), None, "no key is typed into it");
    driven.keys(&[Key::Enter]);
    assert_eq!(driven.wanted, [Command::Stop], "a reflex injects nothing");
    let kept = "inject: { read-only: { target: agent:/logs } }, for: 1m ";
    assert_eq!(typed(&driven).as_deref(), Some(kept));
    driven.keys(&[Key::Escape, Key::Char('i')]);
    assert_eq!(typed(&driven).as_deref(), Some(kept.trim_end()), "only once");
}

#[test]
fn nothing_is_injected_from_stop_until_it_is_done() {
    let mut driven = one_fault();
    driven.keys(&[Key::Char('S'), Key::Char('S')]);
    assert_eq!(driven.wanted, [Command::Stop], "once is enough");
    driven.choose(2, "read-only").keys(&[Key::Enter]);
    assert!(driven.screen(80, 24).contains("not injected: STOP is not done yet"));
    assert_eq!(driven.wanted.len(), 1);
    driven.input(Input::Stopped(Ok("everything was reverted".into())));
    assert!(driven.screen(80, 24).contains("everything was reverted"));
    driven.choose(2, "read-only").keys(&[Key::Enter]);
    assert_eq!(injects(&driven).len(), 1);
}

#[test]
fn what_was_not_seen_to_be_gone_counts_as_in_force() {
    let mut driven = one_fault();
    let (case, fault) = ("logs".to_owned(), "read-only-1".to_owned());
    let (by, evidence) = (Origin::Expiry, "EBUSY".to_owned());
    driven.event(71 * SECOND, Event::Reverted { case, fault, proven: false, evidence, by });
    driven.input(Input::InForce(vec![("read-only-1".into(), Some(70 * SECOND))]));
    let screen = driven.screen(80, 24);
    assert!(screen.contains("IN FORCE: 1") && screen.contains("NOT GONE"), "{screen}");
    assert!(!screen.contains("reverts itself"), "{screen}");
    driven.keys(&[Key::Char('r')]);
    assert_eq!(driven.wanted, [Command::Revert("read-only-1".into())], "it can be tried again");
}

#[test]
fn what_is_answered_and_offered_shows_no_secret() {
    let mut driven = Driven::hiding(&Redactor::hiding(&["hunter22"]));
    let secret = |_: &FaultSpec| Some("hunter22 is in the way".to_owned());
    let scenario = &driven.state.scenario;
    let offered = places(scenario).iter().map(|at| offers(at, scenario, &secret)).collect();
    driven.input(Input::Opened(offered));
    let told = [
        Input::Called(Err("hunter22 is refused".into())),
        Input::Done(Err("hunter22 is refused".into())),
        Input::Stopped(Err("hunter22 is refused".into())),
        Input::Ended("hunter22 is refused".into()),
    ];
    for input in told {
        driven.input(input);
        let screen = driven.screen(80, 24);
        assert!(screen.contains("[redacted] is refused"), "{screen}");
        assert!(screen.contains("not here: [redacted]"), "{screen}");
        assert!(!screen.contains("hunter22"), "{screen}");
    }
}

#[test]
fn leaving_asks_while_something_is_in_force() {
    let mut driven = one_fault();
    driven.keys(&[Key::Char('q')]);
    assert!(driven.screen(80, 24).contains("1 in force: leaving reverts everything"));
    driven.keys(&[Key::Char('n')]);
    assert_eq!(driven.wanted, []);
    driven.keys(&[Key::Char('q'), Key::Char('y')]);
    assert_eq!(driven.wanted, [Command::End]);
    driven.keys(&[Key::Char('S')]);
    assert_eq!(driven.wanted.len(), 1, "it is being left");
    let mut calm = Driven::up();
    calm.keys(&[Key::Char('q')]);
    assert_eq!(calm.wanted, [Command::End]);
}

#[test]
fn a_small_terminal_says_so_and_loses_nothing() {
    let mut driven = one_fault();
    driven.input(Input::Size(60, 10));
    driven.keys(&[Key::Char('q'), Key::Char('r'), Key::Char('i')]);
    assert_eq!(driven.wanted, []);
    insta::assert_snapshot!("small-60x10", driven.screen(60, 10));
    driven.input(Input::Size(80, 24));
    assert!(driven.drawn(60, 10).contains("60x10 is too small"), "nobody has said so yet");
    driven.input(Input::Size(60, 10));
    driven.keys(&[Key::Char('S')]);
    assert_eq!(driven.wanted, [Command::Stop]);
    assert!(driven.screen(80, 24).contains("read-only-1"));
}

#[test]
fn no_colours_lose_no_meaning() {
    let mut driven = one_fault();
    let coloured = driven.screen(80, 24);
    driven.state.colour = false;
    assert_eq!(driven.screen(80, 24), coloured);
}

#[test]
fn a_session_is_saved_as_a_scenario_that_passes_check() {
    let mut driven = one_fault();
    driven.keys(&[Key::Char('n')]).type_in("users see 503").keys(&[Key::Enter]);
    driven.reverted(15 * SECOND, "read-only-1", Origin::Step);
    driven.health(17 * SECOND, false, &[]);
    driven.health(18 * SECOND + 500_000, true, &[]);
    driven.choose(0, "kill").keys(&[Key::Enter]);
    driven.injected(40 * SECOND, "kill-2");
    driven.health(41 * SECOND, true, &[]);
    driven.wanted.clear();
    driven.keys(&[Key::Char('w'), Key::Enter]);
    let Some(Command::Save { path, text }) = driven.wanted.pop() else { panic!() };
    assert_eq!(path, "scenarios/logs-gameday.yaml");
    insta::assert_snapshot!("saved", text);
    assert_eq!(checker()(Path::new("a.yaml"), &text).unwrap().name, "logs-gameday");
}

#[test]
fn what_is_still_in_force_is_reverted_in_what_is_saved_last_first() {
    let mut driven = one_fault();
    driven.choose(0, "pause").keys(&[Key::Enter]);
    driven.injected(12 * SECOND, "pause-2");
    driven.input(Input::Clock(20 * SECOND));
    driven.keys(&[Key::Char('w'), Key::Enter]);
    let Some(Command::Save { text, .. }) = driven.wanted.pop() else { panic!() };
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    assert!(at("revert: pause-2") < at("revert: read-only-1"), "{text}");
    // one line says that it broke, and none that it held
    assert!(at("did not hold: ") < at("the steady state is not known from then on"), "{text}");
    assert!(!text.contains("held whenever it was read"), "{text}");
}

#[test]
fn there_is_nothing_to_save_before_a_fault_was_in_force() {
    let mut driven = Driven::up();
    driven.keys(&[Key::Char('w')]);
    assert_eq!(driven.wanted, []);
    assert!(driven.screen(80, 24).contains("nothing to save"));
}

#[test]
fn a_refused_call_leaves_the_next_one_its_name() {
    let mut driven = Driven::up();
    driven.choose(2, "read-only").keys(&[Key::Enter]);
    driven.wanted.clear();
    driven.input(Input::Called(Err("nothing is mounted there".into())));
    assert!(driven.screen(80, 24).contains("nothing is mounted there"));
    driven.choose(1, "read-only").keys(&[Key::Enter]);
    driven.injected(5 * SECOND, "read-only-2");
    assert!(driven.state.calls["read-only-2"].typed.contains("agent:/data"));
}

#[test]
fn without_a_steady_state_faults_are_injected_and_saved_all_the_same() {
    let source = "keelhaul: 1\nname: bare\nvolumes: { data: { docker: {} } }\nservices:\n  agent: { image: keelhaul/specimen, mounts: { /data: data } }\nsteps: [{ wait: 1s }]\n";
    let mut driven = Driven::on(source, &Redactor::default());
    driven.choose(1, "read-only").keys(&[Key::Enter]);
    assert_eq!(injects(&driven).len(), 1, "{}", driven.screen(80, 24));
    driven.injected(10 * SECOND, "read-only-1");
    driven.reverted(15 * SECOND, "read-only-1", Origin::Step);
    driven.choose(0, "kill").keys(&[Key::Enter]);
    driven.injected(18 * SECOND, "kill-2");
    let text = driven.saved();
    assert!(!text.contains("recover"), "{text}");
    assert!(text.contains("revert: read-only-1\n  - wait: 3s\n  - inject: { kill"), "{text}");
}

#[test]
fn what_runs_out_beneath_a_later_fault_keeps_nobody_from_the_next() {
    let mut driven = Driven::up();
    driven.choose(1, "read-only").keys(&[Key::Enter]);
    driven.injected(10 * SECOND, "read-only-1");
    driven.choose(1, "ownership").keys(&[Key::Enter]);
    driven.injected(40 * SECOND, "ownership-2");
    driven.reverted(70 * SECOND, "read-only-1", Origin::Expiry);
    driven.choose(0, "kill").keys(&[Key::Enter]);
    assert_eq!(injects(&driven).len(), 1, "{}", driven.screen(80, 24));
    driven.injected(80 * SECOND, "kill-3");
    driven.reverted(90 * SECOND, "ownership-2", Origin::Step);
    let text = driven.saved();
    assert!(text.contains("as: read-only-1\n    for: 1m\n"), "{text}");
    assert!(!text.contains("revert: read-only-1"), "{text}");
    assert!(text.contains("revert: ownership-2"), "{text}");
}

#[test]
fn what_is_saved_has_no_less_time_than_the_original() {
    let source = SOURCE.replace("rto: 5s", "rto: 8m").replace("volumes:", "timeout: 10m\nvolumes:");
    let mut driven = under(Driven::on(&source, &Redactor::default()));
    let text = driven.saved();
    assert!(text.contains("\ntimeout: 10m\n"), "{text}");
}

#[test]
fn events_in_quick_succession_are_saved_as_such() {
    let mut driven = Driven::up();
    driven.choose(0, "kill").keys(&[Key::Enter]);
    driven.injected(10 * SECOND, "kill-1");
    driven.health(11 * SECOND, false, &[]);
    driven.choose(0, "kill").keys(&[Key::Enter]);
    driven.injected(12 * SECOND, "kill-2");
    driven.health(14 * SECOND, true, &[]);
    let text = driven.saved();
    assert!(text.contains("as: kill-1\n  - wait: 2s\n  - inject: { kill"), "{text}");
    assert_eq!(text.matches("- recover").count(), 1, "{text}");
}

#[test]
fn ctrl_c_interrupts_whatever_is_on_the_screen() {
    let mut driven = one_fault();
    driven.keys(&[Key::Char('n'), Key::Interrupt]);
    assert_eq!(driven.wanted, [Command::Interrupt]);
}
