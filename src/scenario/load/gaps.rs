//! What a Compose file wants that a run does not have, and how a scenario goes on without it. Pure.

use std::{collections::BTreeSet, path::Path};

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
    let (sets, env) = (Sets::new(), Env::new());
    let (known, names, problems) = (BTreeSet::new(), Vec::new(), Vec::new());
    let mut batch = Batch { sets: &sets, env: &env, beside, known, names, problems };
    let own = Source::new(&path.display().to_string(), text);
    let mut load = FileLoad::new(&mut batch, path, own);
    let found = load.gaps(text).unwrap_or_default();
    let gap = |(way, problem)| Gap { way, problem: load.sources.diagnostic(&problem) };
    found.into_iter().map(gap).collect()
}

impl FileLoad<'_, '_> {
    /// Of the translation; or, where that is whole, of what the language says of its result.
    fn gaps(&mut self, text: &str) -> Option<Vec<(Way, Problem)>> {
        let tree = parse::parse(text).0?;
        let (sets, env) = (self.batch.sets, self.batch.env);
        let definitions = vars::Definitions { vars: None, cell: &[], sets, env };
        let (scenario, beside) = (self.path, self.batch.beside);
        let given = compose::Given { scenario, definitions: &definitions, beside };
        let file = compose::translated(&tree, &given, &mut self.sources)?;
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
