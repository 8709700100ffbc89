//! What a Compose file wants that a run does not have: found, gone on without, and said.

use std::path::Path;

use super::init;
use crate::{
    diagnostic::Diagnostic,
    report::text::one_line,
    scenario::{Gap, Way},
    starter::Instead,
};

/// Characters of a problem that are shown.
const SHOWN: usize = 400;

/// What a scenario in this file says of a Compose file, so that the rest of it can be had, and what
/// that goes without.
pub(super) fn bridged(compose: &str, file: &Path) -> (Instead, Vec<Gap>) {
    let (mut instead, mut gaps) = (Instead::default(), Vec::new());
    loop {
        // what is wrong with a key may be seen only when another one is gone
        let mut found = init::gaps(&instead.head(compose, None), file);
        found.retain(|gap| instead.take(&gap.way));
        if found.is_empty() {
            return (instead, gaps);
        }
        gaps.extend(found);
    }
}

/// One line for the terminal.
pub(super) fn told(gap: &Gap) -> String {
    let instead = match &gap.way {
        Way::Without(service, key) => format!("left out by `without: [{service}.{key}]`"),
        Way::Volume(name, kind) => format!("`{name}` is an empty volume of the run's (`{kind}`)"),
        Way::Image(_, image) => format!("`{image}` is run, which `docker compose build` makes"),
    };
    one_line(&format!("note: {}; {instead}", what(&gap.problem)), SHOWN)
}

/// Where it stands, what is wrong, and what may have been meant.
pub(super) fn what(problem: &Diagnostic) -> String {
    let place = problem.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    let meant = problem.hint.as_ref().filter(|hint| hint.starts_with("did you mean"));
    let meant = meant.map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{place}{}{meant}", problem.message)
}
