//! How much later an operation is done that a rule delays. Pure; decided by the hash of the
//! operation, like all else.

use std::time::Duration;

use super::decide::Hash;
use crate::protocol::{Delay, Distribution};

/// Parts of a whole that chance decides among.
const PARTS: u64 = 1 << 32;
/// The long tail is cut off where it is so many times as long as the least of it.
const TAIL: f64 = 100.0;
/// A sum of so many even chances has a standard deviation of one, and is close to normal.
const SUMMED: u64 = 12;
/// What is farther from the middle counts as this far: three standard deviations.
const FARTHEST: f64 = 3.0;

/// How much later, `since` the rule came into force.
pub(super) fn delay(delay: Delay, since: Duration, hash: Hash) -> Duration {
    let Delay { us, jitter_us, distribution, ramp_us } = delay;
    let hash = hash.and(b"jitter");
    let more = match distribution {
        Distribution::Uniform => hash.below(jitter_us.saturating_add(1)),
        Distribution::Normal => share(normal(hash), jitter_us),
        Distribution::Pareto => share(pareto(chance(hash)), jitter_us),
    };
    let whole = us.saturating_add(more);
    let passed = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
    let now = match passed < ramp_us {
        true => u128::from(whole) * u128::from(passed) / u128::from(ramp_us),
        false => u128::from(whole),
    };
    Duration::from_micros(u64::try_from(now).unwrap_or(u64::MAX))
}

/// From 0 up to 1, all of it alike.
#[expect(clippy::cast_precision_loss, reason = "both are powers of two, or below one")]
fn chance(hash: Hash) -> f64 {
    hash.below(PARTS) as f64 / PARTS as f64
}

/// From 0 up to 1, around the middle.
fn normal(hash: Hash) -> f64 {
    let sum: f64 = (0..SUMMED).map(|n| chance(hash.and(&n.to_le_bytes())) - 0.5).sum();
    (sum.clamp(-FARTHEST, FARTHEST) + FARTHEST) / (2.0 * FARTHEST)
}

/// From 0 up to 1, mostly next to nothing: Pareto's with an index of one, cut off.
fn pareto(chance: f64) -> f64 {
    let times = 1.0 / (1.0 - chance * (1.0 - 1.0 / TAIL));
    (times - 1.0) / (TAIL - 1.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a part of some seconds"
)]
fn share(share: f64, of: u64) -> u64 {
    (share * of as f64).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    const MANY: u64 = 20_000;

    /// What is added, in thousandths of the most, sorted.
    fn added(distribution: Distribution) -> Vec<u64> {
        let with = Delay { us: 5000, jitter_us: 1000, distribution, ramp_us: 0 };
        let one = |n: u64| delay(with, LONG, Hash::of(7).and(&n.to_le_bytes()));
        let mut added: Vec<u64> =
            (0..MANY).map(|n| u64::try_from(one(n).as_micros()).unwrap() - 5000).collect();
        added.sort_unstable();
        added
    }

    fn percentile(sorted: &[u64], percent: usize) -> u64 {
        sorted[(sorted.len() - 1) * percent / 100]
    }

    fn near(found: u64, expected: u64, by: u64) -> bool {
        found.abs_diff(expected) <= by
    }

    #[test]
    fn each_lies_as_it_should_and_never_beyond() {
        let uniform = added(Distribution::Uniform);
        for percent in [10, 50, 90] {
            assert!(near(percentile(&uniform, percent), percent as u64 * 10, 15));
        }
        let normal = added(Distribution::Normal);
        // quantiles of the standard normal distribution, in sixths of the whole
        for (percent, expected) in [(2, 158), (16, 334), (50, 500), (84, 666), (98, 842)] {
            let found = percentile(&normal, percent);
            assert!(near(found, expected, 15), "{percent}: {found}");
        }
        let pareto = added(Distribution::Pareto);
        for (percent, expected, by) in [(50, 10, 2), (90, 83, 10), (99, 497, 60)] {
            let found = percentile(&pareto, percent);
            assert!(near(found, expected, by), "{percent}: {found}");
        }
        for all in [uniform, normal, pareto] {
            assert!(all[all.len() - 1] <= 1000);
        }
    }

    #[test]
    fn it_grows_evenly_and_then_stays() {
        let with = Delay { us: 1000, jitter_us: 0, ramp_us: 4_000_000, ..Delay::default() };
        let after = |millis| delay(with, Duration::from_millis(millis), Hash::of(1)).as_micros();
        assert_eq!([0, 1000, 3000, 4000, 9000].map(after), [0, 250, 750, 1000, 1000]);
    }

    #[test]
    fn the_same_operation_waits_as_long_again() {
        for distribution in [Distribution::Uniform, Distribution::Normal, Distribution::Pareto] {
            assert_eq!(added(distribution), added(distribution));
        }
    }
}
