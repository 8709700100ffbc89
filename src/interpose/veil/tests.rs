//! What is seen, against a model that keeps every state that ever was.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;

const LATE: Duration = Duration::from_secs(2);
const WRITER: Who = Some(1);
const READER: Who = Some(2);
const OTHER: Who = Some(3);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn look(who: Who, now: u64) -> Look {
    Look { who, late: LATE, now: at(now) }
}

fn file() -> Name {
    name(1, OsStr::new("file"))
}

fn length(size: u64) -> Length {
    Length { size, modified: UNIX_EPOCH + at(size), changed: UNIX_EPOCH }
}

#[test]
fn a_new_name_is_seen_by_its_maker_at_once_and_by_others_later() {
    let mut veil = Veil::<char>::default();
    let _ = veil.change_name(&file(), (WRITER, at(10)), (None, true));
    assert_eq!(veil.name(&file(), look(WRITER, 10)), Seen::Now);
    assert_eq!(veil.name(&file(), look(READER, 11)), Seen::Nothing);
    assert_eq!(veil.name(&file(), look(None, 11)), Seen::Nothing, "who is not known made nothing");
    assert_eq!(veil.name(&file(), look(READER, 12)), Seen::Now);
    assert_eq!(veil.name_changed(&file(), READER, at(11)), Some(at(1)));
    assert_eq!(veil.name_changed(&file(), WRITER, at(11)), None);
    assert_eq!(veil.names_in(1), [("file".into(), true)]);
    assert!(veil.names_in(2).is_empty());
}

#[test]
fn what_came_to_nothing_pushes_nothing_out() {
    let mut veil = Veil::<char>::default();
    let _ = veil.change_name(&file(), (WRITER, at(10)), (None, true));
    for _ in 0..=MOST {
        let ticket = veil.change_file((1, 1), (WRITER, at(10)), length(1));
        assert!(veil.take_back(&ticket).is_none());
    }
    assert!(veil.forget(at(11), LATE).is_empty());
    assert_eq!((veil.name(&file(), look(READER, 11)), veil.forgotten()), (Seen::Nothing, 0));
}

#[test]
fn a_name_leads_to_what_it_led_to_one_change_after_the_other() {
    let mut veil = Veil::default();
    let _ = veil.change_name(&file(), (WRITER, at(10)), (Some('a'), true));
    let _ = veil.change_name(&file(), (OTHER, at(11)), (Some('b'), false));
    assert_eq!(veil.name(&file(), look(READER, 11)), Seen::Before('a'));
    assert_eq!(veil.name(&file(), look(READER, 12)), Seen::Before('b'));
    assert_eq!(veil.name(&file(), look(READER, 13)), Seen::Now);
    assert_eq!(veil.name(&file(), look(WRITER, 11)), Seen::Before('b'), "not its own");
    assert_eq!(veil.name(&file(), look(OTHER, 11)), Seen::Now, "and what was there before that");
    assert_eq!(veil.names_in(1), [("file".into(), false)]);
}

#[test]
fn who_changes_a_name_himself_has_seen_it() {
    let mut veil = Veil::default();
    let _ = veil.change_name(&file(), (WRITER, at(10)), (Some('a'), true));
    let _ = veil.change_name(&file(), (READER, at(10)), (Some('b'), true));
    assert_eq!(veil.name(&file(), look(READER, 10)), Seen::Now);
    assert_eq!(veil.name(&file(), look(WRITER, 10)), Seen::Before('b'));
}

#[test]
fn a_file_ends_where_it_did() {
    let (mut veil, file) = (Veil::<char>::default(), (7, 1));
    let _ = veil.change_file(file, (WRITER, at(10)), length(100));
    let _ = veil.change_file(file, (WRITER, at(11)), length(150));
    assert_eq!(veil.length(file, look(READER, 11)), Some(length(100)));
    assert_eq!(veil.length(file, look(READER, 12)), Some(length(150)));
    assert_eq!(veil.length(file, look(READER, 13)), None);
    assert_eq!(veil.length(file, look(WRITER, 11)), None);
    assert_eq!(veil.length((7, 2), look(READER, 11)), None, "another file had its number");
    let changed = |end| veil.file_changed(file, end, (READER, at(11)));
    assert_eq!(changed(100), None, "a read of what was there before");
    assert_eq!((changed(101), changed(151)), (Some(at(1)), Some(at(0))));
}

#[test]
fn what_was_cut_off_meanwhile_is_not_seen_again() {
    let (mut veil, file) = (Veil::<char>::default(), (7, 1));
    let _ = veil.change_file(file, (WRITER, at(10)), length(100));
    // cut to 10, and longer again
    let _ = veil.change_file(file, (WRITER, at(11)), length(10));
    assert_eq!(veil.length(file, look(READER, 11)).unwrap().size, 10);
}

#[test]
fn what_came_to_nothing_is_no_change() {
    let mut veil = Veil::default();
    let made = veil.change_name(&file(), (WRITER, at(10)), (Some('a'), true));
    assert_eq!(veil.take_back(&made), Some('a'));
    assert_eq!(veil.name(&file(), look(READER, 10)), Seen::Now);
    assert!(!veil.knows(&file()) && veil.take_back(&made).is_none());
}

#[test]
fn the_oldest_go_when_there_are_too_many_and_that_is_counted() {
    let mut veil = Veil::default();
    for number in 0..MOST_KEPT + 3 {
        let name = name(1, OsStr::new(&number.to_string()));
        let _ = veil.change_name(&name, (WRITER, at(10)), (Some('a'), false));
    }
    assert_eq!(veil.forget(at(11), LATE).len(), 3);
    assert_eq!((veil.forgotten(), veil.names_in(1).len()), (3, MOST_KEPT));
    for _ in 0..MOST + 5 {
        let _ = veil.change_file((7, 1), (WRITER, at(11)), length(1));
    }
    assert_eq!(veil.forget(at(11), LATE).len(), MOST_KEPT, "they are older");
    assert_eq!(veil.order.len(), MOST);
    let forgotten = veil.forgotten();
    assert!(veil.forget(at(13), LATE).is_empty());
    assert!(veil.order.is_empty() && veil.files.is_empty() && veil.names.is_empty());
    assert_eq!(veil.forgotten(), forgotten, "what everybody sees is not missed");
}

/// A name's states by the model: who made each, when, and what it led to from then on.
struct Model(Vec<(Who, u64, Option<char>)>);

impl Model {
    /// The newest state that is old enough, or one's own.
    fn seen(&self, who: Who, now: u64) -> Option<char> {
        let seen = |(by, at, _): &&(Who, u64, Option<char>)| *by == who || now - at >= 2;
        self.0.iter().rev().find(seen).map_or(Some('0'), |(_, _, state)| *state)
    }
}

proptest! {
    #[test]
    fn everybody_sees_the_newest_state_that_he_may(
        changes in prop::collection::vec((1..4_u64, 0..3_u64, prop::option::of(prop::char::range('a', 'z'))), 0..12),
        who in 1..5_u64,
        later in 0..4_u64,
    ) {
        let (mut veil, mut model) = (Veil::default(), Model(Vec::new()));
        let (mut now, mut there) = (0, Some('0'));
        for (by, pause, state) in changes {
            now += pause;
            let _ = veil.change_name(&file(), (Some(by), at(now)), (there, state.is_some()));
            let _ = veil.forget(at(now), LATE);
            model.0.push((Some(by), now, state));
            there = state;
        }
        now += later;
        let seen = match veil.name(&file(), look(Some(who), now)) {
            Seen::Now => there,
            Seen::Nothing => None,
            Seen::Before(state) => Some(state),
        };
        prop_assert_eq!(seen, model.seen(Some(who), now));
        let changed = veil.name_changed(&file(), Some(who), at(now));
        let hidden = changed.is_some_and(|ago| ago < LATE);
        let older = model.0.iter().rposition(|(by, at, _)| *by == Some(who) || now - at >= 2);
        prop_assert_eq!(hidden, older.map_or(0, |at| at + 1) < model.0.len());
    }
}
