//! Whole cases on an engine and a helper in memory, on a clock that the test turns. What is proven
//! here is what the runner makes of what it sees; that faults work is proven on a real engine.

mod attached;
pub(crate) mod bench;
mod controls;
mod faults;
mod flow;
mod interrupts;
mod live;
mod observing;
mod openings;
mod recovery;
mod selecting;
mod strikes;
mod suites;
mod tracing;

use bench::{AGENT, Bench, Ran, Scene, THEIRS};
