//! From time and value to a place in the drawing.

/// Where the plot begins and ends, in percent of the drawing's width: the drawing is as wide as the
/// screen, and its text has one size on all of them.
const LEFT: f64 = 1.0;
/// See [`LEFT`].
const RIGHT: f64 = 99.0;
/// Ticks of the time axis, at most this many and the first.
const TICKS: u64 = 8;

/// The time axis of a case, in microseconds since the run started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from_us: u64,
    span_us: u64,
}

impl Scale {
    pub(super) fn new(from_us: u64, until_us: u64) -> Self {
        Self { from_us, span_us: until_us.saturating_sub(from_us).max(1) }
    }

    /// The place of a moment in percent; one outside is put at the edge.
    pub(super) fn x(self, at_us: u64) -> f64 {
        let share = at_us.saturating_sub(self.from_us) as f64 / self.span_us as f64;
        round(LEFT + share.min(1.0) * (RIGHT - LEFT))
    }

    /// Whether a moment is in the drawing.
    pub(super) fn has(self, at_us: u64) -> bool {
        at_us <= self.from_us.saturating_add(self.span_us)
    }

    /// Microseconds since the case started.
    pub(super) fn since(self, at_us: u64) -> u64 {
        at_us.saturating_sub(self.from_us)
    }

    /// Round moments, and how they are called: `2 s`.
    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        let step = step_us(self.span_us.div_ceil(TICKS));
        let name = |micros: u64| format!("{} s", micros as f64 / 1e6);
        let all = (0..=self.span_us / step).map(|index| index * step);
        all.map(|micros| (self.x(self.from_us + micros), name(micros))).collect()
    }
}

/// The least of 1, 2 and 5 times a power of ten, from a millisecond on, that is not below this.
fn step_us(least: u64) -> u64 {
    let mut power: u64 = 1000;
    while power.saturating_mul(10) < least {
        power = power.saturating_mul(10);
    }
    [1, 2, 5]
        .map(|times| power.saturating_mul(times))
        .into_iter()
        .find(|it| *it >= least)
        .unwrap_or(power.saturating_mul(10))
}

/// A hundredth of a unit is less than anybody sees, and shorter to write.
pub(super) fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_fall_between_the_edges() {
        let scale = Scale::new(1_000_000, 3_000_000);
        assert_eq!(
            [1_000_000, 2_000_000, 9_000_000, 0].map(|at| scale.x(at)),
            [LEFT, 50.0, RIGHT, LEFT]
        );
        assert!(scale.has(3_000_000) && !scale.has(3_000_001));
        assert_eq!(Scale::new(5, 5).x(5), LEFT);
    }

    #[test]
    fn ticks_are_round() {
        let names = |seconds: u64| -> Vec<String> {
            Scale::new(0, seconds * 1_000_000).ticks().into_iter().map(|(_, name)| name).collect()
        };
        assert_eq!(
            names(4),
            ["0 s", "0.5 s", "1 s", "1.5 s", "2 s", "2.5 s", "3 s", "3.5 s", "4 s"]
        );
        assert_eq!(names(90), ["0 s", "20 s", "40 s", "60 s", "80 s"]);
        assert!(names(100_000).len() <= 9, "{:?}", names(100_000));
    }
}
