//! Every operation that was hit, by its number: so many are not listed one by one, and yet known well enough
//! to be hit again.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::protocol::{AllStruck, IoOp, NUMBERED, Numbers, Places, Series};

/// Bytes of memory that all sets of an interposer take at most, about: each of them is less than half of
/// that as text, and all of it fits in an answer.
const ROOM: usize = if cfg!(test) { 4096 } else { 16 << 20 };
/// A run of numbers.
const RUN: usize = 16;
/// What a path takes besides its name, which is written with escapes.
const PATH: usize = 192;
const LETTER: usize = 3;

/// The room that sets of rules share. An interposer must stay small: who is out of memory may wait for it.
#[derive(Debug, Default)]
pub struct Room(AtomicUsize);

impl Room {
    /// Whether what is over takes so much of it that what comes may have too little.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.used() > ROOM / 4
    }

    fn used(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What was hit on a path.
#[derive(Debug, Default)]
struct OfPath {
    numbers: Numbers,
    places: Places,
}

/// By path.
type OfPaths<T> = HashMap<String, T>;

/// An operation that was hit: its number, where it is counted, and its place, where it has one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    pub(super) number: Option<u64>,
    pub(super) span: Option<(u64, u64)>,
}

/// What was hit.
#[derive(Debug)]
pub(super) struct Packed {
    of: HashMap<(u32, IoOp), OfPaths<OfPath>>,
    /// None where nobody will ever ask.
    room: Option<Arc<Room>>,
    /// Of the room.
    used: usize,
    numbered: u64,
    uncounted: u64,
    left_out: u64,
}

impl Default for Packed {
    fn default() -> Self {
        Self::within(Some(Arc::default()))
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        self.uses(0);
    }
}

/// What a path takes.
fn cost(path: &str) -> usize {
    let text = serde_json::to_string(path).map_or(path.len(), |text| text.len());
    PATH + LETTER * text
}

impl Packed {
    /// In this room; without one nothing is known but how many there are.
    pub(super) fn within(room: Option<Arc<Room>>) -> Self {
        let (of, used, numbered, uncounted, left_out) = Default::default();
        Self { of, room, used, numbered, uncounted, left_out }
    }

    fn uses(&mut self, bytes: usize) {
        if let Some(room) = &self.room {
            room.take(bytes);
            room.give(mem::replace(&mut self.used, bytes));
        }
    }

    fn is_full(&self) -> bool {
        let full = self.room.as_ref().is_none_or(|room| room.used() >= ROOM);
        full || self.left_out > 0 || self.numbered >= NUMBERED
    }

    /// Adds one that was hit. When there is no room for one, none after it has a place either: what is left
    /// out is the end.
    pub(super) fn add(&mut self, (rule, op): (u32, IoOp), path: &str, hit: Hit) {
        let Some(number) = hit.number else {
            self.uncounted += 1;
            return;
        };
        if self.is_full() {
            self.left_out += 1;
            return;
        }
        let mut used = self.used;
        let of_op = self.of.entry((rule, op)).or_default();
        let of_path = match of_op.get_mut(path) {
            Some(of_path) => of_path,
            None => {
                used += cost(path);
                of_op.entry(path.to_owned()).or_default()
            }
        };
        let before = of_path.numbers.runs();
        if of_path.numbers.insert(number) {
            self.numbered += 1;
            of_path.places.add(number, hit.span);
        }
        // two of them may have become one
        used = (used + RUN * of_path.numbers.runs()).saturating_sub(RUN * before);
        self.uses(used);
    }

    /// Gives its room up: of all that was hit no more is known than how many there are.
    pub(super) fn forget(&mut self) {
        self.of = HashMap::new();
        self.left_out += mem::take(&mut self.numbered);
        self.uses(0);
    }

    /// All of it, in order.
    pub(super) fn all(&self) -> AllStruck {
        let series = |(&(rule, op), paths): (&(u32, IoOp), &OfPaths<OfPath>)| {
            let of = |(path, OfPath { numbers, places }): (&String, &OfPath)| {
                let (path, numbers, places) = (path.clone(), numbers.clone(), *places);
                Series { rule, op, path, numbers, places }
            };
            paths.iter().map(of).collect::<Vec<_>>()
        };
        let mut series: Vec<Series> = self.of.iter().flat_map(series).collect();
        series.sort_by(|a, b| (a.rule, a.op, &a.path).cmp(&(b.rule, b.op, &b.path)));
        AllStruck { series, uncounted: self.uncounted, left_out: self.left_out }
    }
}

/// What is to be hit, whatever the triggers say.
#[derive(Debug)]
pub(super) struct Again(HashMap<(u32, IoOp), OfPaths<Numbers>>);

impl Again {
    pub(super) fn new(all: Vec<Series>) -> Self {
        let mut of = HashMap::<_, OfPaths<Numbers>>::new();
        for Series { rule, op, path, numbers, .. } in all {
            let known = of.entry((rule, op)).or_default().entry(path).or_default();
            // as a rule it is there once
            match known.runs() {
                0 => *known = numbers,
                _ => *known = known.iter().chain(numbers.iter()).collect(),
            }
        }
        Self(of)
    }

    /// Whether it is among them.
    pub(super) fn has(&self, (rule, op): (u32, IoOp), path: &str, number: u64) -> bool {
        let of_op = self.0.get(&(rule, op)).and_then(|paths| paths.get(path));
        of_op.is_some_and(|numbers| numbers.contains(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: (u32, IoOp) = (0, IoOp::Write);

    fn at(number: u64) -> Hit {
        Hit { number: Some(number), span: Some((number * 512, 512)) }
    }

    #[test]
    fn what_was_hit_comes_back_and_is_hit_again() {
        let mut packed = Packed::default();
        for number in (2..200).step_by(2) {
            packed.add(WRITE, "b", at(number));
        }
        packed.add(WRITE, "a", at(1));
        packed.add((0, IoOp::Fsync), "a", Hit { number: None, span: None });
        let all = packed.all();
        assert_eq!((all.numbered(), all.uncounted), (all.series[1].numbers.count() + 1, 1));
        assert_eq!(all.series.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let again = Again::new(all.series.clone());
        let has = |it: &Series, number| again.has((it.rule, it.op), &it.path, number);
        assert!(all.series.iter().all(|it| it.numbers.iter().all(|number| has(it, number))));
        assert!(!again.has(WRITE, "b", 3) && !again.has(WRITE, "c", 1));
        assert!(!again.has((1, IoOp::Write), "b", 2) && !again.has((0, IoOp::Read), "b", 2));
    }

    #[test]
    fn where_each_was_is_known_of_all() {
        let places = |numbers: &[u64], shifted: u64| {
            let mut packed = Packed::default();
            for number in numbers {
                let span = Some((512 * number + u64::from(*number == shifted), 512));
                packed.add(WRITE, "a", Hit { number: Some(*number), span });
            }
            packed.all().series[0].places
        };
        let all: Vec<u64> = (1..=1000).collect();
        let backwards: Vec<u64> = (1..=1000).rev().collect();
        assert_eq!(places(&all, 0), places(&backwards, 0));
        assert_ne!(places(&all, 0), places(&all, 999));
    }

    #[test]
    fn what_has_no_room_is_counted_and_is_the_end_of_it() {
        let mut packed = Packed::default();
        for number in 1..=100_000 {
            packed.add(WRITE, "one run", at(number));
        }
        assert_eq!(
            (packed.all().numbered(), packed.left_out),
            (100_000, 0),
            "they follow each other"
        );
        for number in 0..1000 {
            packed.add(WRITE, &number.to_string(), at(1));
        }
        let all = packed.all();
        assert!(all.left_out > 900, "{}", all.left_out);
        assert_eq!(all.numbered() + all.left_out, 101_000);
        packed.add(WRITE, "one run", at(100_001));
        assert_eq!(packed.all().left_out, all.left_out + 1, "no gap");
    }

    #[test]
    fn what_comes_out_of_order_takes_no_more_when_the_gaps_are_closed() {
        let mut packed = Packed::default();
        for first in (1..2000).step_by(20) {
            (first..first + 20).step_by(2).for_each(|number| packed.add(WRITE, "a", at(number)));
            (first + 1..first + 21)
                .step_by(2)
                .for_each(|number| packed.add(WRITE, "a", at(number)));
        }
        assert_eq!((packed.all().numbered(), packed.left_out), (2000, 0));
        assert_eq!(packed.used, cost("a") + RUN);
    }

    #[test]
    fn sets_share_the_room_and_give_it_back() {
        let room = Arc::<Room>::default();
        let [mut one, mut other] = [(); 2].map(|()| Packed::within(Some(Arc::clone(&room))));
        (1..10_000).step_by(2).for_each(|number| one.add(WRITE, "a", at(number)));
        other.add(WRITE, "a", at(1));
        assert!(one.left_out > 0 && room.is_short());
        assert_eq!((other.all().numbered(), other.left_out), (0, 1));
        one.forget();
        assert_eq!((one.all().series.len(), one.left_out, room.used()), (0, 5000, 0));
        let mut third = Packed::within(Some(Arc::clone(&room)));
        third.add(WRITE, "a", at(1));
        assert_eq!(third.all().numbered(), 1);
        drop(third);
        assert_eq!(room.used(), 0);
        let mut none = Packed::within(None);
        none.add(WRITE, "a", at(1));
        assert_eq!((none.all().series.len(), none.left_out), (0, 1));
    }
}
