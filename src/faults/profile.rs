//! How a fault goes over time, and which injections that makes. Pure.

use std::time::Duration as Time;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Duration;

/// How a fault goes over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Profile {
    /// All of it at once, until it is reverted.
    #[default]
    Sustained,
    /// Its amount grows in stages, each of them proven; the step is over when all of it is in force.
    Ramp {
        /// Time from the first stage to the last.
        over: Duration,
        /// In how many stages, of equal shares.
        #[schemars(range(min = 2, max = 20))]
        stages: u32,
    },
    /// It comes and goes, each time proven, for as long as `for` says; the step is over with it.
    Intermittent {
        /// In force for this time, then the keeper reverts it.
        on: Duration,
        /// Not in force for this time.
        off: Duration,
    },
}

/// One of the injections that a step makes, one after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// How many there are.
    pub of: u32,
    /// Time after the first.
    pub at: Time,
    /// Share of what is left to the whole amount: stages of equal size take 1/3, 1/2, 1.
    pub share: f64,
    /// The keeper reverts it after this time.
    pub lasts: Option<Duration>,
}

impl Profile {
    /// The injections, of a step that has this `for`.
    #[must_use]
    pub fn parts(&self, lasts: Option<Duration>) -> Vec<Part> {
        match *self {
            Self::Sustained => vec![Part { number: 1, of: 1, at: Time::ZERO, share: 1.0, lasts }],
            Self::Ramp { over, stages } => {
                let pause = over.0 / stages.saturating_sub(1).max(1);
                let stage = |number| Part {
                    number,
                    of: stages,
                    at: pause * (number - 1),
                    share: 1.0 / f64::from(stages + 1 - number),
                    lasts,
                };
                (1..=stages).map(stage).collect()
            }
            Self::Intermittent { on, off } => {
                let of = cycles(on.0, off.0, lasts.unwrap_or(on).0);
                let cycle = |number| Part {
                    number,
                    of,
                    at: (on.0 + off.0) * (number - 1),
                    share: 1.0,
                    lasts: Some(on),
                };
                (1..=of).map(cycle).collect()
            }
        }
    }

    /// Each injection is over before the next one, and the last before the step is.
    #[must_use]
    pub fn comes_and_goes(&self) -> bool {
        matches!(self, Self::Intermittent { .. })
    }

    /// What it takes at least until the step is over.
    #[must_use]
    pub fn takes(&self, lasts: Option<Duration>) -> Time {
        match self {
            Self::Sustained => Time::ZERO,
            Self::Ramp { over, .. } => over.0,
            Self::Intermittent { .. } => lasts.unwrap_or_default().0,
        }
    }
}

/// How often `on` fits, with `off` in between.
fn cycles(on: Time, off: Time, total: Time) -> u32 {
    let period = (on + off).as_micros().max(1);
    u32::try_from((total + off).as_micros() / period).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(profile: &str, lasts: Option<u64>) -> Vec<Part> {
        let profile: Profile = serde_saphyr::from_str(profile).unwrap();
        profile.parts(lasts.map(Duration::from_secs))
    }

    #[test]
    fn a_sustained_fault_is_one_injection() {
        let parts = parts("sustained", Some(3));
        assert_eq!((parts.len(), parts[0].share), (1, 1.0));
        assert_eq!(parts[0].lasts, Some(Duration::from_secs(3)));
    }

    #[test]
    fn the_stages_of_a_ramp_are_of_equal_size_and_the_last_one_is_whole() {
        let parts = parts("ramp: { over: 6s, stages: 4 }", None);
        let mut left = 1.0;
        for (at, part) in parts.iter().enumerate() {
            let step = left * part.share;
            assert!((step - 0.25).abs() < 1e-9, "{step}");
            left -= step;
            assert_eq!(part.at, Time::from_secs(2) * u32::try_from(at).unwrap());
        }
        assert_eq!(parts[3].share, 1.0);
    }

    #[test]
    fn only_whole_cycles_are_made() {
        for (total, cycles) in [(1, 1), (3, 1), (4, 2), (7, 3), (8, 3)] {
            let parts = parts("intermittent: { on: 1s, off: 2s }", Some(total));
            assert_eq!(parts.len(), cycles, "{total}");
            assert!(parts.iter().all(|part| part.lasts == Some(Duration::from_secs(1))));
        }
    }
}
