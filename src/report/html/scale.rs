//! From time and value to a place in the drawing.

/// Where the plot begins and ends, in units of the drawing; what is left of it is for names.
pub(super) const LEFT: f64 = 230.0;
/// See [`LEFT`].
pub(super) const RIGHT: f64 = 990.0;
/// Ticks of the time axis, at most about this many.
const TICKS: f64 = 8.0;

/// The time axis of a case, in microseconds since the run started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from_us: u64,
    span_us: f64,
}

impl Scale {
    pub(super) fn new(from_us: u64, until_us: u64) -> Self {
        Self { from_us, span_us: (until_us.saturating_sub(from_us)).max(1) as f64 }
    }

    /// The place of a moment; one outside is put at the edge.
    pub(super) fn x(self, at_us: u64) -> f64 {
        let share = at_us.saturating_sub(self.from_us) as f64 / self.span_us;
        round(LEFT + share.min(1.0) * (RIGHT - LEFT))
    }

    /// Microseconds since the case started.
    pub(super) fn since(self, at_us: u64) -> u64 {
        at_us.saturating_sub(self.from_us)
    }

    /// Round moments, and how they are called: `2 s`.
    pub(super) fn ticks(self) -> Vec<(f64, String)> {
        let step = step(self.span_us / 1e6 / TICKS);
        let count = (self.span_us / 1e6 / step) as u32;
        let at = |index: u32| f64::from(index) * step;
        let tick = |index| {
            let micros = (at(index) * 1e6) as u64;
            (self.x(self.from_us + micros), format!("{} s", round(at(index))))
        };
        (0..=count).map(tick).collect()
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not below this.
fn step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(1e-3).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .map(|times| times * power)
        .into_iter()
        .find(|it| *it >= least)
        .unwrap_or(1.0)
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
            [LEFT, 610.0, RIGHT, LEFT]
        );
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
