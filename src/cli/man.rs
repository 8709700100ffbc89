//! `man`: a page for the command and one for each verb.

use std::fs;

use anyhow::Context as _;

use super::{args::ManArgs, output, users_command};
use crate::verdict::ExitCode;

pub(super) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let directory = args.directory.display();
    fs::create_dir_all(&args.directory).with_context(|| format!("cannot make `{directory}`"))?;
    clap_mangen::generate_to(users_command(), &args.directory)
        .with_context(|| format!("cannot write to `{directory}`"))?;
    output::say(format!("man pages: {directory}, read with `man -l {directory}/keelhaul.1`"));
    Ok(ExitCode::Pass)
}
