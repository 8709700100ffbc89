//! The console of a game day: faults injected and reverted by key, on a case that is live.
//!
//! `State` is a pure fold of inputs, and `view` a pure picture of it; `terminal` is the only place
//! that touches the terminal, and `play` the only one that touches the case. Nothing here undoes
//! anything: whatever happens to the console, the keeper has the journal and every deadline.

mod call;
mod console;
mod draft;
mod find;
mod journal;
mod keys;
mod line;
mod offer;
mod painter;
mod panics;
mod play;
mod queue;
#[cfg(test)]
mod saving_tests;
mod script;
mod state;
mod terminal;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod view;

pub use call::{Call, Checker};
pub use console::{Game, Inputs, run};
pub use draft::Draft;
pub use keys::Key;
pub use offer::{Offer, Place, offers, places};
pub use panics::{PanicsLast, print_panics};
pub use state::{Command, Input, SMALLEST, State};
pub use view::draw;
