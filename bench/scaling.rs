//! A suite with one and with two slots: scenarios run side by side as far as the engine lets them.

use crate::{
    Bench,
    record::{Measurement, Side},
    samples::Samples,
    scenario,
};

const ROUNDS: usize = 5;
const CASES: usize = 6;

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Measurement>> {
    let suite = scenario::minimal(bench, CASES)?;
    scenario::run(bench, &suite, 1)?;
    let (mut one, mut two) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        one.push(scenario::run(bench, &suite, 1)?.0);
        two.push(scenario::run(bench, &suite, 2)?.0);
    }
    let what = |jobs| format!("{CASES} cases with --jobs {jobs}");
    let (baseline, subject) = (Side::of(what(1), &one), Side::of(what(2), &two));
    Ok(vec![Measurement::new("scaling", "ms", baseline, subject, ROUNDS).goal("0.5 on two cores")])
}
