//! Containers that run already: they are touched only where the command line says so too, and after
//! everything that may happen to them was shown and confirmed.

use std::io::IsTerminal as _;

use super::output;
use crate::{
    helper::client::closed_here,
    plan::{
        Case,
        radius::{self, By, Found},
    },
    run::attached::{self, NotAttached},
    runtime::{Docker, Runtime as _},
    verdict::ExitCode,
};

/// What the command line says about containers that run already.
pub(super) struct Said {
    /// They may be acted on.
    pub(super) attach: bool,
    /// What may happen to them is confirmed beforehand.
    pub(super) yes: bool,
    /// Who decides what happens.
    pub(super) by: By,
}

/// Finds the containers, shows what may happen to them, and asks. A code says that it ends here,
/// with nothing touched.
pub(super) async fn confirmed(cases: &mut [Case], said: &Said) -> Option<ExitCode> {
    let first = cases.iter().find(|case| case.attaches())?;
    if !said.attach {
        output::say(format!(
            "error: `{}` acts on containers that run already\n\nhint: `keelhaul plan` shows which, and what is done to them; `--attach` allows it",
            first.scenario.name
        ));
        return Some(ExitCode::Usage);
    }
    let found = match found(cases).await {
        Ok(found) => found,
        Err(code) => return Some(code),
    };
    output::say(radius::render(cases, &found, said.by));
    if said.yes || asked() { None } else { Some(ExitCode::Usage) }
}

/// The containers of all cases, found; what is wrong was said.
async fn found(cases: &mut [Case]) -> Result<Found, ExitCode> {
    let listed = async {
        let docker = Docker::connect(None)?;
        docker.engine().await?;
        let all = attached::attach(&docker, cases).await?;
        let closed = if docker.is_local() { closed_here() } else { None };
        Ok(Found { all, closed })
    };
    listed.await.map_err(|error| {
        output::say(format!("error: {error}"));
        match error {
            NotAttached::Unfit(_) => ExitCode::Usage,
            NotAttached::Engine(_) => ExitCode::Error,
        }
    })
}

/// The same for whoever only wants to know; without an engine it is said that nothing is known.
pub(super) async fn shown(cases: &mut [Case]) -> Result<String, ExitCode> {
    if !cases.iter().any(Case::attaches) {
        return Ok(String::new());
    }
    let found = found(cases).await?;
    Ok(format!("\n{}", radius::render(cases, &found, By::Steps)))
}

/// The user's own word, where there is a terminal to give it on.
fn asked() -> bool {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() || !std::io::stderr().is_terminal() {
        output::say("error: nobody is there to confirm this\n\nhint: `--yes` confirms it");
        return false;
    }
    output::say("go on? `yes` does, anything else leaves everything as it is:");
    let mut answer = String::new();
    let said = stdin.read_line(&mut answer).is_ok() && answer.trim() == "yes";
    if !said {
        output::say("nothing was touched");
    }
    said
}
