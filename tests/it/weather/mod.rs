//! Whoever dies, stops, or does nothing: shown through the command line, on real engines.
//!
//! These tests kill and stop processes of their own runs, and an engine of their own; never the
//! engine that others use. They say on stderr how long each way back took.

mod attached;
mod beside;
mod engine;
mod facts;
mod fixture;
mod fixtures;
mod grafts;
mod harness;
mod host;
mod interposers;
mod interrupts;
mod kill_points;
mod late;
mod mortals;
mod pairs;
mod quiet;
mod refusals;
mod subjects;
mod switch;
mod symptoms;
mod theirs;
mod tight;
mod traces;
mod vacuity;
mod wedged;

pub(crate) use host::recover;

/// Says what a test measured, or why it could not.
pub(crate) fn say(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{text}\n").as_bytes());
}

/// Everything, and not what fits into a minute.
pub(crate) fn soak() -> bool {
    std::env::var("KEELHAUL_SOAK").is_ok_and(|value| value == "1")
}
