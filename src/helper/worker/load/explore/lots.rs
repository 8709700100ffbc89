//! Which of the states that were looked at the service itself is started on: of those with which nothing is
//! wrong some by chance, of the others the first. Pure: a choice is a hash of the seed and of how many came
//! before.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::{
    block::Kept,
    protocol::{Draw, Drawn},
};

/// Bytes that all states together may take: a frame has 8 MiB, and what else was found is told in it too.
const MOST: usize = 4 << 20;
/// Bytes of what became of one write, and of one sector of it.
const EACH: usize = 64;
const SECTOR: usize = 6;

/// Lots that are drawn while states pass by, in their order.
#[derive(Debug)]
pub(super) struct Lots {
    draw: Draw,
    seed: u64,
    /// Sound states that have passed.
    passed: u64,
    /// Those with the smallest hashes.
    sound: BTreeMap<[u8; 32], Drawn>,
    wrong: Vec<Drawn>,
}

impl Lots {
    /// None drawn yet.
    pub(super) fn new(draw: Draw, seed: u64) -> Self {
        Self { draw, seed, passed: 0, sound: BTreeMap::new(), wrong: Vec::new() }
    }

    /// One passes by.
    pub(super) fn pass(&mut self, state: Drawn) {
        if state.wrong.is_some() {
            if (self.wrong.len() as u64) < self.draw.wrong {
                self.wrong.push(state);
            }
            return;
        }
        self.passed += 1;
        let words = [self.seed, self.passed].map(u64::to_le_bytes).concat();
        self.sound.insert(Sha256::digest(words).into(), state);
        if self.sound.len() as u64 > self.draw.sound {
            self.sound.pop_last();
        }
    }

    /// The wrong ones first; no more than can be told.
    pub(super) fn drawn(self) -> Vec<Drawn> {
        let all = self.wrong.into_iter().chain(self.sound.into_values());
        let told = all.scan(0, |told, state| {
            *told += weight(&state);
            (*told <= MOST).then_some(state)
        });
        told.collect()
    }
}

/// Bytes that it takes to tell of a state, at most.
fn weight(state: &Drawn) -> usize {
    let each = |kept: &Kept| match kept {
        Kept::Sectors(sectors) | Kept::Filled(sectors, _) => EACH + sectors.len() * SECTOR,
        _ => EACH,
    };
    let wrong = state.wrong.as_ref().map_or(0, String::len);
    wrong + state.kept.iter().map(each).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(cut: u64, wrong: bool) -> Drawn {
        let wrong = wrong.then(|| "lost".to_owned());
        Drawn { cut, kept: Vec::new(), acknowledged: 7, wrong }
    }

    fn drawn(seed: u64) -> Vec<(u64, bool)> {
        let mut lots = Lots::new(Draw { sound: 3, wrong: 2 }, seed);
        (0..100).for_each(|cut| lots.pass(state(cut, cut % 10 == 5)));
        lots.drawn().into_iter().map(|it| (it.cut, it.wrong.is_some())).collect()
    }

    #[test]
    fn the_first_wrong_ones_and_some_of_the_others_are_drawn() {
        let seven = drawn(7);
        assert_eq!((seven.len(), &seven[..2]), (5, &[(5, true), (15, true)][..]));
        assert!(seven[2..].iter().all(|(_, wrong)| !wrong));
        assert_eq!(drawn(7), seven);
        assert_ne!(drawn(8), seven, "the seed decides");
        let late = (0..20).flat_map(drawn).filter(|(cut, _)| *cut > 50).count();
        assert!(late > 10, "whoever comes late has a chance: {late}");
    }

    #[test]
    fn no_more_are_drawn_than_can_be_told() {
        let mut lots = Lots::new(Draw { sound: 50, wrong: 50 }, 7);
        let kept = || vec![Kept::Nothing, Kept::Sectors(vec![true; 100_000])];
        (0..100).for_each(|cut| lots.pass(Drawn { kept: kept(), ..state(cut, cut % 2 == 0) }));
        let drawn = lots.drawn();
        let text = serde_json::to_string(&drawn).unwrap();
        assert!(!drawn.is_empty() && text.len() < MOST, "{} {}", drawn.len(), text.len());
    }
}
