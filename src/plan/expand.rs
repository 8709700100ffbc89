//! Scenarios to cases: cells, controls and repeats, selected and sharded.
//!
//! A case depends on its own circumstances only: its seed and its shard are hashes of its id, so
//! it runs the same alone as among others.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    str::FromStr,
};

use super::hash::hash;
use crate::{
    diagnostic::suggest,
    runtime::ContainerFacts,
    scenario::{Cell, ControlCell, Loaded, Scenario, is_listed, suffix},
};

/// One run of one scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// `name[volume=xfs]@control#2`: cell, control and repeat only where there are any.
    pub id: String,
    /// `name[volume=xfs]`: what a control and its run have in common.
    pub suite: String,
    /// What runs.
    pub scenario: Scenario,
    /// Where it is written.
    pub file: PathBuf,
    /// Axis and value, in the order of the axes.
    pub cell: Vec<(String, String)>,
    /// The same as they are written, of those that are maps or lists.
    pub shapes: BTreeMap<String, serde_json::Value>,
    /// The control, when this case is one.
    pub control: Option<ControlCase>,
    /// Number of the repeat, from 0.
    pub repeat: u32,
    /// The same for the same run seed, scenario, cell and repeat; a control shares it with the run
    /// that it is a control of.
    pub seed: u64,
    /// The containers of its services that run already, by service; filled in when they are looked
    /// for at the engine.
    pub attached: BTreeMap<String, ContainerFacts>,
    /// Values that no report may show.
    pub secrets: Vec<String>,
    /// What `--set` gave, for whoever runs it again.
    pub sets: Vec<(String, String)>,
    /// The same as long as its file, the Compose file and `sets` are.
    pub fingerprint: String,
    /// The seed of the run, from which it was made.
    pub run_seed: u64,
}

/// What a control must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlCase {
    /// Its name.
    pub name: String,
    /// Ids of which the first failing assertion must be one; empty: any.
    pub fails: Vec<String>,
}

impl ControlCase {
    /// True when this assertion may be the first to fail.
    #[must_use]
    pub fn may_break(&self, assertion: &str) -> bool {
        self.fails.is_empty() || self.fails.iter().any(|listed| is_listed(listed, assertion))
    }
}

/// Whether controls run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Controls {
    /// Beside the scenarios.
    #[default]
    Always,
    /// Alone.
    Only,
    /// Not.
    Never,
}

/// Which cases are wanted.
#[derive(Debug, Clone, Default)]
pub struct Select {
    /// Tags: `a` must be there, `!b` must not; every one applies.
    pub tags: Vec<String>,
    /// Names of scenarios, or ids of cases; none: all.
    pub names: Vec<String>,
    /// Whether controls run.
    pub controls: Controls,
    /// One part of all cases.
    pub shard: Option<Shard>,
}

/// Part `index` of `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub index: u32,
    /// How many parts.
    pub of: u32,
}

/// Why a selection was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Not `k/n`.
    #[error("`{0}` is not a shard\n\nhint: write `1/4` for the first of four")]
    Shard(String),
    /// No scenario or case has this name.
    #[error("no scenario or case is called `{name}`\n\nhint: {hint}")]
    Name {
        /// As given.
        name: String,
        /// The probable one, or all.
        hint: String,
    },
    /// No scenario has this tag.
    #[error("no scenario has the tag `{tag}`\n\nhint: {hint}")]
    Tag {
        /// As given.
        tag: String,
        /// The probable one, or all.
        hint: String,
    },
    /// What was given excludes one another.
    #[error(
        "no case is selected\n\nhint: several `--tag` must all hold; `--controls only` needs controls"
    )]
    Nothing,
}

impl FromStr for Shard {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let refuse = || SelectError::Shard(text.to_owned());
        let (index, of) = text.split_once('/').ok_or_else(refuse)?;
        let index: u32 = index.parse().map_err(|_| refuse())?;
        let of: u32 = of.parse().map_err(|_| refuse())?;
        if index == 0 || index > of {
            return Err(refuse());
        }
        Ok(Self { index, of })
    }
}

/// The cases of some files, in the order of files, cells, controls and repeats.
///
/// # Errors
/// When a name or a tag in the selection is unknown, or nothing is selected; a shard may be empty.
pub fn expand(loaded: &[Loaded], select: &Select, seed: u64) -> Result<Vec<Case>, SelectError> {
    select.tags.iter().try_for_each(|tag| known_tag(loaded, tag))?;
    let mut cases = Vec::new();
    for file in loaded.iter().filter(|file| has_tags(&file.tags, &select.tags)) {
        for cell in &file.cells {
            cases.extend(of_cell(file, cell, select.controls, seed));
        }
    }
    for name in &select.names {
        if !cases.iter().any(|case| case.is_called(name)) {
            let known = cases.iter().map(|case| case.scenario.name.as_str());
            let mut known: Vec<&str> = known.chain(cases.iter().map(|c| c.id.as_str())).collect();
            known.dedup();
            let hint = suggest(name, known).unwrap_or_else(|| "nothing is selected at all".into());
            return Err(SelectError::Name { name: name.clone(), hint });
        }
    }
    cases.retain(|case| {
        select.names.is_empty() || select.names.iter().any(|name| case.is_called(name))
    });
    if cases.is_empty() {
        return Err(SelectError::Nothing);
    }
    cases.retain(|case| select.shard.is_none_or(|shard| shard.holds(case)));
    Ok(cases)
}

fn known_tag(loaded: &[Loaded], wanted: &str) -> Result<(), SelectError> {
    let known: BTreeSet<&str> =
        loaded.iter().flat_map(|file| &file.tags).map(String::as_str).collect();
    if wanted.starts_with('!') || known.contains(wanted) {
        return Ok(());
    }
    let hint = suggest(wanted, known).unwrap_or_else(|| "no scenario has any tag".into());
    Err(SelectError::Tag { tag: wanted.to_owned(), hint })
}

/// Every tag expression holds.
fn has_tags(tags: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|wanted| match wanted.strip_prefix('!') {
        Some(tag) => !tags.iter().any(|have| have == tag),
        None => tags.contains(wanted),
    })
}

fn of_cell(file: &Loaded, cell: &Cell, controls: Controls, seed: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    if controls != Controls::Only {
        for repeat in 0..cell.scenario.repeat.unwrap_or(1) {
            cases.push(case(file, cell, None, repeat, seed));
        }
    }
    if controls != Controls::Never {
        // one failure is proof enough: a control is not repeated
        let each = cell.controls.iter();
        cases.extend(each.map(|control| case(file, cell, Some(control), 0, seed)));
    }
    cases
}

fn case(file: &Loaded, cell: &Cell, control: Option<&ControlCell>, repeat: u32, seed: u64) -> Case {
    let scenario = control.map_or(&cell.scenario, |control| &control.scenario);
    let subject = format!("{}{}", file.name, suffix(&cell.labels));
    let mut id = subject.clone();
    if let Some(control) = control {
        id = format!("{id}@{}", control.control.name);
    } else if cell.scenario.repeat.unwrap_or(1) > 1 {
        id = format!("{id}#{}", repeat + 1);
    }
    Case {
        id,
        scenario: scenario.clone(),
        file: file.file.clone(),
        cell: cell.labels.clone(),
        shapes: cell.shapes.clone(),
        control: control.map(|control| ControlCase {
            name: control.control.name.clone(),
            fails: control.control.fails.clone(),
        }),
        repeat,
        attached: BTreeMap::new(),
        seed: hash(&[&seed.to_le_bytes(), subject.as_bytes(), &repeat.to_le_bytes()]),
        secrets: file.secrets.clone(),
        sets: file.sets.clone(),
        fingerprint: file.fingerprint.clone(),
        run_seed: seed,
        suite: subject,
    }
}

impl Case {
    /// True for the scenario's name, the case's id, and the id without control or repeat.
    fn is_called(&self, name: &str) -> bool {
        let without_repeat = self.id.split('#').next();
        let without_control = self.id.split('@').next();
        self.scenario.name == name
            || self.id == name
            || without_repeat == Some(name)
            || without_control == Some(name)
    }
}

impl Shard {
    /// True when a case belongs to this part. A control goes with the run it controls.
    fn holds(self, case: &Case) -> bool {
        hash(&[case.suite.as_bytes()]) % u64::from(self.of) == u64::from(self.index) - 1
    }
}
