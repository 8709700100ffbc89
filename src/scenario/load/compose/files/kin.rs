//! Services over those that they extend, in their own file or in another.

use std::{collections::BTreeMap, path::Path};

use super::{
    super::{
        build,
        extends::{self, EXTENDS},
    },
    DEEPEST, Files, known, one, word_of,
};
use crate::scenario::load::{
    node::{Entry, Node, Value},
    problem::Problem,
};

/// Values that services may take over in all. Each has a copy: thousands that extend one large service
/// would be far more than their files.
const MOST_TAKEN_OVER: usize = 200_000;

/// The services of one file, while each is put over the one that it extends.
struct Kin<'n> {
    services: &'n Node,
    directory: &'n Path,
    /// Those under way, each extending the next.
    open: Vec<String>,
    /// What each came to, and how many of this file it extends; none where its problems were told.
    done: BTreeMap<String, Option<(Node, usize)>>,
}

impl Files<'_> {
    /// The services of a file, each over the one that it extends.
    pub(super) fn extended(&mut self, tree: &Node, directory: &Path) -> Result<Node, Vec<Problem>> {
        let nothing = build::map(tree.span, Vec::new());
        let services = tree.get("services").unwrap_or(&nothing);
        let mut kin = Kin { services, directory, open: Vec::new(), done: BTreeMap::new() };
        let (mut done, mut problems, mut whole) = (Vec::new(), Vec::new(), true);
        for entry in services.entries() {
            match self.service(entry, &mut kin) {
                Ok((value, _)) => done.push(Entry { value, ..entry.clone() }),
                Err(found) => {
                    whole = false;
                    problems.extend(found);
                }
            }
        }
        let value = Value::Map(done);
        if whole { Ok(Node { value, ..services.clone() }) } else { Err(problems) }
    }

    /// One service, and how many of its file it extends.
    fn service(&mut self, entry: &Entry, kin: &mut Kin<'_>) -> Result<(Node, usize), Vec<Problem>> {
        let Some(named) = entry.value.get(EXTENDS) else { return Ok((entry.value.clone(), 0)) };
        if let Some(known) = kin.done.get(&entry.key) {
            return known.clone().ok_or_else(Vec::new);
        }
        // it was told already, and every further one would be a copy of what is so large
        if self.taken_over > MOST_TAKEN_OVER {
            return Err(Vec::new());
        }
        kin.open.push(entry.key.clone());
        let base = self.base(named, kin);
        kin.open.pop();
        let service = base.and_then(|(base, count)| {
            self.may_take_over(&base, named)?;
            Ok((extends::over(&base, &entry.value), count))
        });
        kin.done.insert(entry.key.clone(), service.as_ref().ok().cloned());
        service
    }

    /// Whether one more service may have all that this one says; an error says why not.
    fn may_take_over(&mut self, base: &Node, named: &Node) -> Result<(), Vec<Problem>> {
        if self.taken_over > MOST_TAKEN_OVER {
            return Err(Vec::new());
        }
        self.taken_over += base.count();
        if self.taken_over <= MOST_TAKEN_OVER {
            return Ok(());
        }
        let text = format!(
            "with this one, services take over more than {MOST_TAKEN_OVER} values from those that they extend\n\nhint: \
             let fewer of them extend one that says so much, or split the file"
        );
        Err(one(Problem::on(named, text)))
    }

    /// The service that the last of the open ones extends, and how many of its file that makes.
    fn base(&mut self, named: &Node, kin: &mut Kin<'_>) -> Result<(Node, usize), Vec<Problem>> {
        let name = named.get("service").unwrap_or(named);
        let word = word_of(name).map_err(one)?;
        if let Some(file) = named.get("file") {
            let path = kin.directory.join(word_of(file).map_err(one)?);
            let other = self.file(&path, file)?;
            let nothing = build::map(other.span, Vec::new());
            let services = other.get("services").unwrap_or(&nothing);
            return Ok((known(name, word, services).map_err(one)?.value.clone(), 0));
        }
        if kin.open.iter().any(|open| open == word) {
            let text = format!("`{word}` extends itself in the end\n\nhint: remove it here");
            return Err(one(Problem::on(name, text)));
        }
        let base = known(name, word, kin.services).map_err(one)?;
        let too_long = || {
            let text = format!(
                "`{word}` is one service too many: at most {DEEPEST} are extended, each by the next\n\nhint: let more of them extend the same one"
            );
            one(Problem::on(name, text))
        };
        // before the next is looked at: this is as deep as it goes
        if kin.open.len() > DEEPEST {
            return Err(too_long());
        }
        let (base, count) = self.service(base, kin)?;
        if count < DEEPEST { Ok((base, count + 1)) } else { Err(too_long()) }
    }
}
