//! `completions`: what a shell offers after Tab.

use super::{args::CompletionsArgs, output, users_command};
use crate::verdict::ExitCode;

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut users_command(), "keelhaul", &mut script);
    output::data(String::from_utf8(script)?)?;
    Ok(ExitCode::Pass)
}
