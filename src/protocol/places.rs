//! Where many operations were, in so few bytes that it can be kept of each file.

use serde::{Deserialize, Serialize};

/// Of operations with numbers, where each of them was: the same for the same of them, in whatever order they
/// came. It cannot be told from it where that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Places(u64);

/// After splitmix64.
fn mixed(bits: u64) -> u64 {
    let z = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Places {
    /// Adds one, by its number: its offset and its bytes, where it is at a place.
    pub fn add(&mut self, number: u64, span: Option<(u64, u64)>) {
        if let Some((offset, bytes)) = span {
            let one = mixed(mixed(mixed(number) ^ offset) ^ bytes);
            self.0 = self.0.wrapping_add(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(all: &[(u64, Option<(u64, u64)>)]) -> Places {
        let mut places = Places::default();
        all.iter().for_each(|(number, span)| places.add(*number, *span));
        places
    }

    #[test]
    fn the_order_is_all_the_same_and_every_place_counts() {
        let (one, two) = ((1, Some((0, 512))), (2, Some((512, 512))));
        assert_eq!(of(&[one, two]), of(&[two, one]));
        let others = [
            [(1, Some((512, 512))), (2, Some((0, 512)))],
            [(1, Some((0, 511))), two],
            [one, (2, Some((1024, 512)))],
            [one, (2, None)],
            [(3, Some((0, 512))), two],
        ];
        assert!(others.iter().all(|other| of(other) != of(&[one, two])));
        assert_eq!(of(&[(1, None), (2, None)]), Places::default());
    }
}
