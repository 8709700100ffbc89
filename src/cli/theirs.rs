//! Containers that run already, as a command line names them; and a suite for them, as they run.
//! Only looks.

use std::path::Path;

use super::{args::Selection, check, output, ports};
use crate::{
    plan::chosen::chosen,
    run::attached::{self, NotAttached},
    runtime::{Docker, Listed, Runtime as _},
    starter::{self, Ports, Starter, Theirs},
};

/// The containers that the words stand for; none where one is not there, which was said.
pub(super) async fn found<'a>(
    words: &[String],
    all: &'a [Listed],
    docker: &Docker,
) -> anyhow::Result<Option<Vec<Theirs<'a>>>> {
    let found = match chosen(words, all) {
        Ok(found) => found,
        Err(problem) => {
            output::say(format!("error: {problem}"));
            return Ok(None);
        }
    };
    let mut theirs = Vec::new();
    for chosen in found {
        let facts = docker.inspect(&chosen.listed.id).await?;
        let choices = docker.choices(&chosen.listed.id).await?;
        // nobody can uncomment a port of a steady state that is not written down
        let ports = Ports { declared: Vec::new(), ..ports::of(docker, &choices).await? };
        theirs.push(Theirs { chosen, facts, ports });
    }
    Ok(Some(theirs))
}

/// A suite that acts on them with what can be given back; none where one does not fit, which was said.
pub(super) async fn suite(words: &[String]) -> anyhow::Result<Option<Vec<Starter>>> {
    let docker = Docker::connect(None)?;
    let all = docker.listed().await?;
    let Some(theirs) = found(words, &all, &docker).await? else { return Ok(None) };
    let text = starter::by_hand(&theirs);
    let file = Path::new("attached.yaml");
    let cases = check::cases_of(&text, file, &Selection::without_controls(file))?;
    let Some(mut cases) = cases else { return Ok(None) };
    match attached::attach(&docker, &mut cases).await {
        Ok(_) => {}
        Err(NotAttached::Engine(error)) => return Err(error.into()),
        Err(unfit) => {
            output::say(format!("error: {unfit}"));
            return Ok(None);
        }
    }
    for what in starter::left_out_of_others(&theirs) {
        output::say(format!("note: {what}"));
    }
    Ok(cases.first().map(|case| starter::on_others(&theirs, case)))
}
