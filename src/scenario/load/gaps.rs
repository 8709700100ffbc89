//! What a Compose file wants that a run does not have, and how a scenario goes on without it. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{
    Batch, Beside, Env, FileLoad, Sets, Span, compose, parse,
    problem::{Problem, Source},
    vars,
};
use crate::diagnostic::Diagnostic;

/// How a scenario goes on, as narrowly as its language has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// One more of `without`: the service, and its key.
    Without(String, String),
    /// The run's own volume in place of the one of this name, and of which kind.
    Volume(String, &'static str),
    /// For a service that is built: the image that Compose makes of it.
    Image(String, String),
}

/// Something that a run does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// How a scenario goes on.
    pub way: Way,
    /// What is wanted, and where.
    pub problem: Diagnostic,
}

/// What the Compose file of a scenario wants that a run does not have. What has to be mended in the
/// file itself is not among it, nor what is found only after these: whoever goes on asks again.
#[must_use]
pub fn compose_gaps(path: &Path, text: &str, beside: Beside<'_>) -> Vec<Gap> {
    let found = looked_at(path, text, beside, |load| {
        let found = load.gaps(text)?;
        let gap = |(way, problem)| Gap { way, problem: load.sources.diagnostic(&problem) };
        Some(found.into_iter().map(gap).collect())
    });
    found.unwrap_or_default()
}

/// TCP ports that the services of a scenario's Compose file say they serve, by service.
#[must_use]
pub fn compose_ports(path: &Path, text: &str, beside: Beside<'_>) -> BTreeMap<String, Vec<u16>> {
    let file = looked_at(path, text, beside, |load| load.translated(text));
    file.map(|file| file.ports).unwrap_or_default()
}

fn looked_at<T>(
    path: &Path,
    text: &str,
    beside: Beside<'_>,
    look: impl FnOnce(&mut FileLoad<'_, '_>) -> Option<T>,
) -> Option<T> {
    let (sets, env) = (Sets::new(), Env::new());
    let (known, names, problems) = (BTreeSet::new(), Vec::new(), Vec::new());
    let mut batch = Batch { sets: &sets, env: &env, beside, known, names, problems };
    let own = Source::new(&path.display().to_string(), text);
    look(&mut FileLoad::new(&mut batch, path, own))
}

impl FileLoad<'_, '_> {
    /// What the Compose file comes to; none where there is none that can be read.
    fn translated(&mut self, text: &str) -> Option<compose::Translated> {
        let tree = parse::parse(text).0?;
        let (sets, env) = (self.batch.sets, self.batch.env);
        let definitions = vars::Definitions { vars: None, cell: &[], sets, env };
        let (scenario, beside) = (self.path, self.batch.beside);
        let given = compose::Given { scenario, definitions: &definitions, beside };
        compose::translated(&tree, &given, &mut self.sources)
    }

    /// Of the translation; or, where that is whole, of what the language says of its result.
    fn gaps(&mut self, text: &str) -> Option<Vec<(Way, Problem)>> {
        let file = self.translated(text)?;
        if !file.gaps.is_empty() || !file.problems.is_empty() {
            return Some(file.gaps);
        }
        self.load(text);
        // services that extend the same one share its keys
        let of = |problem: &Problem| {
            let (at, problem) = (problem.span, problem.clone());
            let parts = file.parts.iter().filter(move |part| at.is_some_and(|at| part.holds(&at)));
            parts.map(move |part| (part.way(), problem.clone()))
        };
        Some(self.problems.iter().flat_map(of).collect())
    }
}

/// A key of a service, and where it stands in its file.
pub(super) struct Part {
    pub(super) service: String,
    pub(super) key: String,
    pub(super) spans: [Span; 2],
}

impl Part {
    fn holds(&self, at: &Span) -> bool {
        self.spans.iter().any(|span| span == at || span.holds(at))
    }

    fn way(&self) -> Way {
        Way::Without(self.service.clone(), self.key.clone())
    }
}
