//! Planted bugs: each a tiny subject that breaks its promises in one well-known way, beside its correct
//! twin, on a real filesystem on a disk of ours. States of the disk are planned, shown and mounted as
//! `explore` does it, and what the subject reads then is held against what it had promised.
//!
//! Every bug must be found, and no twin ever blamed: a search that misses the first is blind, and one that
//! does the second cries wolf.

mod again;
mod explore;
mod found;
mod golden;
mod promises;
mod spared;
mod stage;
mod struck;
mod subject;
mod subjects;
mod work;

use std::{io::Write as _, time::Duration};

/// Says what was seen, or why nothing was.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// In the middle of them, by size; zero where there are none.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// States of each twin that a cut may leave: three hundred on each filesystem.
const STATES: usize = 25;
const SEED: u64 = 7;

/// How many states of each twin, and by which seed all are drawn: `KEELHAUL_CORPUS=STATES:SEED`, so
/// that the rounds of a soak differ.
fn budget() -> (usize, u64) {
    let Ok(told) = std::env::var("KEELHAUL_CORPUS") else { return (STATES, SEED) };
    let numbers = told.split_once(':').map(|(states, seed)| (states.parse(), seed.parse()));
    let Some((Ok(states), Ok(seed))) = numbers else { panic!("KEELHAUL_CORPUS=STATES:SEED") };
    (states, seed)
}
