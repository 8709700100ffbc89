//! Numbers of operations, packed: a rule that strikes often strikes many that follow each other.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::NUMBERED;

/// Numbers from 1 on. As text, the way from the last of a run to the first of the next, and how many there
/// are in it where there are several: `2 1x3` would be `2x4`, and 2, 3, 7 is `2x2 4`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbers {
    /// First and last of each run. They are in order, and no two of them touch.
    runs: Vec<(u64, u64)>,
}

impl Numbers {
    /// Adds one; false where it is there.
    pub fn insert(&mut self, number: u64) -> bool {
        // mostly the last: threads that count at the same time come in any order
        let at = self.runs.partition_point(|(first, _)| *first <= number);
        if at > 0 && number <= self.runs[at - 1].1 {
            return false;
        }
        let follows = at > 0 && self.runs[at - 1].1.checked_add(1) == Some(number);
        let precedes =
            self.runs.get(at).is_some_and(|(first, _)| number.checked_add(1) == Some(*first));
        match (follows, precedes) {
            (true, true) => {
                let (_, last) = self.runs.remove(at);
                self.runs[at - 1].1 = last;
            }
            (true, false) => self.runs[at - 1].1 = number,
            (false, true) => self.runs[at].0 = number,
            (false, false) => self.runs.insert(at, (number, number)),
        }
        true
    }

    /// Whether it is among them.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        let at = self.runs.partition_point(|(first, _)| *first <= number);
        at > 0 && number <= self.runs[at - 1].1
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.runs.iter().fold(0, |sum, (first, last)| sum.saturating_add(last - first + 1))
    }

    /// In so many runs.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().flat_map(|(first, last)| *first..=*last)
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = 0;
        for (nth, (first, last)) in self.runs.iter().enumerate() {
            let apart = if nth == 0 { "" } else { " " };
            write!(f, "{apart}{}", first - before)?;
            if last > first {
                write!(f, "x{}", last - first + 1)?;
            }
            before = *last;
        }
        Ok(())
    }
}

impl FromStr for Numbers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = Self::default();
        let (mut before, mut count) = (0_u64, 0_u64);
        for run in text.split_whitespace() {
            let (way, many) = run.split_once('x').unwrap_or((run, "1"));
            let read = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
            let ends = read(way).zip(read(many)).and_then(|(way, many)| {
                let first = before.checked_add(way)?;
                Some((first, first.checked_add(many - 1)?))
            });
            let (first, last) = ends.ok_or_else(|| format!("`{run}` is no run of numbers"))?;
            // more are never written, and who goes through them would not come to an end
            count = count.saturating_add(last - first).saturating_add(1);
            if count > NUMBERED {
                return Err(format!("`{run}` makes more than {NUMBERED} numbers"));
            }
            match numbers.runs.last_mut() {
                Some(end) if way == "1" => end.1 = last,
                _ => numbers.runs.push((first, last)),
            }
            before = last;
        }
        Ok(numbers)
    }
}

impl FromIterator<u64> for Numbers {
    fn from_iter<I: IntoIterator<Item = u64>>(all: I) -> Self {
        let mut numbers = Self::default();
        for number in all {
            numbers.insert(number);
        }
        numbers
    }
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_follows_each_other_is_one_run() {
        let numbers: Numbers = [3, 2, 7].into_iter().collect();
        assert_eq!((numbers.to_string().as_str(), numbers.runs()), ("2x2 4", 2));
        let all: Numbers = (1..=1_000_000).collect();
        assert_eq!((all.to_string().as_str(), all.count()), ("1x1000000", 1_000_000));
        let joined: Numbers = [1, 3, 2].into_iter().collect();
        assert_eq!(joined.to_string(), "1x3");
        assert_eq!("2 1x3".parse::<Numbers>().unwrap().to_string(), "2x4");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in
            ["0", "a", "1x", "1x0", "-1", "18446744073709551615 1", "1x18446744073709551615 9"]
        {
            assert!(text.parse::<Numbers>().is_err(), "{text}");
        }
        assert_eq!("".parse::<Numbers>(), Ok(Numbers::default()));
        let most = format!("1x{NUMBERED}");
        assert_eq!(most.parse::<Numbers>().unwrap().count(), NUMBERED);
        for many in [format!("{most} 2"), "1x18446744073709551615".to_owned()] {
            let refused = many.parse::<Numbers>().unwrap_err();
            assert!(refused.contains("more than 1000000 numbers"), "{refused}");
        }
    }

    proptest::proptest! {
        #[test]
        fn it_is_a_set_in_any_order_and_as_text(
            numbers in proptest::collection::vec(1_u64..60, 0..80),
        ) {
            let mut packed = Numbers::default();
            let mut plain = BTreeSet::new();
            for number in &numbers {
                proptest::prop_assert_eq!(packed.insert(*number), plain.insert(*number));
            }
            proptest::prop_assert!(packed.iter().eq(plain.iter().copied()));
            proptest::prop_assert_eq!(packed.count(), plain.len() as u64);
            proptest::prop_assert!((0..62).all(|n| packed.contains(n) == plain.contains(&n)));
            proptest::prop_assert_eq!(packed.to_string().parse::<Numbers>().unwrap(), packed);
        }
    }
}
