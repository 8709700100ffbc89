//! Hidden verbs: what this binary does inside the containers it starts.
//!
//! They take over before logs and the runtime are set up: the keeper and the worker bring their own.

use std::process::ExitCode;

use super::{args::Verb, output};
use crate::{engine, helper, runtime::ProgramFacts, shell, specimen};

/// Runs a hidden verb to its end; `None` for all others.
pub(super) fn take_over(verb: &Verb) -> Option<ExitCode> {
    match verb {
        Verb::Helper(args) => Some(helper::keeper::main(args.rest.iter().cloned())),
        Verb::HelperFacts(_) => Some(tell_facts()),
        Verb::HelperWorker(args) => Some(helper::worker::main(args.rest.iter().cloned())),
        Verb::HelperGrower(args) => Some(helper::grower::main(args.rest.iter().cloned())),
        Verb::HelperErrand(args) => Some(helper::worker::errand(args.rest.iter().cloned())),
        Verb::HelperHold(args) => Some(helper::worker::hold(args.rest.iter().cloned())),
        Verb::HelperInterposer(args) => Some(helper::worker::interposer(args.rest.iter().cloned())),
        Verb::HelperLease(args) => Some(helper::keeper::lease(args.rest.iter().cloned())),
        Verb::ShellServer(args) => Some(shell::main(args.rest.iter().cloned())),
        Verb::Engine(args) => Some(engine::main(args.rest.iter().cloned())),
        Verb::Specimen(args) => Some(ExitCode::from(serve_specimen(*args.clone()))),
        _ => None,
    }
}

fn tell_facts() -> ExitCode {
    let facts = ProgramFacts::ours().map_err(anyhow::Error::new);
    let told = facts.and_then(|facts| output::data(serde_json::to_string(&facts)?));
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn serve_specimen(args: specimen::SpecimenArgs) -> u8 {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::say(format!("error: {error}"));
            return 1;
        }
    };
    let served = runtime.block_on(specimen::serve(args));
    // a task stuck on stalled storage must not delay the end
    runtime.shutdown_background();
    match served {
        Ok(()) => 0,
        Err(error) => {
            output::say(format!("error: {error}"));
            error.exit_code()
        }
    }
}
