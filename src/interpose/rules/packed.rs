//! Every operation that was hit, by its number: so many are not listed one by one, and yet known well enough
//! to be hit again.

use std::collections::HashMap;

use crate::protocol::{AllStruck, IoOp, NUMBERED, Numbers, Series};

/// Bytes of memory that it takes at most, about: each of them is less as text, and all of it fits in an
/// answer.
const ROOM: usize = if cfg!(test) { 4096 } else { 16 << 20 };
/// A run of numbers.
const RUN: usize = 16;
/// What a path takes besides its name, which is written with escapes.
const PATH: usize = 128;
const LETTER: usize = 3;

/// Numbers by path.
type OfPaths = HashMap<String, Numbers>;

/// What was hit.
#[derive(Debug, Default)]
pub(super) struct Packed {
    of: HashMap<(u32, IoOp), OfPaths>,
    used: usize,
    numbered: u64,
    uncounted: u64,
    left_out: u64,
}

/// What a path takes.
fn cost(path: &str) -> usize {
    let text = serde_json::to_string(path).map_or(path.len(), |text| text.len());
    PATH + LETTER * text
}

impl Packed {
    /// Adds one that was hit. When there is no room for one, none after it has a place either: what is left
    /// out is the end.
    pub(super) fn add(&mut self, (rule, op): (u32, IoOp), path: &str, number: Option<u64>) {
        let Some(number) = number else {
            self.uncounted += 1;
            return;
        };
        if self.left_out > 0 || self.numbered >= NUMBERED || self.used >= ROOM {
            self.left_out += 1;
            return;
        }
        let of_op = self.of.entry((rule, op)).or_default();
        let numbers = match of_op.get_mut(path) {
            Some(numbers) => numbers,
            None => {
                self.used += cost(path);
                of_op.entry(path.to_owned()).or_default()
            }
        };
        let before = numbers.runs();
        self.numbered += u64::from(numbers.insert(number));
        self.used += RUN * numbers.runs().saturating_sub(before);
    }

    /// All of it, in order.
    pub(super) fn all(&self) -> AllStruck {
        let series = |(&(rule, op), paths): (&(u32, IoOp), &OfPaths)| {
            let of = |(path, numbers): (&String, &Numbers)| {
                let (path, numbers) = (path.clone(), numbers.clone());
                Series { rule, op, path, numbers }
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
pub(super) struct Again(HashMap<(u32, IoOp), OfPaths>);

impl Again {
    pub(super) fn new(all: Vec<Series>) -> Self {
        let mut of = HashMap::<_, OfPaths>::new();
        for Series { rule, op, path, numbers } in all {
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

    #[test]
    fn what_was_hit_comes_back_and_is_hit_again() {
        let mut packed = Packed::default();
        for number in (2..200).step_by(2) {
            packed.add(WRITE, "b", Some(number));
        }
        packed.add(WRITE, "a", Some(1));
        packed.add((0, IoOp::Fsync), "a", None);
        let all = packed.all();
        assert_eq!((all.numbered(), all.uncounted), (all.series[1].numbers.count() + 1, 1));
        assert_eq!(all.series.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let again = Again::new(all.series.clone());
        assert!(
            all.series
                .iter()
                .flat_map(Series::each)
                .all(|one| { again.has((one.rule, one.op), &one.path, one.number) })
        );
        assert!(!again.has(WRITE, "b", 3) && !again.has(WRITE, "c", 1));
        assert!(!again.has((1, IoOp::Write), "b", 2) && !again.has((0, IoOp::Read), "b", 2));
    }

    #[test]
    fn what_has_no_room_is_counted_and_is_the_end_of_it() {
        let mut packed = Packed::default();
        for number in 1..=100_000 {
            packed.add(WRITE, "one run", Some(number));
        }
        assert_eq!(
            (packed.all().numbered(), packed.left_out),
            (100_000, 0),
            "they follow each other"
        );
        for number in 0..1000 {
            packed.add(WRITE, &number.to_string(), Some(1));
        }
        let all = packed.all();
        assert!(all.left_out > 900, "{}", all.left_out);
        assert_eq!(all.numbered() + all.left_out, 101_000);
        packed.add(WRITE, "one run", Some(100_001));
        assert_eq!(packed.all().left_out, all.left_out + 1, "no gap");
    }
}
